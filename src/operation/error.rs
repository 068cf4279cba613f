//! Why an operation did not end well.

use std::fmt;
use std::path::PathBuf;

use strum::VariantNames as _;

use super::roll_back_error::RollBackError;
use crate::api::ApiError;
use crate::checks::Finding;
use crate::issuer::IssuanceError;
use crate::journal::{TransactionError, UndoReason};
use crate::node::CertificateId;
use crate::plan::UnknownName;
use crate::report::HistoryError;
use crate::restart::RestartError;

/// Each kind asks for another decision of the caller.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum OperationError {
    /// A certificate was asked for by a name that nothing has.
    #[error(transparent)]
    UnknownName(#[from] UnknownName),
    /// A certificate cannot have more names.
    #[error("{certificate} gets no further names: {reason}; nothing was changed")]
    NamesRefused {
        /// Which.
        certificate: CertificateId,
        /// Why.
        reason: String,
    },
    /// Files could not be put in place; everything is as before.
    #[error("{0}; nothing was changed")]
    Install(TransactionError),
    /// The lock is taken, or an earlier operation cannot be recovered.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// An earlier operation's files are not put back, and why.
    #[error(transparent)]
    RollBack(#[from] RollBackError),
    /// Something speaks against it at this moment; nothing was begun.
    #[error("{}; nothing was changed", sentences(.0))]
    NotNow(Vec<Finding>),
    /// An operation that was cut off is in place, but this is no moment for the restarts that it owes.
    #[error("the pending restarts of operation {operation} have to wait: {}", sentences(.findings))]
    RestartsWait {
        /// Which operation.
        operation: String,
        /// What speaks against them.
        findings: Vec<Finding>,
    },
    /// A hook that is run before an operation failed or could not be run; nothing was begun.
    #[error("{0}; nothing was changed")]
    HookFailed(Box<Finding>),
    /// None of what was due could be issued.
    #[error("no certificate could be issued: {}; nothing was changed", .0.join("; "))]
    NothingIssued(Vec<String>),
    /// Restart or proof failed; the old files are back and the pods run with them.
    #[error("{reason}; the old certificates are back in place{}", aftermath.as_ref().map(|after| but(reason, after)).unwrap_or_default())]
    RolledBack {
        /// What failed.
        reason: Fault,
        /// What went wrong while the pods were restarted with the old files.
        aftermath: Option<String>,
    },
    /// The files stay as they are, although something failed.
    #[error("{0}")]
    Failed(Fault),
    /// Something that is not kubecertd's to mend keeps the kubelet from starting.
    #[error("the kubelet cannot start: {0}")]
    KubeletCannotStart(String),
    /// The kubelet's own certificate cannot be made anew here; nothing was changed.
    #[error("the kubelet's client certificate is not renewed: {0}; nothing was changed")]
    KubeletNotRepaired(String),
    /// The kubelet's configuration, on this node or in the cluster, cannot be edited; nothing was changed.
    #[error("{}: {reason}; nothing was changed", path.display())]
    KubeletConfiguration {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The cluster's configuration of kubelets cannot be read; nothing was changed.
    #[error("the cluster's kubelet-config cannot be read: {0}; nothing was changed")]
    ClusterConfiguration(#[from] ApiError),
    /// A file for this node's kubelet is not taken; nothing was changed.
    #[error("{}: {}; nothing was changed", path.display(), .reasons.join("; "))]
    KubeletFileRefused {
        /// The file.
        path: PathBuf,
        /// Everything that speaks against it.
        reasons: Vec<String>,
    },
    /// No CA that was asked for could be extended; nothing was changed.
    #[error("not extended: {}; nothing was changed", texts(.0))]
    NotExtended(Vec<Fault>),
    /// The new files stay, and the rest is tried again.
    #[error(
        "{0}; the new files stay in place, since what they replaced is of no use. The daemon goes on trying; \
         `kubecertd recover` tries at once, and `kubecertd recover --give-up` ends it"
    )]
    NewFilesStay(Fault),
    /// The kubelet failed, which says nothing about the files; the rest is tried again.
    #[error("{0}; the pending restarts are tried again")]
    RestartsPending(Fault),
    /// Something failed, and the old files could not be put back.
    #[error("{reason}; and the old files could not be put back: {why}; copies of them are in {}", copies.display())]
    NotPutBack {
        /// What failed first.
        reason: Fault,
        /// Why they could not be put back.
        why: TransactionError,
        /// Where the copies are.
        copies: PathBuf,
    },
    /// Asked to stop; every manifest is in place and the rest is done at the next start.
    #[error(
        "stopped in mid-operation; every manifest is in place, and the rest is done at the next start"
    )]
    Stopped,
    /// The receipt could not be written; what it would say was done all the same.
    #[error(
        "the receipt could not be written: {why}; what it would say is done nevertheless, and {}",
        without_receipt(why)
    )]
    History {
        /// Why not.
        why: HistoryError,
    },
}

