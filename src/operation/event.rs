//! What happens during an operation, for the terminal and the journal.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::pki::date;
use crate::restart::Progress;

/// One step of an operation. `Display` is the sentence that a person reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An operation begins; what follows is part of it.
    Begun {
        /// Its id.
        operation: String,
    },
    /// What an earlier operation replaced is put back.
    PuttingBack {
        /// That operation's id.
        operation: String,
        /// When it was and what asked for it, in words; may be empty.
        was: String,
    },
    /// An operation that was cut off is finished or undone.
    Recovered {
        /// Its id.
        operation: String,
        /// Whether the new files are in place.
        forward: bool,
        /// Manifests that were out and are back.
        returned: usize,
    },
    /// Certificates have expired; they and the kubelet are now taken care of.
    Expired {
        /// By name.
        names: Vec<String>,
    },
    /// The API server shows this node as Ready.
    NodeReady {
        /// In words.
        seen: String,
    },
    /// Keys and certificates are being made.
    Issuing {
        /// How many.
        count: usize,
    },
    /// What the kubelet needs to start is being made.
    IssuingForKubelet {
        /// Whether that is a certificate, and not only a reference to one.
        certificate: bool,
    },
    /// One could not be made; the others go on.
    IssueFailed {
        /// Its name.
        certificate: String,
        /// Why.
        reason: String,
    },
    /// A certificate is in place.
    Renewed {
        /// The operation's id.
        operation: String,
        /// Its name.
        certificate: String,
        /// Its file.
        path: PathBuf,
        /// Its serial number.
        serial: String,
        /// When it ends.
        not_after: Timestamp,
        /// When the old one would have ended.
        old_not_after: Timestamp,
        /// Whether it is an earlier one that was put back.
        put_back: bool,
    },
    /// All files are in place.
    Installed {
        /// The operation's id.
        operation: String,
        /// How many certificates.
        certificates: usize,
        /// Whether these are earlier ones.
        put_back: bool,
        /// How long issuing and installing took.
        after: Duration,
    },
    /// Pods are not restarted, and why.
    NotRestarted {
        /// The components.
        components: Vec<String>,
        /// Why.
        reason: String,
    },
    /// A component proved that it uses the certificate that is in place without a restart.
    PickedUp {
        /// Which.
        component: String,
    },
    /// A restart goes on.
    Restart(Progress),
    /// The components are being asked.
    Proving {
        /// How many certificates.
        count: usize,
    },
    /// A certificate is in use.
    Proved {
        /// Its name.
        certificate: String,
        /// How that is known.
        evidence: String,
    },
    /// What uses a certificate answers, but cannot be verified by anything on this node.
    Unverified {
        /// The certificate's name.
        certificate: String,
        /// What it said, in words that begin with `unverified`.
        said: String,
    },
    /// Something failed and the old files go back.
    RollingBack {
        /// What failed.
        reason: String,
    },
    /// Something is wrong that does not end the operation.
    Warning(String),
}

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
            Self::Expired { names } => write!(out, "expired: {}", names.join(", ")),
            Self::NodeReady { seen } => out.write_str(seen),
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
            Self::IssueFailed { reason, .. } => write!(out, "not renewed: {reason}"),
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
            Self::PickedUp { component } => write!(
                out,
                "{component}: serves the certificate that is in place without a restart"
            ),
            Self::Restart(progress) => restart(out, progress),
            Self::Proving { count: 1 } => write!(out, "proving that the certificate is in use"),
            Self::Proving { count } => write!(out, "proving that {count} certificates are in use"),
            Self::Proved {
                certificate,
                evidence,
            } => write!(out, "{certificate}: {evidence}"),
            Self::Unverified { certificate, said } => write!(out, "{certificate}: {said}"),
            // Why is what the operation ends with.
            Self::RollingBack { .. } => out.write_str("putting the old certificates back"),
            Self::Warning(text) => out.write_str(text),
        }
    }
}

fn restart(out: &mut fmt::Formatter<'_>, progress: &Progress) -> fmt::Result {
    match progress {
        Progress::Out { component } => write!(out, "{component}: manifest out"),
        Progress::Gone { component, after } => {
            write!(out, "{component}: gone after {:.1} s", after.as_secs_f64())
        }
        Progress::Ending { component } => write!(
            out,
            "{component}: ending its containers through the container runtime"
        ),
        Progress::NotGoing { component, after } => write!(
            out,
            "{component}: still runs {:.0} s after its manifest went out; the kubelet does not act on it. All manifests go back, \
             and the containers are ended through the container runtime instead",
            after.as_secs_f64()
        ),
        Progress::Rung {
            component,
            rung,
            after,
        } => write!(
            out,
            "{component}: not back after {:.0} s; trying {rung}",
            after.as_secs_f64()
        ),
        Progress::RungFailed {
            component,
            rung,
            reason,
        } => write!(out, "{component}: {rung} was not possible: {reason}"),
        Progress::KubeletRestarting => write!(out, "kubelet: being restarted"),
        Progress::KubeletAnswers { after } => {
            write!(out, "kubelet: answers after {:.1} s", after.as_secs_f64())
        }
        Progress::Back { component, after } => write!(
            out,
            "{component}: manifest back after {:.1} s",
            after.as_secs_f64()
        ),
        Progress::Running { component, after } => write!(
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
