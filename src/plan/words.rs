//! Reasons and obstacles in an administrator's words.

use std::fmt;

use super::reason::Reason;
use super::types::{Action, Obstacle};
use crate::node::KUBELET_CLIENT;
use crate::pki::{KubeconfigName, date};

impl Reason {
    /// Whether the new certificate may end no later than the old one, because the old one is of no use to anybody, or
    /// because it is not for its time.
    #[must_use]
    pub fn allows_earlier_end(self) -> bool {
        matches!(
            self,
            Self::KeyUnusable | Self::NotYetValid | Self::SignerChanges
        )
    }

    /// A word for scripts, as in the JSON output.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::KeyUnusable => "key-unusable",
            Self::SignerChanges => "signer-changes",
            Self::Requested => "requested",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Due => "its time for renewal has come",
            Self::Expired => "it has expired",
            Self::NotYetValid => "it is not valid yet",
            Self::KeyUnusable => "its private key is missing, damaged or another certificate's",
            Self::SignerChanges => {
                "the CA that signs the API server's certificate changes, and renewing adds it here"
            }
            Self::Requested => "asked for",
        })
    }
}

impl Obstacle {
    /// A word for scripts, as in the JSON output.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::NotReplaceable(_) => "not-replaceable",
            Self::ExternalAuthority(_) => "external-authority",
            Self::NotEditable(_) => "not-editable",
            Self::ForeignIssuer(_) => "foreign-issuer",
            Self::AuthorityUnusable(_) => "authority-unusable",
            Self::NotSupported(_) => "not-supported",
            Self::NotTrusted(_) => "not-trusted",
            Self::AuthorityEndsTooSoon(_) => "authority-ends-too-soon",
            Self::WouldNotEndLater(_) => "would-not-end-later",
            Self::RenewedJustNow(_) => "renewed-just-now",
            Self::RolledBack(_) => "rolled-back",
            Self::Skipped => "skipped",
            Self::Disabled => "disabled",
            Self::NeedsRecovery(_) => "needs-recovery",
            Self::NotManaged => "not-managed",
        }
    }
}

impl Obstacle {
    /// Why the certificate of that name is left alone, with what can be done about that very one.
    #[must_use]
    pub fn said_of(&self, name: &str) -> String {
        match self {
            Self::Missing if name == KubeconfigName::SuperAdmin.name() => {
                format!("{self}, as on every node that was joined")
            }
            Self::Missing => match name.strip_suffix(".conf") {
                Some(kubeconfig) => {
                    format!("{self}; `kubeadm init phase kubeconfig {kubeconfig}` makes it")
                }
                None => format!("{self}; `kubeadm init phase certs {name}` makes it"),
            },
            Self::NotManaged if name == KUBELET_CLIENT => {
                "only reported, as the kubelet renews it itself unless rotateCertificates is off"
                    .to_owned()
            }
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("there is no such file"),
            Self::Unreadable(what)
            | Self::NotReplaceable(what)
            | Self::NotEditable(what)
            | Self::AuthorityUnusable(what)
            | Self::NeedsRecovery(what) => formatter.write_str(what),
            Self::NotSupported(what) if what.starts_with("not supported") => {
                formatter.write_str(what)
            }
            Self::NotSupported(what) => write!(formatter, "not supported: {what}"),
            Self::NotTrusted(refusal) => refusal.fmt(formatter),
            Self::ExternalAuthority(authority) => write!(
                formatter,
                "the key of {authority} is not on this node; have it signed where that key is and put it in place"
            ),
            Self::ForeignIssuer(issuer) => write!(
                formatter,
                "issued by {issuer} and not by this node's CA, so it is not overwritten; renew it with its issuer"
            ),
            Self::AuthorityEndsTooSoon(end) => write!(
                formatter,
                "its CA ends on {}, so a new certificate would gain nothing; renew the CA first",
                date(*end)
            ),
            Self::WouldNotEndLater(end) => write!(
                formatter,
                "a new one would end on {}, no later than this one; raise renewal.validity or use --force",
                date(*end)
            ),
            Self::RenewedJustNow(until) => write!(
                formatter,
                "made a moment ago; not renewed again before {}",
                until.strftime("%b %d, %Y %H:%M:%S UTC")
            ),
            Self::RolledBack(until) => write!(
                formatter,
                "rolled back by hand; the daemon does not renew it before {}; kubecertd renew does",
                date(*until)
            ),
            Self::Skipped => formatter
                .write_str("renewal.skip names it; name it with --force to renew it nevertheless"),
            Self::Disabled => formatter.write_str(
                "due, but renewal.enabled is false; renew it by hand with kubecertd renew",
            ),
            Self::NotManaged => {
                formatter.write_str("only reported, as neither kubeadm nor kubecertd renews it")
            }
        }
    }
}

impl Action {
    /// `renew`, `wait` or `leave`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Renew(_) => "renew",
            Self::Wait => "wait",
            Self::Leave(_) => "leave",
        }
    }
}
