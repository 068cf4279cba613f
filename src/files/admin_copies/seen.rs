//! The originals, and what of their copies is seen.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::fault::CopyFault;
use crate::node::CertificateId;
use crate::pki::Certificate;

/// One of the two files that have copies, as it is now.
#[derive(Debug, Clone)]
pub struct Original {
    /// Which.
    pub id: CertificateId,
    /// Its certificate.
    pub certificate: Certificate,
    /// SHA-256 of every certificate that was replaced in it, by the record.
    pub replaced: BTreeSet<String>,
    /// What a copy is given; `None` where it has references to files instead, or was not read for that.
    pub credentials: Option<Credentials>,
}

/// Certificate and key as PEM, wiped when dropped.
#[derive(Clone)]
pub struct Credentials {
    /// With its chain.
    pub certificate: Zeroizing<String>,
    /// Its key.
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credentials(..)")
    }
}

/// A user in a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCopy {
    /// The copy, as the node names it.
    pub path: PathBuf,
    /// The user's name in it.
    pub user: String,
    /// Of what it is a copy.
    pub of: CertificateId,
    /// When the certificate in it ends.
    pub not_after: Timestamp,
    /// Whether it is the one of the original.
    pub state: CopyState,
}

/// How a copy stands to its original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyState {
    /// It has the original's certificate.
    Current,
    /// It has one that was replaced.
    Stale,
    /// It has one that was replaced and keeps it, and why.
    Kept(CopyFault),
}
