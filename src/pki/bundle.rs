//! Certificates in whatever form a CA hands them out: PEM, DER or PKCS#7, one or many, in any order.
//!
//! Others write these bytes. At most [`MOST`] certificates are read of them, nothing of them is run through more than once, and
//! what is damaged is an error, never a part of the answer.

use super::der::{self, Element, Malformed, Reader};
use super::{Certificate, CertificateError, armour};

/// More than any CA sends along.
const MOST: usize = 64;

/// PKCS#7's signedData.
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 2];

/// A field that is tagged with 0 and holds others.
const FIELD_0: u8 = 0xa0;

/// Every certificate in `bytes`, in their order. Blocks of a PEM file that hold something else are skipped.
///
/// # Errors
/// [`CertificateError`]: there is none, there are too many, or something in it is damaged.
pub fn certificates_in(bytes: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut found = Vec::new();
    let mut skipped = None;
    if is_der(bytes) {
        from_der(bytes, &mut found)?;
    } else {
        for block in armour::blocks(bytes) {
            let contents = || block.contents().map_err(CertificateError::Pem);
            match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" | "PKCS7" | "CMS" => {
                    from_der(&contents()?, &mut found)?;
                }
                // What an administrator trusts it for follows the certificate.
                "TRUSTED CERTIFICATE" => {
                    let contents = contents()?;
                    let first = Reader::new(&contents).next().map_err(damaged)?;
                    push(first.whole, &mut found)?;
                }
                _ => {
                    skipped.get_or_insert(block.label);
                }
            }
        }
    }
    if found.is_empty() {
        return Err(CertificateError::NoCertificate(skipped));
    }
    Ok(found)
}

/// Text, which may begin with anything, has armour in it.
fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&der::SEQUENCE) && armour::blocks(bytes).next().is_none()
}

/// Certificates and PKCS#7 one after the other.
fn from_der(bytes: &[u8], found: &mut Vec<Certificate>) -> Result<(), CertificateError> {
    let mut rest = Reader::new(bytes);
    while !rest.is_empty() {
        let whole = rest.expect(der::SEQUENCE).map_err(damaged)?;
        if whole.inside().tag() == Some(der::OBJECT_IDENTIFIER) {
            for certificate in of_signed_data(whole).map_err(damaged)? {
                push(certificate.whole, found)?;
            }
        } else {
            push(whole.whole, found)?;
        }
    }
    Ok(())
}

fn push(der: &[u8], found: &mut Vec<Certificate>) -> Result<(), CertificateError> {
    if found.len() == MOST {
        return Err(CertificateError::Der(format!(
            "more than {MOST} of them, which no CA sends"
        )));
    }
    found.push(Certificate::from_der(der)?);
    Ok(())
}

/// The certificates that a PKCS#7 message has along; whether and by whom it is signed does not matter.
fn of_signed_data(message: Element<'_>) -> Result<Vec<Element<'_>>, Malformed> {
    let mut inside = message.inside();
    let kind = inside.expect(der::OBJECT_IDENTIFIER)?;
    if kind.whole != der::oid(SIGNED_DATA) {
        return Err(Malformed("is PKCS#7, but not of the kind signed-data"));
    }
    let mut signed = inside
        .expect(FIELD_0)?
        .inside()
        .expect(der::SEQUENCE)?
        .inside();
    signed.expect(der::INTEGER)?;
    signed.expect(der::SET)?;
    signed.expect(der::SEQUENCE)?;
    let mut certificates = Vec::new();
    if let Some(field) = signed.optional(FIELD_0)? {
        let mut inside = field.inside();
        while !inside.is_empty() {
            let one = inside.next()?;
            // The other forms that it may have are no certificates of X.509.
            if one.tag == der::SEQUENCE {
                certificates.push(one);
            }
        }
    }
    Ok(certificates)
}

fn damaged(malformed: Malformed) -> CertificateError {
    CertificateError::Der(format!("it {malformed}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, certificates_to_pem};
    use jiff::{SignedDuration, Timestamp};

    fn one() -> Certificate {
        let not_before = Timestamp::UNIX_EPOCH;
        CertificateAuthority::generate(&NewAuthority {
            common_name: "ca".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before,
            not_after: not_before + SignedDuration::from_hours(1),
        })
        .unwrap()
        .certificate()
        .clone()
    }

    fn tagged(contents: &[u8]) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_tagged_implicit(yasna::Tag::context(0), |writer| {
                writer.write_sequence(|writer| writer.next().write_der(contents));
            });
        })
    }

    fn message(kind: &[u64], certificates: &[u8]) -> Vec<u8> {
        let signed = der::sequence(&[
            der::element(der::INTEGER, &[1]),
            vec![der::SET, 0],
            der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 7, 1])]),
            tagged(certificates),
            vec![der::SET, 0],
        ]);
        der::sequence(&[der::oid(kind), tagged(&signed)])
    }

    #[test]
    fn der_and_pkcs7_may_follow_one_another() {
        let one = one();
        let pkcs7 = message(SIGNED_DATA, one.der());
        for (bytes, count) in [
            (one.der().to_vec(), 1),
            (pkcs7.clone(), 1),
            ([one.der(), &pkcs7, one.der()].concat(), 3),
            (armour::encode("PKCS7", &pkcs7).as_bytes().to_vec(), 1),
        ] {
            let found = certificates_in(&bytes).unwrap();
            assert_eq!(found, vec![one.clone(); count]);
        }
    }

    #[test]
    fn what_is_none_too_much_or_cut_off_is_an_error() {
        let one = one();
        let text = certificates_to_pem([&one]);
        let mut cut = message(SIGNED_DATA, one.der());
        cut.truncate(cut.len() - 40);
        // A length that BER leaves open, as some programs write PKCS#7.
        let open = [&[der::SEQUENCE, 0x80][..], one.der(), &[0, 0]].concat();
        for (bytes, why) in [
            (b"".to_vec(), "no PEM block CERTIFICATE found"),
            (b"{\"certificate\":null}".to_vec(), "no PEM block"),
            (
                b"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"
                    .to_vec(),
                "found CERTIFICATE REQUEST",
            ),
            (
                message(&[1, 2, 840, 113_549, 1, 7, 3], one.der()),
                "not of the kind signed-data",
            ),
            (cut, "ends too soon"),
            (open, "BER and not DER"),
            (text.repeat(MOST + 1).into_bytes(), "more than 64"),
            (one.der().repeat(MOST + 1), "more than 64"),
            (text.as_bytes()[..200].to_vec(), "may be cut off"),
            ([one.der(), b"\n"].concat(), "damaged"),
        ] {
            let error = certificates_in(&bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
