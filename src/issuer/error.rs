//! Why a certificate could not be issued.

use std::path::PathBuf;

use crate::pki::{IssueError, SuccessorError};

/// Why an entry could not be issued.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum IssuanceError {
    /// The CA's certificate or key cannot be read.
    #[error("{}: {reason}", path.display())]
    #[strum(serialize = "authority-unreadable")]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The entry is not one that this node's authorities can renew.
    #[error("{name}: {reason}")]
    #[strum(serialize = "not-renewable")]
    NotRenewable {
        /// The entry.
        name: String,
        /// Why.
        reason: String,
    },
    /// The file that the new certificate belongs into cannot be edited.
    #[error("{name}: {}: {reason}", path.display())]
    #[strum(serialize = "not-editable")]
    Edit {
        /// The entry.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Signing failed.
    #[error("{name}: {source}")]
    #[strum(serialize = "not-signed")]
    Issue {
        /// The entry.
        name: String,
        /// Why.
        source: IssueError,
    },
    /// The result did not pass the check.
    #[error("{name}: {source}")]
    #[strum(serialize = "not-accepted")]
    Check {
        /// The entry.
        name: String,
        /// What does not hold.
        source: SuccessorError,
    },
    /// The old key is to be kept, but cannot be read.
    #[error("{name}: the old key {} is to be reused but cannot be: {reason}", path.display())]
    #[strum(serialize = "old-key-unusable")]
    OldKey {
        /// The entry.
        name: String,
        /// The key's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl IssuanceError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}
