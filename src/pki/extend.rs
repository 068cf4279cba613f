//! A CA's certificate made anew for the same key, so that everything it signed stays valid.

use super::extension::{self, Extension};
use super::issue_error::IssueError;
use super::reissue::authority_key_id;
use super::tbs::TbsCertificate;
use super::{
    Certificate, CertificateAuthority, CertificateError, Validity, armour, certificates_to_pem,
};

/// Signs a successor of a self-signed CA's certificate with its own key: subject, public key, subject key identifier, basic
/// constraints with the path length and every other extension stay byte for byte, so whoever trusts it accepts what the old one signed,
/// and a hash of the public key stays as it is. Serial number and end are new. It begins no later than the old one: a clock that took
/// the old one takes the new one as well.
///
/// Its own authority key identifier, where it has one, names the key alone: the old one's serial number is not its.
///
/// # Errors
/// [`IssueError`]: the certificate was signed by another CA, or the end is before the beginning.
pub fn extend(
    authority: &CertificateAuthority,
    validity: Validity,
) -> Result<Certificate, IssueError> {
    let old = authority.certificate();
    if !old.is_self_signed() {
        return Err(IssueError::SignedByAnother {
            subject: old.subject.clone(),
            issuer: old.issuer.clone(),
        });
    }
    let validity = Validity {
        not_before: validity.not_before.min(old.not_before),
        not_after: validity.not_after,
    };
    if validity.not_after <= validity.not_before {
        return Err(IssueError::NoValidity {
            asked: validity,
            authority: validity,
        });
    }
    TbsCertificate {
        issuer: &old.subject_der,
        subject: &old.subject_der,
        validity,
        public_key: &old.public_key_der,
        serial: None,
        extensions: extensions(authority),
    }
    .sign(&authority.key)
}

fn extensions(authority: &CertificateAuthority) -> Vec<Extension> {
    let own = authority.certificate.extensions.iter();
    own.filter_map(|extension| {
        if extension.is(extension::AUTHORITY_KEY_ID)
            && extension::names_one_certificate(&extension.value)
        {
            authority_key_id(authority)
        } else {
            Some(extension.clone())
        }
    })
    .collect()
}

/// Whether both are certificates of one CA, so that whoever has one may have the other instead: subject, key and subject key
/// identifier are the same.
#[must_use]
pub fn is_of_one_authority(one: &Certificate, other: &Certificate) -> bool {
    one.is_ca
        && other.is_ca
        && one.subject_der == other.subject_der
        && one.public_key_der == other.public_key_der
        && one.subject_key_id == other.subject_key_id
}

/// A PEM file with a CA's new certificate in the place of the first that it has of that CA, and without further ones; every other byte
/// stays. `None` where it has none of that CA's, or has the new one alone already.
///
/// # Errors
/// [`CertificateError`] of a damaged file.
pub fn with_successor(text: &[u8], new: &Certificate) -> Result<Option<Vec<u8>>, CertificateError> {
    let mut own = Vec::new();
    let mut is_as_wanted = true;
    for block in armour::blocks(text) {
        if !block.is_certificate() {
            continue;
        }
        let der = block.contents().map_err(CertificateError::Pem)?;
        let certificate = Certificate::from_der(&der)?;
        if is_of_one_authority(&certificate, new) {
            is_as_wanted &= own.is_empty() && certificate == *new;
            own.push(block.range);
        }
    }
    if is_as_wanted {
        return Ok(None);
    }
    let mut edited = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut successor = Some(certificates_to_pem([new]));
    for range in own {
        edited.extend_from_slice(text.get(at..range.start).unwrap_or_default());
        edited.extend(successor.take().unwrap_or_default().into_bytes());
        at = range.end;
    }
    edited.extend_from_slice(text.get(at..).unwrap_or_default());
    Ok(Some(edited))
}

#[cfg(test)]
mod tests;
