//! Where the parts of a certificate lie in its DER.
//!
//! Only what is needed here is understood. Whatever else there is stays as bytes, so that an odd certificate is read as
//! far as it goes: Kubernetes' own reader may well take it.

use jiff::Timestamp;

use super::der::{self, Element, Malformed, Reader};
use super::extension::{self, Extension};

/// The parts of a certificate.
pub(super) struct Layout<'der> {
    /// What is signed.
    pub(super) signed: &'der [u8],
    /// The serial number's bytes.
    pub(super) serial: &'der [u8],
    /// The AlgorithmIdentifier within what is signed.
    pub(super) inner_algorithm: &'der [u8],
    pub(super) issuer: &'der [u8],
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) subject: &'der [u8],
    /// The SubjectPublicKeyInfo.
    pub(super) public_key: &'der [u8],
    pub(super) extensions: Vec<Extension>,
    /// Whether it has fields that a successor does not get: unique identifiers, and what X.509 does not know.
    pub(super) has_other_fields: bool,
    /// The AlgorithmIdentifier of the signature.
    pub(super) algorithm: &'der [u8],
    /// The signature, if it is whole bytes.
    pub(super) signature: Option<&'der [u8]>,
}

const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

impl<'der> Layout<'der> {
    /// Takes a certificate apart; nothing may follow it.
    ///
    /// # Errors
    /// A sentence that begins with the part.
    pub(super) fn of(der: &'der [u8]) -> Result<Self, String> {
        let mut input = Reader::new(der);
        let certificate = input.expect(der::SEQUENCE).map_err(part("the whole"))?;
        if !input.is_empty() {
            return Err(format!("{} bytes follow the certificate", input.len()));
        }
        let mut outer = certificate.inside();
        let signed = outer
            .expect(der::SEQUENCE)
            .map_err(part("what is signed"))?;
        let algorithm = outer
            .expect(der::SEQUENCE)
            .map_err(part("its signature's algorithm"))?;
        let signature = outer
            .expect(der::BIT_STRING)
            .map_err(part("its signature"))?;

        let mut inner = signed.inside();
        let mut has_other_fields = false;
        inner.optional(VERSION).map_err(part("its version"))?;
        let serial = inner
            .expect(der::INTEGER)
            .map_err(part("its serial number"))?;
        let inner_algorithm = inner
            .expect(der::SEQUENCE)
            .map_err(part("its signature's algorithm"))?;
        let issuer = inner.expect(der::SEQUENCE).map_err(part("its issuer"))?;
        let validity = inner.expect(der::SEQUENCE).map_err(part("its validity"))?;
        let mut times = validity.inside();
        let not_before = time(times.next(), "the beginning of its validity")?;
        let not_after = time(times.next(), "the end of its validity")?;
        let subject = inner.expect(der::SEQUENCE).map_err(part("its subject"))?;
        let public_key = inner
            .expect(der::SEQUENCE)
            .map_err(part("its public key"))?;
        let mut extensions = Vec::new();
        while !inner.is_empty() {
            let field = inner.next().map_err(part("what follows its public key"))?;
            if field.tag == EXTENSIONS && extensions.is_empty() {
                extensions =
                    extension::extensions(field).map_err(part("its list of extensions"))?;
            } else {
                has_other_fields = true;
            }
        }
        Ok(Self {
            signed: signed.whole,
            serial: serial.contents,
            inner_algorithm: inner_algorithm.whole,
            issuer: issuer.whole,
            not_before,
            not_after,
            subject: subject.whole,
            public_key: public_key.whole,
            extensions,
            has_other_fields,
            algorithm: algorithm.whole,
            signature: signature.bytes_of_bits(),
        })
    }
}

fn part(name: &str) -> impl Fn(Malformed) -> String {
    move |error| format!("{name} {error}")
}

fn time(element: Result<Element<'_>, Malformed>, name: &str) -> Result<Timestamp, String> {
    let element = element.map_err(part(name))?;
    der::moment(element).ok_or_else(|| format!("{name} is no date"))
}
