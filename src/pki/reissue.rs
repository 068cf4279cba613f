//! Making a leaf certificate: anew for samples, or as the successor of an old one with everything kept.

use jiff::Timestamp;

use super::extension::{self, Extension};
use super::issue_error::IssueError;
use super::serial_number::SerialNumber;
use super::tbs::{TbsCertificate, key_id};
use super::validity::Validity;
use super::{
    Certificate, CertificateAuthority, PrivateKey, SubjectAltName, key_usage, name, request,
};

/// A leaf made from nothing, as `kubeadm init` makes them; for samples, tests and new credentials.
#[derive(Debug, Clone)]
pub struct NewLeaf {
    /// Common name.
    pub common_name: String,
    /// Organizations; Go puts several into one multi-valued RDN.
    pub organizations: Vec<String>,
    /// Subject alternative names.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// serverAuth.
    pub server_auth: bool,
    /// clientAuth.
    pub client_auth: bool,
}

/// The part of a validity that lies within the authority's.
fn within(asked: Validity, authority: &CertificateAuthority) -> Result<Validity, IssueError> {
    let authority = authority.certificate();
    let clamped = Validity {
        not_before: asked.not_before.max(authority.not_before),
        not_after: asked.not_after.min(authority.not_after),
    };
    if clamped.not_after <= clamped.not_before {
        return Err(IssueError::NoValidity {
            asked,
            authority: Validity {
                not_before: authority.not_before,
                not_after: authority.not_after,
            },
        });
    }
    Ok(clamped)
}

/// Signs a successor of `old` for `key`: the whole subject byte for byte, every SAN, key usages and extended key
/// usages and every other extension are copied verbatim; serial (63 bits, random), validity, key identifiers and
/// issuer (the authority's subject byte for byte) are new.
///
/// A leaf that says CA:TRUE is followed by one that does not: it gets CA:FALSE, and neither the key usages nor the
/// constraints that only a CA has.
///
/// The authority key identifier is there if the authority has a key identifier, the subject key identifier if the old
/// certificate had one. An old certificate of X.509 version 1, which has no extensions, is followed by one of version 3
/// whose only extension is the authority key identifier.
///
/// # Errors
/// [`IssueError`]; an authority that is expired or not yet valid at `now` is refused.
pub fn reissue(
    old: &Certificate,
    key: &PrivateKey,
    authority: &CertificateAuthority,
    validity: Validity,
    now: Timestamp,
) -> Result<Certificate, IssueError> {
    reissue_with_names(old, &[], key, authority, validity, now)
}

/// The same with more names than the old certificate has. Those that it has already are not there twice.
///
/// # Errors
/// As [`reissue`].
pub fn reissue_with_names(
    old: &Certificate,
    more: &[SubjectAltName],
    key: &PrivateKey,
    authority: &CertificateAuthority,
    validity: Validity,
    now: Timestamp,
) -> Result<Certificate, IssueError> {
    if old.is_ca && is_authoritys_own(old, authority.certificate()) {
        return Err(IssueError::OldIsAuthority {
            subject: old.subject.clone(),
        });
    }
    check_time(authority.certificate(), now)?;
    TbsCertificate {
        issuer: &authority.certificate.subject_der,
        subject: &old.subject_der,
        validity: within(validity, authority)?,
        public_key: &key.public_key_der(),
        extensions: with_names(old, more, succeeding_extensions(old, key, authority))?,
        serial: None,
    }
    .sign(&authority.key)
}

impl NewLeaf {
    /// Signs it, shaped as kubeadm's own leaves (key usages digitalSignature and keyEncipherment, CA:FALSE, AKI, no SKI).
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn sign(
        &self,
        key: &PrivateKey,
        authority: &CertificateAuthority,
        validity: Validity,
    ) -> Result<Certificate, IssueError> {
        let recipient = Recipient {
            public_key: &key.public_key_der(),
            subject: None,
            serial: None,
        };
        self.sign_for(recipient, authority, validity)
    }

