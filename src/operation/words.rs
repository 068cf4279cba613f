//! Events and remarks in an administrator's words.

use std::fmt;

use super::event::Event;
use super::remark::Remark;
use crate::host::printable;
use crate::node::{CertificateId, listed};
use crate::pki::date;
use crate::restart::Progress;

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { operation } => write!(out, "operation {operation}"),
            Self::PuttingBack { operation, was } if was.is_empty() => {
                write!(out, "putting back what operation {operation} replaced")
            }
            Self::PuttingBack { operation, was } => {
                write!(
                    out,
                    "putting back what operation {operation} ({was}) replaced"
                )
            }
            Self::Recovered {
                operation,
                forward,
                returned,
            } => write!(
                out,
                "operation {operation} was interrupted; its {} files are in place{}",
                if *forward { "new" } else { "old" },
                match returned {
                    0 => String::new(),
                    1 => ", and one manifest was returned".to_owned(),
                    more => format!(", and {more} manifests were returned"),
                }
            ),
            Self::Expired { names } if names.is_empty() => {
                out.write_str("the kubelet cannot start with its kubelet.conf")
            }
            Self::Expired { names } => write!(out, "expired: {}", listed(names)),
            Self::NodeReady { seen } => out.write_str(seen),
            Self::TurnWaiting { node } => {
                write!(out, "waiting for the turn of {} to end", printable(node))
            }
            Self::TurnGranted { .. } => out.write_str("it is this node's turn"),
            Self::TurnReleased { halted: false } => out.write_str("the turn is given back"),
            Self::TurnReleased { halted: true } => out.write_str(
                "the turn is given back; the other control planes wait until this node is well or an administrator has looked",
            ),
            Self::EtcdLeadershipMoved { to } => {
                write!(out, "etcd: the leadership went over to {}", printable(to))
            }
            Self::RequestOpened {
                certificate,
                request,
                issuer: Some(issuer),
                ..
            } => write!(
                out,
                "{certificate}: request made ({}); the issuer {issuer} is asked",
                request.display()
            ),
            Self::RequestOpened {
                certificate,
                request,
                inbox,
                issuer: None,
            } => write!(
                out,
                "{certificate}: request written to {}; have it signed and put the certificate into {}",
                request.display(),
                inbox.display()
            ),
            Self::RequestClosed { certificate, by } => {
                write!(out, "{certificate}: request closed, because {by}")
            }
            Self::Issuing { count: 1 } => write!(out, "making one key and certificate"),
            Self::Issuing { count } => write!(out, "making {count} keys and certificates"),
            Self::IssuingForKubelet { certificate: true } => {
                write!(out, "making one key and certificate for the kubelet")
            }
            Self::IssuingForKubelet { certificate: false } => {
                write!(
                    out,
                    "making kubelet.conf refer to the kubelet's own certificate"
                )
            }
            Self::IssueFailed { fault, .. } => write!(out, "not renewed: {fault}"),
            Self::Renewed {
                certificate,
                not_after,
                put_back,
                ..
            } => write!(
                out,
                "{certificate} {}, valid until {}",
                if *put_back { "put back" } else { "renewed" },
                date(*not_after)
            ),
            Self::Installed {
                certificates: 0,
                after,
                ..
            } => write!(out, "in place after {:.1} s", after.as_secs_f64()),
            Self::Installed {
                certificates,
                put_back,
                after,
                ..
            } => write!(
                out,
                "{certificates} {} {} in place after {:.1} s",
                if *put_back { "earlier" } else { "new" },
                if *certificates == 1 {
                    "certificate"
                } else {
                    "certificates"
                },
                after.as_secs_f64()
            ),
            Self::NotRestarted { components, reason } => {
                write!(out, "not restarted: {} ({reason})", components.join(", "))
            }
            Self::PickedUp {
                component,
                evidence,
            } => write!(
                out,
                "{component}: uses what is in place without a restart ({evidence})"
            ),
            Self::Restart(progress) => restart(out, progress),
            Self::Proving { count: 1 } => write!(out, "proving that the certificate is in use"),
            Self::Proving { count } => write!(out, "proving that {count} certificates are in use"),
            Self::Proved {
                certificate,
                evidence,
            } => write!(out, "{certificate}: {evidence}"),
            Self::HookRunning { hook } => write!(out, "hook {}: runs", printable(hook)),
            Self::HookSaid { hook, line } => {
                write!(out, "hook {}: {}", printable(hook), printable(line))
            }
            Self::UserTold { user, runs: true } => {
                write!(out, "{}: told of the files in place", printable(user))
            }
            Self::UserTold { user, runs: false } => {
                write!(out, "{}: does not run, and reads them when it starts", printable(user))
            }
            Self::UserSaid { user, line } => {
                write!(out, "{}: {}", printable(user), printable(line))
            }
            Self::HookDone {
                hook,
                after,
                is_cut,
            } => write!(
                out,
                "hook {}: done after {:.1} s{}",
                printable(hook),
                after.as_secs_f64(),
                if *is_cut {
                    "; it said more than is logged"
                } else {
                    ""
                }
            ),
            Self::CopyUpdated { certificate, path } => write!(
                out,
                "{}: the copy of {certificate} has the new certificate as well",
                path.display()
            ),
            // Why is what the operation ends with.
            Self::RollingBack { .. } => out.write_str("putting the old certificates back"),
            Self::Remark(remark @ Remark::NotProved { .. }) => write!(out, "not proved: {remark}"),
            Self::Remark(remark) => remark.fmt(out),
        }
    }
}

