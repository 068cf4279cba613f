//! Why a certificate could not be issued.

use std::path::PathBuf;

use crate::node::CertificateId;
use crate::pki::{IssueError, SuccessorError};

/// Why a certificate that follows none was not made.
#[derive(Debug, thiserror::Error)]
pub enum FreshError {
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] IssueError),
    /// What came back is not what was asked for.
    #[error(transparent)]
    Check(#[from] SuccessorError),
}

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
    #[error("{id}: {reason}")]
    #[strum(serialize = "not-renewable")]
    NotRenewable {
        /// Which certificate.
        id: CertificateId,
        /// Why.
        reason: String,
    },
    /// The file that the new certificate belongs into cannot be edited.
    #[error("{id}: {}: {reason}", path.display())]
    #[strum(serialize = "not-editable")]
    Edit {
        /// Which certificate.
        id: CertificateId,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Signing failed.
    #[error("{id}: {source}")]
    #[strum(serialize = "not-signed")]
    Issue {
        /// Which certificate.
        id: CertificateId,
        /// Why.
        source: IssueError,
    },
    /// The result did not pass the check.
    #[error("{id}: {source}")]
    #[strum(serialize = "not-accepted")]
    Check {
        /// Which certificate.
        id: CertificateId,
        /// What does not hold.
        source: SuccessorError,
    },
    /// The old key is to be kept, but cannot be read.
    #[error("{id}: the old key {} is to be reused but cannot be: {reason}", path.display())]
    #[strum(serialize = "old-key-unusable")]
    OldKey {
        /// Which certificate.
        id: CertificateId,
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
