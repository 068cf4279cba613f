//! The little DER that X.509 needs beyond reading: taking sequences apart without touching their elements, and putting
//! them together again.

use super::moment;
use jiff::Timestamp;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};

/// The elements of a SEQUENCE, each with its tag and length.
pub(super) fn elements(sequence: &[u8]) -> yasna::ASN1Result<Vec<Vec<u8>>> {
    yasna::parse_der(sequence, |reader| {
        reader.collect_sequence_of(|reader| reader.read_der())
    })
}

/// A SEQUENCE of elements that are encoded already.
pub(super) fn sequence<T: AsRef<[u8]>>(elements: &[T]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for element in elements {
                writer.next().write_der(element.as_ref());
            }
        });
    })
}

/// An OBJECT IDENTIFIER.
pub(super) fn oid(components: &[u64]) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_oid(&ObjectIdentifier::from_slice(components)))
}

/// A BIT STRING of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_bitvec_bytes(bytes, bytes.len() * 8))
}

/// A Time as RFC 5280 §4.1.2.5 wants it: UTCTime up to 2049, GeneralizedTime from 2050, whole seconds.
pub(super) fn time(timestamp: Timestamp) -> Vec<u8> {
    let utc = moment::civil(timestamp);
    let (tag, format) = if (1950..2050).contains(&utc.year()) {
        (TAG_UTCTIME, "%y%m%d%H%M%SZ")
    } else {
        (TAG_GENERALIZEDTIME, "%Y%m%d%H%M%SZ")
    };
    let text = utc.strftime(format).to_string();
    yasna::construct_der(|writer| {
        writer.write_tagged_implicit(tag, |writer| writer.write_bytes(text.as_bytes()));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_changes_its_form_in_2050() {
        let before: Timestamp = "2049-12-31T23:59:59.9Z".parse().unwrap();
        assert_eq!(time(before), b"\x17\x0d491231235959Z");
        let after: Timestamp = "2050-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(time(after), b"\x18\x0f20500101000000Z");
    }

    #[test]
    fn a_sequence_comes_apart_into_what_it_was_made_of() {
        let parts = vec![oid(&[2, 5, 29, 15]), bit_string(&[1, 2])];
        assert_eq!(elements(&sequence(&parts)).unwrap(), parts);
        assert!(elements(b"\x30\x03\x02").is_err());
    }
}
