//! What is asked of an issuer, and what it answers.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::pki::{Certificate, IssueError, PrivateKey, SuccessorError};

/// One entry to be renewed, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The entry's name.
    pub name: String,
    /// Whether the new one may end no later than the old one (`--force`).
    pub may_end_sooner: bool,
}

/// A new certificate with its key, checked against the old one.
#[derive(Debug)]
pub struct Issued {
    /// The entry's name.
    pub name: String,
    /// The old certificate.
    pub old: Certificate,
    /// The new one.
    pub certificate: Certificate,
    /// Further certificates of the old file that are kept behind the new one.
    pub chain: Vec<Certificate>,
    /// Its key.
    pub key: PrivateKey,
    /// The CA's certificate whose key signed it.
    pub signer: Certificate,
    /// When it was made.
    pub made: Timestamp,
}

/// Why an entry could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    /// The CA's certificate or key cannot be read.
    #[error("{}: {reason}", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The entry is not one that this node's authorities can renew.
    #[error("{name}: {reason}")]
    NotRenewable {
        /// The entry.
        name: String,
        /// Why.
        reason: String,
    },
    /// The file that the new certificate belongs into cannot be edited.
    #[error("{name}: {}: {reason}", path.display())]
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
    Issue {
        /// The entry.
        name: String,
        /// Why.
        source: IssueError,
    },
    /// The result did not pass the check.
    #[error("{name}: {source}")]
    Check {
        /// The entry.
        name: String,
        /// What does not hold.
        source: SuccessorError,
    },
    /// The old key is to be kept, but cannot be read.
    #[error("{name}: the old key {} is to be reused but cannot be: {reason}", path.display())]
    OldKey {
        /// The entry.
        name: String,
        /// The key's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