/// What failed: its code, and in words what the error said, which is gone when this is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The error's code.
    pub code: &'static str,
    /// What it said.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl From<&OperationError> for Fault {
    fn from(error: &OperationError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

impl From<&RestartError> for Fault {
    fn from(error: &RestartError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

impl From<IssuanceError> for Fault {
    fn from(error: IssuanceError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

impl From<TransactionError> for Fault {
    fn from(error: TransactionError) -> Self {
        Self {
            code: error.code(),
            text: error.to_string(),
        }
    }
}

impl From<&Fault> for UndoReason {
    fn from(fault: &Fault) -> Self {
        Self {
            text: fault.text.clone(),
            code: Some(fault.code.to_owned()),
        }
    }
}

/// The code of an error that a file names, where this program has it.
pub(super) fn known_code(code: &str) -> Option<&'static str> {
    [
        OperationError::VARIANTS,
        RestartError::VARIANTS,
        TransactionError::VARIANTS,
        IssuanceError::VARIANTS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .find(|known| *known == code)
}

impl From<HistoryError> for OperationError {
    fn from(why: HistoryError) -> Self {
        Self::History { why }
    }
}

/// What went wrong the second time; not the same words again where it is the same.
fn but(reason: &Fault, aftermath: &str) -> String {
    if aftermath == reason.text {
        ", but the pods could not be restarted with them for the same reason".to_owned()
    } else {
        format!(", but {aftermath}")
    }
}

fn without_receipt(error: &HistoryError) -> &'static str {
    if error.is_no_room() {
        "it is written as soon as there is room"
    } else {
        "the log has it instead; put right what is wrong with the file, or move it away"
    }
}

fn texts(faults: &[Fault]) -> String {
    let texts: Vec<&str> = faults.iter().map(|fault| fault.text.as_str()).collect();
    texts.join("; ")
}

fn sentences(findings: &[Finding]) -> String {
    let sentences: Vec<String> = findings.iter().map(|finding| finding.to_string()).collect();
    sentences.join("; ")
}

impl OperationError {
    /// Its code, which never changes; `docs/codes.md` lists the codes. Of what failed it is the cause's.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Install(error) | Self::Transaction(error) => error.code(),
            Self::RollBack(error) => error.code(),
            Self::History { why } => why.code(),
            Self::ClusterConfiguration(error) => error.code(),
            Self::HookFailed(finding) => finding.cause.code(),
            Self::RolledBack { reason, .. }
            | Self::Failed(reason)
            | Self::NewFilesStay(reason)
            | Self::RestartsPending(reason)
            | Self::NotPutBack { reason, .. } => reason.code,
            // Of several the first is as good as any.
            Self::NotExtended(faults) => faults.first().map_or("not-extended", |fault| fault.code),
            own => own.into(),
        }
    }

    /// Whether no other control plane may go on before an administrator has looked.
    #[must_use]
    pub fn halts_others(&self) -> bool {
        // Restarts that only wait for a better moment say nothing against the others.
        let waits = matches!(self, Self::RestartsPending(fault) if RestartError::WAITING.contains(&fault.code));
        self.disturbed_the_node() && !waits
    }

    /// Whether the cluster was disturbed before it failed: then the next attempt waits longer.
    #[must_use]
    pub fn disturbed_the_node(&self) -> bool {
        matches!(
            self,
            Self::RolledBack { .. }
                | Self::Failed(_)
                | Self::KubeletCannotStart(_)
                | Self::NewFilesStay(_)
                | Self::RestartsPending(_)
                | Self::NotPutBack { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_twice_for_one_reason_is_said_once() {
        let told = |aftermath: &str| {
            let error = OperationError::RolledBack {
                reason: Fault {
                    code: "kubelet-down",
                    text: "the kubelet does not answer".to_owned(),
                },
                aftermath: Some(aftermath.to_owned()),
            };
            error.to_string()
        };
        let same = told("the kubelet does not answer");
        assert_eq!(
            same.matches("the kubelet does not answer").count(),
            1,
            "{same}"
        );
        assert!(same.ends_with("for the same reason"), "{same}");
        assert!(told("etcd is away").ends_with("in place, but etcd is away"));
    }
}
