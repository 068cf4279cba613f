//! One certificate, read from DER and described in plain values.

use jiff::Timestamp;

use super::extension::{self, Extension, SubjectAltName};
use super::key_kind::KeyKind;
use super::layout::Layout;
use super::signature::{self, SignedBy};
use super::{armour, name};
use crate::host::{digest, hexadecimal};

/// Why bytes are not a usable certificate.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// No `CERTIFICATE` block at all; the label found, if any.
    #[error("no PEM block CERTIFICATE found{}", .0.as_ref().map(|label| format!(" (found {label})")).unwrap_or_default())]
    NoCertificate(Option<String>),
    /// The PEM armour is damaged.
    #[error("damaged PEM: {0}")]
    Pem(String),
    /// The DER is damaged.
    #[error("damaged certificate: {0}")]
    Der(String),
}

/// A parsed certificate. The DER is kept, so nothing in it is lost by reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub(super) der: Vec<u8>,
    /// Subject as text, for people: `CN=kube-apiserver`.
    pub subject: String,
    /// Issuer as text.
    pub issuer: String,
    /// Raw DER of the subject Name.
    pub subject_der: Vec<u8>,
    /// Raw DER of the issuer Name.
    pub issuer_der: Vec<u8>,
    /// First common name of the subject.
    pub common_name: Option<String>,
    /// All organizations of the subject, in order.
    pub organizations: Vec<String>,
    /// Serial number as lower-case hexadecimal without separators.
    pub serial: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity (the last second in which it is valid).
    pub not_after: Timestamp,
    /// Subject alternative names in order.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// Key usage bits as in RFC 5280 §4.2.1.3 (bit 0 = digitalSignature), if the extension is there.
    pub key_usage: Option<u16>,
    /// Extended key usages as dotted OIDs, in order.
    pub extended_key_usage: Vec<String>,
    /// basicConstraints cA.
    pub is_ca: bool,
    /// Subject key identifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// Authority key identifier.
    pub authority_key_id: Option<Vec<u8>>,
    /// DER of the SubjectPublicKeyInfo.
    pub public_key_der: Vec<u8>,
    /// Whether it has fields that a successor does not get: unique identifiers, and what X.509 does not know.
    pub has_other_fields: bool,
    pub(super) extensions: Vec<Extension>,
}

impl Certificate {
    /// Whether a server that checks its clients may accept it from one: it is for clients, for anything, or does not say.
    #[must_use]
    pub fn may_be_shown_by_clients(&self) -> bool {
        /// id-kp-clientAuth (RFC 5280 §4.2.1.12) and anyExtendedKeyUsage.
        const CLIENTS: [&str; 2] = ["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"];
        let usage = &self.extended_key_usage;
        usage.is_empty() || usage.iter().any(|oid| CLIENTS.contains(&oid.as_str()))
    }

    /// Reads one certificate from DER; trailing bytes are an error.
    ///
    /// # Errors
    /// [`CertificateError::Der`] with the parser's reason.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let layout = Layout::of(der).map_err(CertificateError::Der)?;
        let extensions = layout.extensions;
        if let Some(twice) = extension::first_repeated(&extensions) {
            return Err(CertificateError::Der(format!(
                "its extension {} is there twice, which Kubernetes does not accept",
                twice.number()
            )));
        }
        let value = |oid| {
            extensions
                .iter()
                .find(|extension| extension.is(oid))
                .map(|extension| extension.value.as_slice())
        };
        // One that is not understood is kept as it is, and counts as not there.
        let subject_alt_names =
            value(extension::SUBJECT_ALT_NAME).and_then(extension::subject_alt_names);
        let extended_key_usage =
            value(extension::EXTENDED_KEY_USAGE).and_then(extension::extended_key_usages);
        let key_usage = value(extension::KEY_USAGE).and_then(extension::key_usages);
        let is_ca = value(extension::BASIC_CONSTRAINTS).and_then(extension::is_ca);
        let subject_key_id = value(extension::SUBJECT_KEY_ID).and_then(extension::subject_key_id);
        let authority_key_id =
            value(extension::AUTHORITY_KEY_ID).and_then(extension::authority_key_id);

