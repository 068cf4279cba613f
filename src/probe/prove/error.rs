//! Why a certificate was not proved to be in use.

use crate::node::CertificateId;

/// Why a certificate is not proved to be in use.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{id}: {reason}")]
pub struct ProofError {
    /// Which certificate.
    pub id: CertificateId,
    /// What was asked and what came back.
    pub reason: String,
    /// Whether a server that was verified refused it or serves another one of its CA; otherwise it could not be asked, or
    /// not verified, which says nothing about the certificate.
    pub refused: bool,
    /// Whether what uses it answers, but nothing on this node vouches for who that is, so that nobody can prove it.
    pub unverified: bool,
}
