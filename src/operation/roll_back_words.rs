//! What stands against a roll-back, and what it means, in an administrator's words.

use std::fmt;

use super::put_back::{Crossed, EndsSoon, RollBackNote, RollBackObstacle, Unfit, Unfitness};
use crate::node::listed;
use crate::pki::date;
use crate::report::in_words;

impl fmt::Display for RollBackObstacle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(unfit) if unfit.why.is_lifted_by_force() => {
                write!(out, "{unfit}; --force puts it back nevertheless")
            }
            Self::Unfit(unfit) => unfit.fmt(out),
            Self::Crossed(crossed) => write!(out, "{crossed}; --force goes back past that"),
            Self::EndsSoon(ends) => write!(out, "{ends}; --force puts it back nevertheless"),
        }
    }
}

impl fmt::Display for RollBackNote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsBefore { certificate } => {
                write!(out, "{certificate} is as it was before that operation")
            }
            Self::KubeletsOwn { certificate } => write!(
                out,
                "{certificate}: is the kubelet's own, and stays; what was there before is in the backup"
            ),
            Self::NotDescribed { certificate } => write!(
                out,
                "{certificate}: the configuration does not describe it any more; it stays"
            ),
            Self::NotThereBefore { path } => write!(
                out,
                "{}: was not there before that operation; it stays",
                path.display()
            ),
            Self::Stays(unfit) => write!(out, "{unfit}; it stays as it is"),
            Self::Crossed(crossed) => crossed.fmt(out),
            Self::EndsSoon(ends) => ends.fmt(out),
            Self::ChangedOtherwise { path } => write!(
                out,
                "{}: was changed in other ways since then, and that goes as well; the backup of this operation keeps it",
                path.display()
            ),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", listed(&self.certificates), self.why)
    }
}

impl fmt::Display for Unfitness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeysRemoved { removed } => write!(
                out,
                "its keys were removed from the backup on {} by backup.max-age",
                date(*removed)
            ),
            Self::NoCertificate => out.write_str("the backup holds no certificate of it"),
            Self::NoKey => out.write_str("neither backup nor node holds its key"),
            Self::AuthorityUnreadable => out.write_str("its authority on this node cannot be read"),
            Self::ForeignPresent { issuer } => write!(
                out,
                "the certificate that is there now was issued by {issuer}, and not by the CA that is on this node; it is left \
                 alone"
            ),
            Self::NotYetValid { begins } => write!(
                out,
                "the certificate of the backup is not valid before {}",
                date(*begins)
            ),
            Self::Expired { ended } => write!(
                out,
                "the certificate of the backup ended on {}",
                date(*ended)
            ),
            Self::Lacks { what } => write!(
                out,
                "the certificate of the backup lacks {what}, which the present one has"
            ),
            Self::ForeignIssuer { issuer } => write!(
                out,
                "the certificate of the backup was issued by {issuer}, and not by the CA that is on this node now"
            ),
            Self::KeyMismatch => {
                out.write_str("certificate and key of the backup do not belong together")
            }
            Self::NotAccepted { reason } => out.write_str(reason),
        }
    }
}

impl fmt::Display for Crossed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HistoryUnreadable { reason } => write!(
                out,
                "what was done since can only be told from the backups, because of the history: {reason}"
            ),
            Self::ChangedAgain {
                operation,
                was,
                certificates,
            } => {
                write!(
                    out,
                    "operation {operation} changed it since: {}",
                    listed(certificates)
                )?;
                match was {
                    Some(was) => write!(out, " ({was})"),
                    None => Ok(()),
                }
            }
            Self::ChangedByAnother { certificates } => write!(
                out,
                "{}: what is there now was put there by another program since",
                listed(certificates)
            ),
        }
    }
}

impl fmt::Display for EndsSoon {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = in_words(self.ends.duration_since(self.at));
        write!(
            out,
            "{}: ends on {}, {left}",
            self.certificate,
            date(self.ends)
        )?;
        if self.is_authority {
            return write!(
                out,
                ", and all that it signed with it; nothing extends it by itself: `kubecertd ca extend {}`",
                self.certificate
            );
        }
        out.write_str(if self.at_once {
            ", so that it would be renewed again at once"
        } else {
            "; the daemon leaves it alone for a day and then renews it"
        })
    }
}
