//! One certificate, read from DER and described in plain values.

use std::net::IpAddr;

use aws_lc_rs::{digest, signature};
use jiff::Timestamp;
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::error::X509Error;
use x509_parser::extensions::{AuthorityKeyIdentifier, BasicConstraints, KeyIdentifier, KeyUsage};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, OID_X509_COMMON_NAME,
    OID_X509_ORGANIZATION_NAME,
};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::extension::{self, Extension};
use super::{armour, moment, name};

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

/// A subject alternative name; forms that kubeadm does not make are kept by type and bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectAltName {
    /// dNSName
    Dns(String),
    /// iPAddress
    Ip(IpAddr),
    /// rfc822Name
    Email(String),
    /// uniformResourceIdentifier
    Uri(String),
    /// Any other general name, as its DER.
    Other(Vec<u8>),
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
    pub(super) extensions: Vec<Extension>,
}

impl Certificate {
    /// Reads one certificate from DER; trailing bytes are an error.
    ///
    /// # Errors
    /// [`CertificateError::Der`] with the parser's reason.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = parse(der)?;
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        let extensions = extension::extensions(certificate.tbs_certificate.as_ref())
            .map_err(|error| damaged("extensions", &error))?;
        if let Some(twice) = extension::first_repeated(&extensions) {
            return Err(CertificateError::Der(format!(
                "extension {} appears twice",
                twice.number()
            )));
        }
        let value = |oid| {
            extensions
                .iter()
                .find(|extension| extension.is(oid))
                .map(|extension| extension.value.as_slice())
        };

        let subject_alt_names = value(extension::SUBJECT_ALT_NAME)
            .map(extension::subject_alt_names)
            .transpose()
            .map_err(|error| damaged("subjectAltName", &error))?;
        let extended_key_usage = value(extension::EXTENDED_KEY_USAGE)
            .map(extension::extended_key_usages)
            .transpose()
            .map_err(|error| damaged("extKeyUsage", &error))?;
        let key_usage = decoded::<KeyUsage>("keyUsage", value(extension::KEY_USAGE))?;
        let constraints =
            decoded::<BasicConstraints>("basicConstraints", value(extension::BASIC_CONSTRAINTS))?;
        let subject_key_id =
            decoded::<KeyIdentifier<'_>>("subjectKeyIdentifier", value(extension::SUBJECT_KEY_ID))?;
        let authority_key_id = decoded::<AuthorityKeyIdentifier<'_>>(
            "authorityKeyIdentifier",
            value(extension::AUTHORITY_KEY_ID),
        )?;

        Ok(Self {
            der: der.to_vec(),
            subject: name::text(subject),
            issuer: name::text(issuer),
            subject_der: subject.as_raw().to_vec(),
            issuer_der: issuer.as_raw().to_vec(),
            common_name: name::values(subject, &OID_X509_COMMON_NAME)
                .into_iter()
                .next(),
            organizations: name::values(subject, &OID_X509_ORGANIZATION_NAME),
            serial: serial(certificate.raw_serial()),
            not_before: timestamp(certificate.validity().not_before),
            not_after: timestamp(certificate.validity().not_after),
            subject_alt_names: subject_alt_names.unwrap_or_default(),
            key_usage: key_usage.map(|usage| usage.flags),
            extended_key_usage: extended_key_usage.unwrap_or_default(),
            is_ca: constraints.is_some_and(|constraints| constraints.ca),
            subject_key_id: subject_key_id.map(|id| id.0.to_vec()),
            authority_key_id: authority_key_id
                .and_then(|id| id.key_identifier)
                .map(|id| id.0.to_vec()),
            public_key_der: certificate.public_key().raw.to_vec(),
            extensions,
        })
    }

    /// The certificate's DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER as lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hexadecimal(digest::digest(&digest::SHA256, &self.der).as_ref())
    }

    /// Whether `time` lies within the validity, both ends included, as Go's verifier sees it.
    #[must_use]
    pub fn is_valid_at(&self, time: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }

    /// Whether `authority`'s name is the issuer and its key made the signature. Says nothing about time.
    #[must_use]
    pub fn is_signed_by(&self, authority: &Self) -> bool {
        if self.issuer_der != authority.subject_der {
            return false;
        }
        let (Ok(certificate), Ok(authority)) = (parse(&self.der), parse(&authority.der)) else {
            return false;
        };
        match certificate.verify_signature(Some(authority.public_key())) {
            Err(X509Error::SignatureUnsupportedAlgorithm) => {
                is_signed_by_ecdsa(&certificate, &authority)
            }
            result => result.is_ok(),
        }
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
        if block.label == LABEL && block.headers().is_empty() {
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

/// The PEM label of a certificate.
const LABEL: &str = "CERTIFICATE";

/// Bytes as lower-case hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    // The extensions are decoded here one by one, so that an unknown or odd one is no obstacle.
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    match parser.parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(CertificateError::Der(format!(
            "{} bytes after the certificate",
            rest.len()
        ))),
        Err(error) => Err(CertificateError::Der(error.to_string())),
    }
}

fn decoded<'a, T>(what: &str, value: Option<&'a [u8]>) -> Result<Option<T>, CertificateError>
where
    T: FromDer<'a, X509Error>,
{
    value
        .map(|value| match T::from_der(value) {
            Ok(([], decoded)) => Ok(decoded),
            Ok(_) => Err(damaged(what, &"trailing bytes")),
            Err(error) => Err(damaged(what, &error)),
        })
        .transpose()
}

fn damaged(what: &str, error: &dyn std::fmt::Display) -> CertificateError {
    CertificateError::Der(format!("{what}: {error}"))
}

/// What x509-parser leaves out: P-521, and ECDSA with SHA-512.
fn is_signed_by_ecdsa(certificate: &X509Certificate<'_>, authority: &X509Certificate<'_>) -> bool {
    let key = authority.public_key();
    let Some(Ok(curve)) = key.algorithm.parameters().map(|any| any.as_oid()) else {
        return false;
    };
    let digest = certificate.signature_algorithm.oid();
    let algorithm = if *digest == OID_SIG_ECDSA_WITH_SHA512 && curve == OID_EC_P256 {
        &signature::ECDSA_P256_SHA512_ASN1
    } else if *digest == OID_SIG_ECDSA_WITH_SHA512 && curve == OID_NIST_EC_P384 {
        &signature::ECDSA_P384_SHA512_ASN1
    } else if *digest == OID_SIG_ECDSA_WITH_SHA512 && curve == OID_NIST_EC_P521 {
        &signature::ECDSA_P521_SHA512_ASN1
    } else if *digest == OID_SIG_ECDSA_WITH_SHA384 && curve == OID_NIST_EC_P521 {
        &signature::ECDSA_P521_SHA384_ASN1
    } else if *digest == OID_SIG_ECDSA_WITH_SHA256 && curve == OID_NIST_EC_P521 {
        &signature::ECDSA_P521_SHA256_ASN1
    } else {
        return false;
    };
    signature::UnparsedPublicKey::new(algorithm, &key.subject_public_key.data)
        .verify(
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        )
        .is_ok()
}

/// The serial number's bytes without the zero that only keeps an INTEGER positive.
fn serial(bytes: &[u8]) -> String {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => hexadecimal(rest),
        bytes => hexadecimal(bytes),
    }
}

fn timestamp(time: ASN1Time) -> Timestamp {
    moment::from_second(time.timestamp())
}

#[cfg(test)]
mod tests;