    /// The same for a key that is known by its public half.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn sign_for(
        &self,
        recipient: Recipient<'_>,
        authority: &CertificateAuthority,
        validity: Validity,
    ) -> Result<Certificate, IssueError> {
        let subject = match recipient.subject {
            Some(subject) => subject.to_vec(),
            None => self.subject_der(),
        };
        // In the order of Go's crypto/x509.
        let mut extensions = self.usages();
        extensions.push(Extension::basic_constraints(false));
        extensions.extend(authority_key_id(authority));
        extensions.extend(self.names(&subject));
        TbsCertificate {
            issuer: &authority.certificate.subject_der,
            subject: &subject,
            validity: within(validity, authority)?,
            public_key: recipient.public_key,
            extensions,
            serial: recipient.serial,
        }
        .sign(&authority.key)
    }

    /// A request for it, signed with its key, that asks for the usages as well: PEM.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn request(&self, key: &PrivateKey) -> Result<String, IssueError> {
        let subject = self.subject_der();
        let mut extensions = self.usages();
        extensions.extend(self.names(&subject));
        request::encode(&subject, &extensions, key)
    }

    /// DER of its subject.
    #[must_use]
    pub fn subject_der(&self) -> Vec<u8> {
        name::encode(&self.common_name, &self.organizations)
    }

    fn usages(&self) -> Vec<Extension> {
        let mut extensions = vec![Extension::key_usage(
            key_usage::DIGITAL_SIGNATURE | key_usage::KEY_ENCIPHERMENT,
        )];
        let usages: Vec<&[u64]> = [
            (self.server_auth, SERVER_AUTH),
            (self.client_auth, CLIENT_AUTH),
        ]
        .into_iter()
        .filter_map(|(wanted, usage)| wanted.then_some(usage))
        .collect();
        if !usages.is_empty() {
            extensions.push(Extension::extended_key_usage(&usages));
        }
        extensions
    }

    fn names(&self, subject: &[u8]) -> Option<Extension> {
        let names = &self.subject_alt_names;
        let is_critical = name::is_empty(subject);
        (!names.is_empty()).then(|| Extension::subject_alt_name(names, is_critical))
    }
}

/// For whom a [`NewLeaf`] is signed.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// DER of the SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    /// DER of the subject where it is to stay as it was asked for; it says the same as the leaf's.
    pub subject: Option<&'a [u8]>,
    /// `None` for a random one.
    pub serial: Option<&'a SerialNumber>,
}

const SERVER_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

fn check_time(authority: &Certificate, now: Timestamp) -> Result<(), IssueError> {
    let reason = if now < authority.not_before {
        format!(
            "not valid before {}; check the clock of this machine",
            authority.not_before
        )
    } else if now > authority.not_after {
        format!(
            "expired since {}; what it signs would not be accepted, so it has to be replaced first",
            authority.not_after
        )
    } else {
        return Ok(());
    };
    Err(IssueError::AuthorityNotValid {
        subject: authority.subject.clone(),
        reason,
    })
}

/// Whether a certificate that says CA is one of an authority, and not a leaf's that says so by mistake.
#[must_use]
pub fn is_authoritys_own(certificate: &Certificate, authority: &Certificate) -> bool {
    certificate.subject_der == certificate.issuer_der
        || certificate.public_key_der == authority.public_key_der
}

/// A certificate's extensions as far as a leaf may have them, in their order.
pub(super) fn of_a_leaf(certificate: &Certificate) -> Vec<Extension> {
    if !certificate.is_ca {
        return certificate.extensions.clone();
    }
    certificate
        .extensions
        .iter()
        .filter(|extension| {
            !extension::ONLY_FOR_AUTHORITIES
                .iter()
                .any(|oid| extension.is(oid))
        })
        .map(|extension| {
            if extension.is(extension::BASIC_CONSTRAINTS) {
                Extension::basic_constraints(false)
            } else if extension.is(extension::KEY_USAGE) {
                let bits = certificate.key_usage.unwrap_or_default();
                Extension::key_usage(key_usage::of_a_leaf(bits))
            } else {
                extension.clone()
            }
        })
        .collect()
}

/// The extensions with the names that the old certificate has not.
fn with_names(
    old: &Certificate,
    more: &[SubjectAltName],
    mut extensions: Vec<Extension>,
) -> Result<Vec<Extension>, IssueError> {
    let mut new: Vec<SubjectAltName> = Vec::new();
    for name in more {
        if !old.subject_alt_names.contains(name) && !new.contains(name) {
            new.push(name.clone());
        }
    }
    if new.is_empty() {
        return Ok(extensions);
    }
    let mut names = extensions
        .iter_mut()
        .filter(|extension| extension.is(extension::SUBJECT_ALT_NAME));
    match names.next() {
        Some(names) => {
            *names = names.with_more_names(&new).ok_or_else(|| {
                IssueError::Signing(
                    "the names of the old certificate are not understood".to_owned(),
                )
            })?;
        }
        None => extensions.push(Extension::subject_alt_name(
            &new,
            name::is_empty(&old.subject_der),
        )),
    }
    Ok(extensions)
}

/// The old extensions in their order, key identifiers made anew in place.
fn succeeding_extensions(
    old: &Certificate,
    key: &PrivateKey,
    authority: &CertificateAuthority,
) -> Vec<Extension> {
    let mut authority_key_id = authority_key_id(authority);
    let mut extensions: Vec<Extension> = of_a_leaf(old)
        .into_iter()
        .filter_map(|extension| {
            if extension.is(extension::AUTHORITY_KEY_ID) {
                authority_key_id.take()
            } else if extension.is(extension::SUBJECT_KEY_ID) {
                Some(Extension::subject_key_id(&key_id(key)))
            } else {
                Some(extension)
            }
        })
        .collect();
    extensions.extend(authority_key_id);
    extensions
}

pub(super) fn authority_key_id(authority: &CertificateAuthority) -> Option<Extension> {
    authority
        .certificate
        .subject_key_id
        .as_deref()
        .map(Extension::authority_key_id)
}

#[cfg(test)]
mod tests;
