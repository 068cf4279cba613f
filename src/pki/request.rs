//! A certificate signing request (PKCS#10): read, checked and written.

use yasna::Tag;

use super::der::{self, Element, Malformed, Reader};
use super::extension::{self, Extension};
use super::issue_error::IssueError;
use super::key_kind::{KeyKind, same_public_key};
use super::signature::{self, Signed, SignedBy};
use super::{Certificate, PrivateKey, SubjectAltName, armour, key_usage, name};

/// Why a file is no request that could be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not one PEM block of a request.
    #[error("{0}")]
    Pem(String),
    /// Damaged.
    #[error("damaged request: {0}")]
    Der(String),
    /// Not made by who has the key, or changed since.
    #[error(
        "its signature is not by its own key, so it was changed or made without the key; make it again"
    )]
    Signature,
    /// The signature cannot be checked here.
    #[error("its signature cannot be checked here: {0}")]
    Unchecked(String),
}

/// A request whose signature is by its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Subject as text.
    pub subject: String,
    /// DER of the subject.
    pub subject_der: Vec<u8>,
    /// First common name.
    pub common_name: Option<String>,
    /// All organizations, in order.
    pub organizations: Vec<String>,
    /// Whether the subject has a common name, organizations and nothing else, and only one common name.
    pub has_plain_subject: bool,
    /// The names asked for.
    pub subject_alt_names: Vec<SubjectAltName>,
    /// The key usages asked for, if any.
    pub key_usage: Option<u16>,
    /// The extended key usages asked for, dotted.
    pub extended_key_usage: Vec<String>,
    /// Whether a CA's certificate is asked for.
    pub is_ca: bool,
    /// Numbers of whatever else is asked for.
    pub other_extensions: Vec<String>,
    /// Numbers of attributes that ask for no extensions, a challenge password, say.
    pub other_attributes: Vec<String>,
    /// DER of the SubjectPublicKeyInfo.
    pub public_key_der: Vec<u8>,
}

const LABEL: &str = "CERTIFICATE REQUEST";
/// What old programs write.
const OLD_LABEL: &str = "NEW CERTIFICATE REQUEST";
const ATTRIBUTES: u8 = 0xa0;
/// PKCS#9's extensionRequest.
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";