        Ok(Self {
            der: der.to_vec(),
            subject: name::text(layout.subject),
            issuer: name::text(layout.issuer),
            subject_der: layout.subject.to_vec(),
            issuer_der: layout.issuer.to_vec(),
            common_name: name::common_name(layout.subject),
            organizations: name::organizations(layout.subject),
            serial: serial(layout.serial),
            not_before: layout.not_before,
            not_after: layout.not_after,
            subject_alt_names: subject_alt_names.unwrap_or_default(),
            key_usage,
            extended_key_usage: extended_key_usage.unwrap_or_default(),
            is_ca: is_ca.unwrap_or_default(),
            subject_key_id,
            authority_key_id,
            public_key_der: layout.public_key.to_vec(),
            has_other_fields: layout.has_other_fields,
            extensions,
        })
    }

    /// The certificate's DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The kind of its public key.
    #[must_use]
    pub fn key_kind(&self) -> KeyKind {
        KeyKind::of_public_key(&self.public_key_der)
    }

    /// SHA-256 of the DER as lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        digest(&self.der)
    }

    /// Whether `time` lies within the validity, both ends included, as Go's verifier sees it.
    #[must_use]
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// Whether `authority`'s name is the issuer and its key made the signature. Says nothing about time.
    #[must_use]
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        self.signed_by(authority) == SignedBy::Yes
    }

    /// The same where the answer may be that it cannot be told.
    #[must_use]
    pub fn signed_by(&self, authority: &Self) -> SignedBy {
        if self.issuer_der != authority.subject_der {
            return SignedBy::No;
        }
        let Ok(layout) = Layout::of(&self.der) else {
            return SignedBy::No;
        };
        match signature::check(&layout, &authority.public_key_der) {
            // Another CA by the same name.
            SignedBy::Unchecked(_) if !self.may_name_key_of(authority) => SignedBy::No,
            answer => answer,
        }
    }

    /// Whether the authority key identifier, if there is one, fits the authority's.
    pub(super) fn may_name_key_of(&self, authority: &Self) -> bool {
        match (&self.authority_key_id, &authority.subject_key_id) {
            (Some(named), Some(own)) => named == own,
            _ => true,
        }
    }

    /// Whether its authority key identifier names its issuer's certificate itself, by issuer and serial number: then OpenSSL accepts it
    /// from no other certificate of the same CA.
    #[must_use]
    pub fn names_one_issuing_certificate(&self) -> bool {
        let mut extensions = self.extensions.iter();
        extensions.any(|extension| {
            extension.is(extension::AUTHORITY_KEY_ID)
                && extension::names_one_certificate(&extension.value)
        })
    }

    /// How many CAs may stand between it and a leaf; `None` where it does not limit them.
    #[must_use]
    pub fn path_length(&self) -> Option<u32> {
        let mut extensions = self.extensions.iter();
        extensions
            .find(|extension| extension.is(extension::BASIC_CONSTRAINTS))
            .and_then(|extension| extension::path_length(&extension.value))
    }

    /// Whether issuer and subject are the same and the signature is by its own key.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.is_signed_by(self)
    }
}

/// Every `CERTIFICATE` block of a PEM file in order, as Go reads them: text around the blocks, blocks of other
/// labels and blocks with headers are skipped.
///
/// # Errors
/// [`CertificateError`] when there is none, or when one is damaged.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut certificates = Vec::new();
    let mut skipped = None;
    for block in armour::blocks(text) {
        if block.is_certificate() {
            let der = block.contents().map_err(CertificateError::Pem)?;
            certificates.push(Certificate::from_der(&der)?);
        } else {
            skipped.get_or_insert(block.label);
        }
    }
    if certificates.is_empty() {
        return Err(CertificateError::NoCertificate(skipped));
    }
    Ok(certificates)
}

/// The certificates as PEM with LF line endings, as kubeadm writes them.
#[must_use]
pub fn certificates_to_pem<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str(&armour::encode(LABEL, &certificate.der));
    }
    text
}

impl armour::Block<'_> {
    /// Whether Go reads a certificate from it.
    pub(super) fn is_certificate(&self) -> bool {
        self.label == LABEL && self.headers().is_empty()
    }
}

/// The PEM label of a certificate.
const LABEL: &str = "CERTIFICATE";

/// The serial number's bytes without the zero that only keeps an INTEGER positive.
fn serial(bytes: &[u8]) -> String {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => hexadecimal(rest),
        bytes => hexadecimal(bytes),
    }
}

#[cfg(test)]
mod odd;
#[cfg(test)]
mod tests;