fn restart(out: &mut fmt::Formatter<'_>, progress: &Progress) -> fmt::Result {
    match progress {
        Progress::ManifestOut { component } => write!(out, "{component}: manifest out"),
        Progress::ContainersGone { component, after } => {
            write!(out, "{component}: gone after {:.1} s", after.as_secs_f64())
        }
        Progress::ContainersEnding { component } => write!(
            out,
            "{component}: ending its containers through the container runtime"
        ),
        Progress::Drained { component, after } => write!(
            out,
            "{component}: no longer listens, and requests in flight had {:.0} s; ending its containers through the container runtime",
            after.as_secs_f64()
        ),
        Progress::EndingFailed { component, reason } => write!(
            out,
            "{component}: the container runtime did not end its containers ({reason}); the kubelet does, after the pod's own grace"
        ),
        Progress::NotEnding { component, after } => write!(
            out,
            "{component}: still runs {:.0} s after its manifest went out; the kubelet does not act on it. All manifests go back, \
             and the containers are ended through the container runtime instead",
            after.as_secs_f64()
        ),
        Progress::RemedyTried {
            component,
            remedy,
            after,
        } => write!(
            out,
            "{component}: not back after {:.0} s; trying {remedy}",
            after.as_secs_f64()
        ),
        Progress::RemedyFailed {
            component,
            remedy,
            reason,
        } => write!(out, "{component}: {remedy} was not possible: {reason}"),
        Progress::KubeletRestarting => write!(out, "kubelet: being restarted"),
        Progress::KubeletAnswers { after } => {
            write!(out, "kubelet: answers after {:.1} s", after.as_secs_f64())
        }
        Progress::ManifestBack { component, after } => write!(
            out,
            "{component}: manifest back after {:.1} s",
            after.as_secs_f64()
        ),
        Progress::ContainerRunning { component, after } => write!(
            out,
            "{component}: new container after {:.1} s",
            after.as_secs_f64()
        ),
        Progress::Healthy { component, after } => write!(
            out,
            "{component}: healthy after {:.1} s",
            after.as_secs_f64()
        ),
        Progress::Waiting {
            component,
            what,
            since,
            bound,
        } => write!(
            out,
            "{component}: waiting for {what} ({} s of at most {} s)",
            since.as_secs(),
            bound.as_secs()
        ),
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked { reason } => out.write_str(reason),
            Self::Finding(finding) => finding.fmt(out),
            Self::Note { certificate, note } => write!(out, "{certificate}: {note}"),
            Self::NotRenewed { reason, .. } => out.write_str(reason),
            Self::NamesAdded { certificate, names } => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                write!(
                    out,
                    "{certificate}: has more names than before, as asked for: {}",
                    names.join(", ")
                )
            }
            Self::SignedByAnother { certificates } => write!(
                out,
                "signed by another CA than before: {}; whatever checks them on other machines (kubelets, kubeconfigs, other \
                 control planes) has to trust that CA as well",
                listed(certificates)
            ),
            Self::HardLinks(links) => links.fmt(out),
            Self::OldFilesInUse { components } => write!(
                out,
                "not restarted, and with the files from before until then: {}",
                components.join(", ")
            ),
            Self::UsersNotTold { users } => write!(
                out,
                "told of no new files, and with those from before until they are reloaded or restarted: {}",
                users.join(", ")
            ),
            Self::ManifestGone { component } => write!(
                out,
                "{component}: not restarted, since no manifest of it can be read now; if it runs, then with other files than \
                 those on the disk, until `kubecertd restart {component}`"
            ),
            Self::RestartedNevertheless {
                finding,
                certificate,
                ends,
            } => write!(
                out,
                "{finding}; restarting nevertheless, because the {certificate} that was replaced and may be in use until then \
                 ends {}",
                date(*ends)
            ),
            Self::NotProved {
                certificate,
                reason,
            }
            | Self::Unverified {
                certificate,
                reason,
            } => write!(out, "{certificate}: {reason}"),
            Self::NotShown {
                component,
                certificates,
                seen,
            } => write!(
                out,
                "{component}: it has not yet shown that it uses the new {} ({seen}); it is not restarted, since the old ones are valid \
                 for more than a day; the daemon asks it again when it runs",
                listed(certificates)
            ),
            Self::UsersUnknown { certificates } => write!(
                out,
                "{}: the configuration does not say any more who uses them, so nobody was told of their new files; reload or restart what does",
                listed(certificates)
            ),
            Self::AcceptedByForce { doubt } => write!(out, "taken all the same (--force): {doubt}"),
            Self::NodeNotReady { seen } => write!(out, "the certificates are in use, but {seen}"),
            Self::Adopted { reason } => write!(
                out,
                "{reason}; what is due is renewed nevertheless, and the restarts and proofs that are pending are part of that"
            ),
            Self::NotFinished { reason } => write!(
                out,
                "{reason}; what else is due is renewed nevertheless"
            ),
            Self::NotEnded { reason } | Self::AuthorityNotExtended { reason } => out.write_str(reason),
            Self::LeftAlone { path } => write!(
                out,
                "{}: was changed by another process since and was left as it is; its earlier contents are in the backup",
                path.display()
            ),
            Self::CopyNotUpdated {
                path,
                certificate,
                fault,
            } => match certificate {
                Some(id) => write!(
                    out,
                    "{}: the copy of {id} was not brought up to date: {fault}",
                    path.display()
                ),
                None => write!(
                    out,
                    "{}: it is not known whether it is a copy of admin.conf: {fault}",
                    path.display()
                ),
            },
            Self::HomesHidden => out.write_str(
                "admin-copies.discover is \"users\", and no home of a user in /etc/passwd is there; the daemon's unit hides them unless a \
                 drop-in opens them (BindPaths=-/home/alice)",
            ),
            Self::ManifestReplaced { path } => write!(
                out,
                "{}: a newer manifest was put there while it was out; that one stays, the other is in the backup",
                path.display()
            ),
            Self::ActsAlone => out.write_str(
                "the turn cannot be asked for and the certificates are about to end or have ended: going on without it",
            ),
            Self::TurnNotReleased { reason } => write!(
                out,
                "the turn could not be given back ({reason}); it ends by itself"
            ),
            Self::SlotKept { reason } => write!(
                out,
                "the slot at the FleetLock server was not given back: {reason}"
            ),
            Self::Etcd { said, .. } => write!(out, "etcd: {said}"),
            Self::PutBack(note) => note.fmt(out),
        }
    }
}

/// The reason, beginning with the certificate's name: one file may be the reason for several certificates.
pub(super) fn named(id: &CertificateId, reason: String) -> String {
    if reason.starts_with(&format!("{id}: ")) {
        reason
    } else {
        format!("{id}: {reason}")
    }
}
