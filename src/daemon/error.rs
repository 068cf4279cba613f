//! Why the daemon ended.

use crate::operation::OperationError;

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Something that the event loop cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// With `--once`: the pass failed.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// With `--once`: some of what was due was not renewed.
    #[error("not renewed: {0}")]
    Incomplete(String),
}