impl CertificateRequest {
    /// Reads a PEM file that holds one request and no other block, and checks its signature.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, RequestError> {
        let mut blocks = armour::blocks(text);
        let Some(block) = blocks.next() else {
            return Err(RequestError::Pem("holds no PEM block".to_owned()));
        };
        if block.label != LABEL && block.label != OLD_LABEL {
            return Err(RequestError::Pem(format!(
                "holds a {} and no {LABEL}",
                block.label
            )));
        }
        if blocks.next().is_some() {
            return Err(RequestError::Pem(
                "holds more than one PEM block, so it is not clear what is to be signed".to_owned(),
            ));
        }
        let der = block.contents().map_err(RequestError::Pem)?;
        Self::from_der(&der)
    }

    /// The same of a text that is this one block as Go and OpenSSL write it, and nothing else: no headers, no other text, no other
    /// length of lines. So no other program can find another block in it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_plain_pem(text: &[u8]) -> Result<Self, RequestError> {
        let request = Self::from_pem(text)?;
        let block = armour::blocks(text).next();
        let der = block.and_then(|block| block.contents().ok());
        let written = der.map(|der| armour::encode(LABEL, &der));
        let is_plain =
            written.is_some_and(|plain| plain.trim_end().as_bytes() == text.trim_ascii_end());
        if is_plain {
            Ok(request)
        } else {
            Err(RequestError::Pem(
                "is not one PEM block as Go and OpenSSL write it, without headers or text around it"
                    .to_owned(),
            ))
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        let damaged = |error: Malformed| RequestError::Der(format!("it {error}"));
        let mut input = Reader::new(der);
        let whole = input.expect(der::SEQUENCE).map_err(damaged)?;
        if !input.is_empty() {
            return Err(RequestError::Der("more follows it".to_owned()));
        }
        let mut outer = whole.inside();
        let signed = outer.expect(der::SEQUENCE).map_err(damaged)?;
        let algorithm = outer.expect(der::SEQUENCE).map_err(damaged)?;
        let signature = outer.expect(der::BIT_STRING).map_err(damaged)?;
        if !outer.is_empty() {
            return Err(RequestError::Der(
                "something follows its signature".to_owned(),
            ));
        }
        let mut inner = signed.inside();
        inner.expect(der::INTEGER).map_err(damaged)?;
        let subject = inner.expect(der::SEQUENCE).map_err(damaged)?;
        let public_key = inner.expect(der::SEQUENCE).map_err(damaged)?;
        let mut asked = Asked::default();
        while !inner.is_empty() {
            let field = inner.next().map_err(damaged)?;
            if field.tag != ATTRIBUTES {
                return Err(RequestError::Der(
                    "it has a field that PKCS#10 does not know".to_owned(),
                ));
            }
            asked.read(field).map_err(damaged)?;
        }
        let parts = Signed {
            signed: signed.whole,
            algorithm: algorithm.whole,
            inner_algorithm: algorithm.whole,
            signature: signature.bytes_of_bits(),
        };
        match signature::check_signed(&parts, public_key.whole) {
            SignedBy::Yes => {}
            SignedBy::No => return Err(RequestError::Signature),
            SignedBy::Unchecked(why) => return Err(RequestError::Unchecked(why)),
        }
        Self::of(subject, public_key, asked)
    }

    fn of(
        subject: Element<'_>,
        public_key: Element<'_>,
        asked: Asked,
    ) -> Result<Self, RequestError> {
        let extensions = asked.extensions;
        if let Some(twice) = extension::first_repeated(&extensions) {
            return Err(RequestError::Der(format!(
                "it asks for the extension {} twice",
                twice.number()
            )));
        }
        let mut request = Self {
            subject: name::text(subject.whole),
            subject_der: subject.whole.to_vec(),
            common_name: name::common_name(subject.whole),
            organizations: name::organizations(subject.whole),
            has_plain_subject: name::is_plain(subject.whole),
            subject_alt_names: Vec::new(),
            key_usage: None,
            extended_key_usage: Vec::new(),
            is_ca: false,
            other_extensions: Vec::new(),
            other_attributes: asked.other,
            public_key_der: public_key.whole.to_vec(),
        };
        for extension in &extensions {
            let value = extension.value.as_slice();
            let unreadable = || {
                RequestError::Der(format!(
                    "its extension {} cannot be read",
                    extension.number()
                ))
            };
            if !is_one_element(value) {
                return Err(unreadable());
            }
            if extension.is(extension::SUBJECT_ALT_NAME) {
                request.subject_alt_names =
                    extension::subject_alt_names(value).ok_or_else(unreadable)?;
            } else if extension.is(extension::KEY_USAGE) {
                request.key_usage = Some(extension::key_usages(value).ok_or_else(unreadable)?);
            } else if extension.is(extension::EXTENDED_KEY_USAGE) {
                request.extended_key_usage =
                    extension::extended_key_usages(value).ok_or_else(unreadable)?;
            } else if extension.is(extension::BASIC_CONSTRAINTS) {
                request.is_ca = extension::is_ca(value).ok_or_else(unreadable)?;
            } else if !extension.is(extension::SUBJECT_KEY_ID) {
                // The subject key identifier says nothing that the key does not.
                request.other_extensions.push(extension.number());
            }
        }
        Ok(request)
    }

    /// Whether a certificate is for this request's key.
    #[must_use]
    pub fn is_of_key_of(&self, certificate: &Certificate) -> bool {
        same_public_key(&self.public_key_der, &certificate.public_key_der)
    }

    /// The kind of its key.
    #[must_use]
    pub fn key_kind(&self) -> KeyKind {
        KeyKind::of_public_key(&self.public_key_der)
    }

    /// Whether it asks for something that only authorities have: a CA's basic constraints, or to sign certificates or lists of
    /// revoked ones.
    #[must_use]
    pub fn asks_for_authority(&self) -> bool {
        let signing = key_usage::KEY_CERT_SIGN | key_usage::CRL_SIGN;
        self.is_ca || self.key_usage.is_some_and(|bits| bits & signing != 0)
    }

    /// Whether the subject's texts are of the two kinds that Go writes, which every reader understands alike.
    #[must_use]
    pub fn has_usual_strings(&self) -> bool {
        name::has_usual_strings(&self.subject_der)
    }

    /// Whether it asks for another key usage than digitalSignature and keyEncipherment.
    #[must_use]
    pub fn asks_for_more_key_usages(&self) -> bool {
        let usual = key_usage::DIGITAL_SIGNATURE | key_usage::KEY_ENCIPHERMENT;
        self.key_usage.is_some_and(|bits| bits & !usual != 0)
    }
}

/// What the attributes ask for.
#[derive(Default)]
struct Asked {
    extensions: Vec<Extension>,
    /// Numbers of attributes that say nothing about the certificate.
    other: Vec<String>,
}

impl Asked {
    fn read(&mut self, attributes: Element<'_>) -> Result<(), Malformed> {
        let mut inside = attributes.inside();
        while !inside.is_empty() {
            let mut attribute = inside.expect(der::SEQUENCE)?.inside();
            let number = der::dotted(attribute.expect(der::OBJECT_IDENTIFIER)?.contents);
            let values = attribute.expect(der::SET)?;
            if number != EXTENSION_REQUEST {
                self.other.push(number);
                continue;
            }
            // One reader would take the first of several lists, another the last.
            if !is_one_element(values.contents) {
                return Err(Malformed("asks for extensions in more than one list"));
            }
            self.extensions.extend(extension::extensions(values)?);
        }
        Ok(())
    }
}

