//! Certificates where nothing was before: for a request, a new control plane, a further user.

use std::time::Duration;

use jiff::Timestamp;

use super::accept::accept_fresh;
use super::error::FreshError;
use super::order::valid_from;
use crate::pki::{Certificate, CertificateAuthority, NewLeaf, Recipient, SerialNumber};

/// What is asked for.
#[derive(Debug)]
pub struct Fresh<'a> {
    /// What it is to be like.
    pub leaf: &'a NewLeaf,
    /// For which key: DER of the SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    /// The subject as it was asked for, which says the same as the leaf's.
    pub subject: Option<&'a [u8]>,
    /// `None` for a random one.
    pub serial: Option<&'a SerialNumber>,
    /// How long from now; an authority that ends sooner cuts it.
    pub validity: Duration,
}

/// Has it signed, and checks what comes back by the same door as everything else.
///
/// # Errors
/// [`FreshError`].
pub fn issue_fresh(
    fresh: &Fresh<'_>,
    authority: &CertificateAuthority,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<Certificate, FreshError> {
    let recipient = Recipient {
        public_key: fresh.public_key,
        subject: fresh.subject,
        serial: fresh.serial,
    };
    let certificate = fresh
        .leaf
        .sign_for(recipient, authority, valid_from(now, fresh.validity))?;
    accept_fresh(fresh.leaf, &certificate, fresh.public_key, trusted, now)?;
    Ok(certificate)
}
