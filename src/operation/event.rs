//! What happens during an operation, for the terminal and the journal.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::error::Fault;
use super::remark::Remark;
use crate::node::CertificateId;
use crate::orders::Closing;
use crate::restart::Progress;

/// One step of an operation. [`std::fmt::Display`] is the sentence that a person reads; `docs/codes.md` lists the codes.
#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
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
        /// Which.
        names: Vec<CertificateId>,
    },
    /// The API server shows this node as Ready.
    NodeReady {
        /// In words.
        seen: String,
    },
    /// This node waits for its turn.
    TurnWaiting {
        /// Which node has it.
        node: String,
    },
    /// This node has its turn.
    TurnGranted {
        /// How often it went from one node to another.
        transitions: i32,
    },
    /// It has given it back.
    TurnReleased {
        /// Whether the others have to wait for an administrator.
        halted: bool,
    },
    /// This node's etcd member led, and another does now.
    EtcdLeadershipMoved {
        /// To which.
        to: String,
    },
    /// A CA elsewhere is asked for a certificate.
    RequestOpened {
        /// Which.
        certificate: CertificateId,
        /// The request's file, as the node names it.
        request: PathBuf,
        /// Where the answer to a file belongs.
        inbox: PathBuf,
        /// Who is asked, by the name that the configuration gives him; absent where whoever signs the file is.
        issuer: Option<String>,
    },
    /// A request has come to its end.
    RequestClosed {
        /// For which certificate.
        certificate: CertificateId,
        /// What overtook it.
        by: Closing,
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
        /// Which.
        certificate: CertificateId,
        /// Why.
        fault: Fault,
    },
    /// A certificate is in place.
    Renewed {
        /// The operation's id.
        operation: String,
        /// Which.
        certificate: CertificateId,
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
    /// A component uses the certificates that are in place without a restart.
    PickedUp {
        /// Which.
        component: String,
        /// How that is known.
        evidence: String,
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
        /// Which.
        certificate: CertificateId,
        /// How that is known.
        evidence: String,
    },
    /// A copy of a kubeconfig has the new credentials.
    CopyUpdated {
        /// Of which.
        certificate: CertificateId,
        /// The copy, as the node names it.
        path: PathBuf,
    },
    /// Something failed and the old files go back.
    RollingBack {
        /// What failed.
        reason: String,
    },
    /// An administrator's hook runs.
    HookRunning {
        /// Which: `pre-restart/10-drain`.
        hook: String,
    },
    /// A line that it said.
    HookSaid {
        /// Which.
        hook: String,
        /// As it wrote it.
        line: String,
    },
    /// It has done what it is there for.
    HookDone {
        /// Which.
        hook: String,
        /// How long that took.
        after: Duration,
        /// Whether it said more than is logged.
        is_cut: bool,
    },
    /// Who uses a certificate that is not kubeadm's was told of its new files.
    UserTold {
        /// Who.
        user: String,
        /// Whether it runs; otherwise it reads them when it starts.
        runs: bool,
    },
    /// A line that the command said which tells somebody.
    UserSaid {
        /// Which.
        user: String,
        /// As it wrote it.
        line: String,
    },
    /// Something should be known that does not end the operation.
    Remark(Remark),
}

impl Event {
    /// Its code, which never changes: `renewed`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Restart(progress) => progress.code(),
            Self::Remark(remark) => remark.code(),
            other => other.into(),
        }
    }
}