/// Whether nothing follows the first element.
fn is_one_element(der: &[u8]) -> bool {
    let mut reader = Reader::new(der);
    reader.next().is_ok() && reader.is_empty()
}

/// A request for `subject` with these extensions, signed with `key`: PEM.
pub(super) fn encode(
    subject: &[u8],
    extensions: &[Extension],
    key: &PrivateKey,
) -> Result<String, IssueError> {
    let list: Vec<&[u8]> = extensions
        .iter()
        .map(|extension| extension.der.as_slice())
        .collect();
    // An empty set where nothing is asked for, as Go and OpenSSL write it.
    let attributes = yasna::construct_der(|writer| {
        writer.write_tagged_implicit(Tag::context(0), |writer| {
            writer.write_set_of(|writer| {
                if list.is_empty() {
                    return;
                }
                writer.next().write_sequence(|writer| {
                    let number = der::oid(&[1, 2, 840, 113_549, 1, 9, 14]);
                    writer.next().write_der(&number);
                    writer.next().write_set_of(|writer| {
                        writer.next().write_der(&der::sequence(&list));
                    });
                });
            });
        });
    });
    let version = yasna::construct_der(|writer| writer.write_u8(0));
    let signed = der::sequence(&[version, subject.to_vec(), key.public_key_der(), attributes]);
    let signature = key
        .sign(&signed)
        .map_err(|_| IssueError::Signing("the new key made no signature".to_owned()))?;
    let request = der::sequence(&[
        signed,
        key.signature_algorithm(),
        der::bit_string(&signature),
    ]);
    Ok(armour::encode(LABEL, &request).to_string())
}

#[cfg(test)]
pub(crate) mod crafted;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::pki::{KeyAlgorithm, NewLeaf};

    fn leaf() -> NewLeaf {
        NewLeaf {
            common_name: "cp-1".to_owned(),
            organizations: vec!["system:nodes".to_owned()],
            subject_alt_names: vec![
                SubjectAltName::Dns("cp-1".to_owned()),
                SubjectAltName::Ip("2001:db8::1".parse().unwrap()),
            ],
            server_auth: true,
            client_auth: true,
        }
    }

    #[test]
    fn what_is_written_is_read_for_every_kind_of_key() {
        for algorithm in [
            KeyAlgorithm::Rsa2048,
            KeyAlgorithm::EcdsaP256,
            KeyAlgorithm::EcdsaP384,
            KeyAlgorithm::Ed25519,
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let pem = leaf().request(&key).unwrap();
            let read = CertificateRequest::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(read.common_name.as_deref(), Some("cp-1"));
            assert_eq!(read.organizations, ["system:nodes"]);
            assert_eq!(read.subject_alt_names, leaf().subject_alt_names);
            assert_eq!(
                read.extended_key_usage,
                ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]
            );
            assert!(!read.asks_for_more_key_usages() && read.has_plain_subject);
            assert_eq!(read.key_kind().made(), Some(algorithm));
        }
    }

    #[test]
    fn a_changed_request_is_refused() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let pem = leaf().request(&key).unwrap();
        let block = armour::blocks(pem.as_bytes()).next().unwrap();
        let mut der = block.contents().unwrap().to_vec();
        let place = der.windows(4).position(|bytes| bytes == b"cp-1").unwrap();
        der[place + 3] = b'2';
        assert_eq!(
            CertificateRequest::from_der(&der),
            Err(RequestError::Signature)
        );
        der.push(0);
        assert!(matches!(
            CertificateRequest::from_der(&der),
            Err(RequestError::Der(_))
        ));
    }

    #[test]
    fn one_block_and_nothing_else_is_signed() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let pem = leaf().request(&key).unwrap();
        for text in [String::new(), pem.repeat(2), pem.replace(" REQUEST", "")] {
            assert!(matches!(
                CertificateRequest::from_pem(text.as_bytes()),
                Err(RequestError::Pem(_))
            ));
        }
    }

    #[test]
    fn a_plain_block_is_told_from_one_with_anything_beside_it() {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let pem = leaf().request(&key).unwrap();
        let read = |text: &str| CertificateRequest::from_plain_pem(text.as_bytes());
        assert!(read(&pem).is_ok() && read(pem.trim_end()).is_ok());
        for text in [
            format!("x\n{pem}"),
            format!("{pem}x\n"),
            pem.replace("REQUEST-----\nM", "REQUEST-----\nA: b\n\nM"),
            pem.replace("CERT", "NEW CERT"),
            pem.replacen('\n', "\r\n", 2),
            // Another block to Go, and none to this program.
            format!("{pem}{}", pem.replace("CERTIFICATE", "Certificate")),
        ] {
            assert!(matches!(read(&text), Err(RequestError::Pem(_))), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = CertificateRequest::from_plain_pem(&bytes);
            let _ = CertificateRequest::from_der(&bytes);
            let _ = CertificateRequest::from_pem(&bytes);
        }
    }
}
