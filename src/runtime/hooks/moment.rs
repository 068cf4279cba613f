//! When hooks are run, and where they lie.

use std::fmt;
use std::path::Path;

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before an operation changes any file.
    PreRenew,
    /// Before an operation restarts any pod; of one that changes files as well, before it changes any.
    PreRestart,
    /// After an operation restarted pods, proofs and the way back included.
    PostRestart,
    /// After an operation changed files, or failed to.
    PostRenew,
}

impl Moment {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [
        Self::PreRenew,
        Self::PreRestart,
        Self::PostRestart,
        Self::PostRenew,
    ];

    /// The name of its directory.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreRenew => "pre-renew",
            Self::PreRestart => "pre-restart",
            Self::PostRestart => "post-restart",
            Self::PostRenew => "post-renew",
        }
    }

    /// Whether what fails then stops the operation.
    #[must_use]
    pub fn is_before(self) -> bool {
        matches!(self, Self::PreRenew | Self::PreRestart)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Where they lie, on a node.
#[must_use]
pub fn hooks_directory() -> &'static Path {
    Path::new("/etc/kubecertd/hooks.d")
}
