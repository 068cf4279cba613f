//! What of copies is seen.

use std::path::PathBuf;

use jiff::Timestamp;

use super::fault::CopyFault;
use crate::node::CertificateId;

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
    /// It keeps the certificate that it has, whatever becomes of the original, and why.
    Kept(CopyFault),
}

/// What a look at all places showed.
#[derive(Debug, Default)]
pub struct FoundCopies {
    /// The copies.
    pub seen: Vec<SeenCopy>,
    /// Places that an administrator has a part in and of which it is not known what lies there, and why.
    pub unread: Vec<(PathBuf, CopyFault)>,
    /// Whether the daemon may bring stale ones up to date by itself.
    pub is_begun: bool,
}
