//! Why a certificate could not be made.

use super::key_error::KeyError;
use super::validity::Validity;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The authority's key belongs to none of its certificates.
    #[error("the key does not belong to the CA certificate {subject}")]
    AuthorityKeyMismatch {
        /// Subject of the first certificate of the bundle.
        subject: String,
    },
    /// The certificate is not a CA's.
    #[error("{subject} is not a CA certificate: {reason}")]
    NotAnAuthority {
        /// Its subject.
        subject: String,
        /// Which extension says so.
        reason: String,
    },
    /// The authority is not valid at the time of signing.
    #[error("the CA certificate {subject} is {reason}")]
    AuthorityNotValid {
        /// Its subject.
        subject: String,
        /// `expired since …` or `not valid before …`.
        reason: String,
    },
    /// The certificate to be succeeded is a CA's own, not a leaf that says CA by mistake.
    #[error(
        "{subject} is the CA's own certificate; replacing a CA is more than a renewal and is not done here"
    )]
    OldIsAuthority {
        /// Its subject.
        subject: String,
    },
    /// A CA's certificate was signed by another CA, which alone can make it anew.
    #[error(
        "the CA certificate {subject} was signed by {issuer} and not by itself; have that CA make it anew"
    )]
    SignedByAnother {
        /// Its subject.
        subject: String,
        /// By whom.
        issuer: String,
    },
    /// The validity asked for and the authority's have nothing in common.
    #[error(
        "a certificate from {} to {} is impossible: the CA certificate's own validity is from {} to {}",
        asked.not_before, asked.not_after, authority.not_before, authority.not_after
    )]
    NoValidity {
        /// What was asked for.
        asked: Validity,
        /// The authority's.
        authority: Validity,
    },
    /// A key could not be read or made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Encoding or signing failed.
    #[error("could not sign: {0}")]
    Signing(String),
}
