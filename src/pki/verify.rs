//! The check that stands between a new certificate and the disk (the fourth promise).

use jiff::Timestamp;

use super::extension;
use super::reissue::of_a_leaf;
use super::{Certificate, PrivateKey, SignedBy, SubjectAltName, key_usage};

/// Why a new certificate may not take the place of the old one.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SuccessorError {
    /// The key is not the certificate's.
    #[error("the new certificate does not belong to the new key")]
    KeyMismatch,
    /// Its users would not trust it.
    #[error("the new certificate is not signed by an authority that its users trust ({issuer})")]
    Untrusted {
        /// The issuer it names.
        issuer: String,
    },
    /// It is a CA's, which no leaf may become.
    #[error("the new certificate would be a CA's")]
    IsAuthority,
    /// Something the old one had is missing.
    #[error("the new certificate lacks what the old one had: {0}")]
    Lacks(String),
    /// It is not what was asked for.
    #[error("the new certificate is not what was asked for: {0}")]
    Differs(String),
    /// It would not end later.
    #[error("the new certificate would end at {new}, not later than the old one ({old})")]
    NotLater {
        /// End of the old one.
        old: Timestamp,
        /// End of the new one.
        new: Timestamp,
    },
    /// It is not valid now.
    #[error("the new certificate is not valid at {0}")]
    NotValidNow(Timestamp),
}

/// Checks that `new` matches `key`, chains to one of `trusted`, carries at least the subject, names and usages of
/// `old`, is valid `now` and ends later than `old`.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_successor(
    old: &Certificate,
    new: &Certificate,
    key: &PrivateKey,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), SuccessorError> {
    check_stand_in(old, new, key, trusted, now)?;
    if new.not_after <= old.not_after {
        return Err(SuccessorError::NotLater {
            old: old.not_after,
            new: new.not_after,
        });
    }
    Ok(())
}

/// The same without asking that `new` ends later than `old`: whether it could stand in for it today.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_stand_in(
    old: &Certificate,
    new: &Certificate,
    key: &PrivateKey,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), SuccessorError> {
    if !key.matches(new) {
        return Err(SuccessorError::KeyMismatch);
    }
    if new.is_ca {
        return Err(SuccessorError::IsAuthority);
    }
    if !trusted.iter().any(|authority| accepts(authority, new, now)) {
        return Err(SuccessorError::Untrusted {
            issuer: new.issuer.clone(),
        });
    }
    if let Some(missing) = missing(old, new) {
        return Err(SuccessorError::Lacks(missing));
    }
    if !new.is_valid_at(now) {
        return Err(SuccessorError::NotValidNow(now));
    }
    Ok(())
}

/// The same for what a CA elsewhere answered: `issuer` has to have signed it, so that it can be checked here, and has been found
/// to be trusted. What such a CA adds by its own rules (where its revocations are published, say) may change, and so may the
/// way in which it writes the same subject.
///
/// # Errors
/// The first thing that does not hold.
pub fn check_answer(
    old: &Certificate,
    new: &Certificate,
    key: &PrivateKey,
    issuer: &Certificate,
    now: Timestamp,
) -> Result<(), SuccessorError> {
    if !key.matches(new) {
        return Err(SuccessorError::KeyMismatch);
    }
    if new.is_ca {
        return Err(SuccessorError::IsAuthority);
    }
    if !new.is_signed_by(issuer) || !accepts(issuer, new, now) {
        return Err(SuccessorError::Untrusted {
            issuer: new.issuer.clone(),
        });
    }
    if !is_same_subject(old, new) {
        return Err(SuccessorError::Lacks(format!(
            "the subject {}",
            old.subject
        )));
    }
    if let Some(missing) = missing_names(old, new).or_else(|| missing_usages(old, new)) {
        return Err(SuccessorError::Lacks(missing));
    }
    if !new.is_valid_at(now) {
        return Err(SuccessorError::NotValidNow(now));
    }
    Ok(())
}

