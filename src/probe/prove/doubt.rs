//! Why one attempt to prove a certificate proved nothing.

use super::error::ProofError;
use crate::net::HttpError;
use crate::node::CertificateId;

/// Why one attempt proved nothing.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// No answer yet, or none of a server that is the right one; asking again may help.
    Passing(String),
    /// A verified server answered, and not with a yes; asking again may help.
    Refused(String),
    /// There is nothing to ask, or nothing to verify it by, and asking again does not help.
    Lasting(String),
    /// What answers cannot be verified by anything on this node; what it says, in words that begin with `unverified`.
    Unverified(String),
    /// Its users would refuse it, now and later.
    Wrong(String),
}

impl Doubt {
    /// What a request that got no answer says about the certificate.
    pub(crate) fn of_request(asked: &str, error: &HttpError) -> Self {
        let reason = format!("{asked}: {error}");
        if error.is_refusal() {
            Self::Refused(reason)
        } else {
            Self::Passing(reason)
        }
    }

    pub(crate) fn of(self, id: &CertificateId) -> ProofError {
        let refused = matches!(self, Self::Refused(_) | Self::Wrong(_));
        let unverified = matches!(self, Self::Unverified(_));
        let (Self::Passing(reason)
        | Self::Refused(reason)
        | Self::Lasting(reason)
        | Self::Unverified(reason)
        | Self::Wrong(reason)) = self;
        ProofError {
            id: id.clone(),
            reason,
            refused,
            unverified,
        }
    }
}
