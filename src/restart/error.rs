//! Why a restart did not end well.

use std::path::PathBuf;
use std::time::Duration;

use crate::journal::TransactionError;
use crate::net::Address;
use crate::runtime::ServiceError;

/// Each names the component and what was seen instead of what was waited for.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RestartError {
    /// A wait reached its bound.
    #[error("{component}: waited {} s for {what} in vain: {seen}", bound.as_secs())]
    TimedOut {
        /// Which.
        component: String,
        /// What was waited for, as a noun phrase: `the end of its containers`.
        what: String,
        /// The bound.
        bound: Duration,
        /// What was seen instead, and what to look at.
        seen: String,
    },
    /// A manifest could not be moved.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A component refuses a certificate that was put in place, or serves another one.
    #[error("what was put in place is not in use: {0}")]
    NotInUse(String),
    /// Who uses a certificate could not be told of its new files.
    #[error("{user}: could not be told of what was put in place: {reason}")]
    UserNotTold {
        /// Who.
        user: String,
        /// Why not.
        reason: String,
    },
    /// Another node may act by now. No manifest of this group was moved.
    #[error(
        "this node's turn has ended or could not be confirmed, so nothing more is restarted before it has it again"
    )]
    TurnLost,
    /// Without this node's member etcd would be in danger. No manifest of this group was moved.
    #[error("etcd cannot spare this node's member now: {0}")]
    EtcdCannotSpare(String),
    /// A hook before the restarts failed or could not be run. No manifest was moved.
    #[error("{0}; nothing is restarted before it succeeds")]
    HookFailed(String),
    /// The daemon was asked to stop; every manifest is back.
    #[error("stopped before the restart was finished")]
    Stopped,
    /// Without the kubelet nobody stops or starts a static pod. No manifest was moved.
    #[error(
        "the kubelet does not answer at http://{address}/healthz ({reason}), so no static pod was touched; \
         see `systemctl status kubelet` and `journalctl -u kubelet`"
    )]
    KubeletDown {
        /// Where it was asked.
        address: Address,
        /// What came back.
        reason: String,
    },
    /// The kubelet had to be restarted, and that failed. Whatever was installed is in place.
    #[error("{0}")]
    KubeletNotRestarted(#[from] ServiceError),
    /// The kubelet was restarted and stays silent.
    #[error(
        "the kubelet was restarted and does not answer at http://{address}/healthz within {} s ({reason}); \
         see `systemctl status kubelet` and `journalctl -u kubelet`", bound.as_secs()
    )]
    KubeletSilent {
        /// Where it was asked.
        address: Address,
        /// The bound.
        bound: Duration,
        /// What came back.
        reason: String,
    },
    /// The group names a component without a manifest on this node. No manifest was moved.
    #[error(
        "{component}: no static pod of this node is called so; its manifest may have been removed meanwhile"
    )]
    NoSuchPod {
        /// Which.
        component: String,
    },
    /// After a failure a manifest could not be put back. The journal has it, so the next start tries again.
    #[error("{}: could not be put back ({source}) after: {earlier}", manifest.display())]
    NotReturned {
        /// The first such manifest.
        manifest: PathBuf,
        /// Why not.
        source: TransactionError,
        /// What went wrong before.
        earlier: Box<Self>,
    },
}

impl RestartError {
    /// The codes of those that only wait for another moment.
    pub const WAITING: [&str; 3] = ["turn-lost", "etcd-cannot-spare", "hook-failed"];

    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transaction(error) => error.code(),
            Self::NotReturned { earlier, .. } => earlier.code(),
            own => own.into(),
        }
    }

    /// Whether the rest only has to wait for another moment.
    #[must_use]
    pub fn only_waits(&self) -> bool {
        Self::WAITING.contains(&self.code())
    }

    /// Whether whoever failed is told of files once, and not again and again: it has to be mended first.
    #[must_use]
    pub fn is_told_once(&self) -> bool {
        matches!(self, Self::UserNotTold { .. })
    }

    /// Whether it is about the kubelet alone, and so says nothing about the files that were installed.
    #[must_use]
    pub fn is_the_kubelets(&self) -> bool {
        matches!(
            self,
            Self::KubeletDown { .. } | Self::KubeletNotRestarted(_) | Self::KubeletSilent { .. }
        )
    }
}