/// Whether both name the same: as text, and by what Kubernetes reads of it. Go and OpenSSL choose other kinds of strings for it.
fn is_same_subject(old: &Certificate, new: &Certificate) -> bool {
    let organizations = |certificate: &Certificate| {
        let mut all = certificate.organizations.clone();
        all.sort_unstable();
        all
    };
    new.subject_der == old.subject_der
        || (new.subject == old.subject
            && new.common_name == old.common_name
            && organizations(new) == organizations(old))
}

/// Whether someone who trusts `authority` accepts `leaf`. OpenSSL, unlike Go, refuses a key identifier of another key.
pub(super) fn accepts(authority: &Certificate, leaf: &Certificate, now: Timestamp) -> bool {
    authority.is_ca
        && authority.is_valid_at(now)
        && leaf.may_name_key_of(authority)
        // An earlier certificate that is put back may have a signature that cannot be checked here; what is made here never
        // has.
        && leaf.signed_by(authority) != SignedBy::No
}

/// The first thing of `old` that `new` has not, as far as a leaf may have it.
fn missing(old: &Certificate, new: &Certificate) -> Option<String> {
    if new.subject_der != old.subject_der {
        return Some(format!("the subject {}", old.subject));
    }
    missing_names(old, new)
        .or_else(|| missing_usages(old, new))
        .or_else(|| missing_extension(old, new))
}

fn missing_names(old: &Certificate, new: &Certificate) -> Option<String> {
    old.subject_alt_names
        .iter()
        .find(|name| !new.subject_alt_names.contains(name))
        .map(|name| format!("the name {}", name_text(name)))
}

/// An absent (extended) key usage allows everything, so nothing may stand in its place.
fn missing_usages(old: &Certificate, new: &Certificate) -> Option<String> {
    let extensions = of_a_leaf(old);
    let old_usage = extensions
        .iter()
        .find(|extension| extension.is(extension::KEY_USAGE))
        .and_then(|extension| extension::key_usages(&extension.value));
    match (old_usage, new.key_usage) {
        (None, Some(_)) => return Some("unrestricted key usage".to_owned()),
        (Some(_), None) => return Some("the extension keyUsage".to_owned()),
        (Some(old), Some(new)) if old & !new != 0 => {
            return Some(format!("the key usage {}", key_usage::text(old & !new)));
        }
        _ => {}
    }
    if old.extended_key_usage.is_empty() && !new.extended_key_usage.is_empty() {
        return Some("unrestricted extended key usage".to_owned());
    }
    old.extended_key_usage
        .iter()
        .find(|usage| !new.extended_key_usage.contains(usage))
        .map(|usage| format!("the extended key usage {usage}"))
}

fn missing_extension(old: &Certificate, new: &Certificate) -> Option<String> {
    of_a_leaf(old)
        .iter()
        .filter(|extension| {
            !COMPARED_OTHERWISE.iter().any(|oid| extension.is(oid))
                || !extension::is_understood(extension)
        })
        .find(|extension| {
            !new.extensions.iter().any(|other| {
                other.same_kind(extension)
                    && other.critical == extension.critical
                    && other.value == extension.value
            })
        })
        .map(|extension| format!("the extension {} as it was", extension.number()))
}

/// Extensions whose contents are compared as sets, or that belong to the keys and not to the certificate.
const COMPARED_OTHERWISE: [&[u64]; 5] = [
    extension::SUBJECT_ALT_NAME,
    extension::KEY_USAGE,
    extension::EXTENDED_KEY_USAGE,
    extension::SUBJECT_KEY_ID,
    extension::AUTHORITY_KEY_ID,
];

pub(super) fn name_text(name: &SubjectAltName) -> String {
    match name {
        SubjectAltName::Dns(name) | SubjectAltName::Email(name) | SubjectAltName::Uri(name) => {
            format!("{name:?}")
        }
        SubjectAltName::Ip(address) => address.to_string(),
        SubjectAltName::Other(der) => crate::host::hexadecimal(der),
    }
}
