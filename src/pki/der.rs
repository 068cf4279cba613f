//! The little DER that X.509 needs: taking it apart without touching what is inside, and putting it together again.
//!
//! Reading goes as far as Go's parser does, which every component of Kubernetes uses: lengths in their shortest form,
//! tag numbers below 31. What an element means is up to the caller.

use super::moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use yasna::models::ObjectIdentifier;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Why bytes are not what they should be, as the end of a sentence about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// One element: tag, length, contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'der> {
    /// The identifier octet.
    pub(super) tag: u8,
    /// All of it.
    pub(super) whole: &'der [u8],
    /// What is in it.
    pub(super) contents: &'der [u8],
}

impl<'der> Element<'der> {
    /// The elements in it.
    pub(super) fn inside(self) -> Reader<'der> {
        Reader(self.contents)
    }

    /// The bytes of a BIT STRING whose last byte is whole.
    pub(super) fn bytes_of_bits(self) -> Option<&'der [u8]> {
        match self.contents {
            [0, bytes @ ..] if self.tag == BIT_STRING => Some(bytes),
            _ => None,
        }
    }
}

/// Elements, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'der>(&'der [u8]);

impl<'der> Reader<'der> {
    pub(super) fn new(der: &'der [u8]) -> Self {
        Self(der)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    /// The tag of the next element, if there is one.
    pub(super) fn tag(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Result<Element<'der>, Malformed> {
        const CUT_OFF: Malformed = Malformed("ends too soon");
        let all = self.0;
        let (&tag, rest) = all.split_first().ok_or(CUT_OFF)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed("has a tag number above 30"));
        }
        let (&first, rest) = rest.split_first().ok_or(CUT_OFF)?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x80 => {
                return Err(Malformed(
                    "has an indefinite length, which is BER and not DER",
                ));
            }
            _ => {
                let (bytes, rest) = rest
                    .split_at_checked(usize::from(first & 0x7f))
                    .ok_or(CUT_OFF)?;
                if bytes.len() > size_of::<u32>() {
                    return Err(CUT_OFF);
                }
                let length = bytes
                    .iter()
                    .fold(0_usize, |length, &byte| (length << 8) | usize::from(byte));
                if bytes.first() == Some(&0) || length <= 0x7f {
                    return Err(Malformed(
                        "has a length that is not in its shortest form, which is BER and not DER",
                    ));
                }
                (length, rest)
            }
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or(CUT_OFF)?;
        self.0 = rest;
        let whole = all.get(..all.len() - rest.len()).unwrap_or_default();
        Ok(Element {
            tag,
            whole,
            contents,
        })
    }

    /// The next element, which has to be of that kind.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'der>, Malformed> {
        let element = self.next()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(Malformed("is not what X.509 has there"))
        }
    }

    /// The next element, if it is of that kind.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'der>>, Malformed> {
        if self.tag() == Some(tag) {
            self.next().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The elements of a SEQUENCE; what follows it does not matter.
pub(super) fn elements(sequence: &[u8]) -> Result<Vec<Element<'_>>, Malformed> {
    let mut inside = Reader::new(sequence).expect(SEQUENCE)?.inside();
    let mut elements = Vec::new();
    while !inside.is_empty() {
        elements.push(inside.next()?);
    }
    Ok(elements)
}

/// The contents of an OBJECT IDENTIFIER with dots; in hexadecimal where they are none, or too large for that.
pub(super) fn dotted(contents: &[u8]) -> String {
    arcs(contents).map_or_else(
        || format!("0x{}", crate::host::hexadecimal(contents)),
        |arcs| {
            let arcs: Vec<String> = arcs.iter().map(u128::to_string).collect();
            arcs.join(".")
        },
    )
}

fn arcs(contents: &[u8]) -> Option<Vec<u128>> {
    let mut arcs = Vec::new();
    let mut arc: u128 = 0;
    for &byte in contents {
        // More would be shifted out at the top.
        if arc >> 121 != 0 {
            return None;
        }
        arc = (arc << 7) | u128::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first);
                arc -= first * 40;
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    (contents.last()? & 0x80 == 0).then_some(arcs)
}

/// A UTCTime or GeneralizedTime, in the forms that Go takes and with fractions of a second, which are dropped: seconds may
/// be missing from a UTCTime, and the zone may be an offset. Moments beyond what a [`Timestamp`] can say are kept as [`moment`](mod@moment) says.
pub(super) fn moment(element: Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(element.contents).ok()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        None => rest,
    };
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
    let small = |at: usize| i8::try_from(number(at, at + 2)?).ok();
    let (year, at) = match (element.tag, digits.len()) {
        (UTC_TIME, 10 | 12) => {
            let year = number(0, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let second = if digits.len() > at + 8 {
        small(at + 8)?
    } else {
        0
    };
    let local = DateTime::new(
        year,
        small(at)?,
        small(at + 2)?,
        small(at + 4)?,
        small(at + 6)?,
        second,
        0,
    )
    .ok()?;
    let seconds = local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let seconds = seconds.as_secs() - i64::from(offset(zone)?.seconds());
    Some(moment::from_second(seconds))
}

/// `Z`, `+0130`
fn offset(zone: &str) -> Option<Offset> {
    if zone == "Z" {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if minutes >= 60 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
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

/// An element of a primitive, universal kind with contents that are encoded already.
pub(super) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let tag = yasna::Tag {
        tag_class: yasna::TagClass::Universal,
        tag_number: u64::from(tag),
    };
    yasna::construct_der(|writer| {
        writer.write_tagged_implicit(tag, |writer| writer.write_bytes(contents));
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
    fn moments_are_read_in_every_form_that_go_takes() {
        let read = |tag, text: &str| {
            let contents = text.as_bytes();
            moment(Element {
                tag,
                whole: contents,
                contents,
            })
        };
        for (tag, text, expected) in [
            (UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z"),
            (UTC_TIME, "500101000000Z", "1950-01-01T00:00:00Z"),
            (UTC_TIME, "2701020304Z", "2027-01-02T03:04:00Z"),
            (UTC_TIME, "270102030405+0130", "2027-01-02T01:34:05Z"),
            (GENERALIZED_TIME, "20270102030405Z", "2027-01-02T03:04:05Z"),
            (
                GENERALIZED_TIME,
                "20270102030405.123Z",
                "2027-01-02T03:04:05Z",
            ),
            (GENERALIZED_TIME, "00000101000000Z", "0000-01-01T00:00:00Z"),
        ] {
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(read(tag, text), Some(expected), "{text}");
        }
        assert_eq!(
            read(GENERALIZED_TIME, "99991231235959Z"),
            Some(moment::from_second(253_402_300_799))
        );
        for (tag, text) in [
            (UTC_TIME, "271302030405Z"),
            (UTC_TIME, "270102030405"),
            (UTC_TIME, "27010203Z"),
            (UTC_TIME, "-70102030405Z"),
            (GENERALIZED_TIME, "20270230000000Z"),
            (GENERALIZED_TIME, "20270102030405+9"),
            (GENERALIZED_TIME, "20270102030405+0160"),
            (INTEGER, "270102030405Z"),
        ] {
            assert_eq!(read(tag, text), None, "{text}");
        }
    }

    #[test]
    fn a_sequence_comes_apart_into_what_it_was_made_of() {
        let parts = vec![oid(&[2, 5, 29, 15]), bit_string(&[1, 2])];
        let sequence = sequence(&parts);
        let wholes: Vec<&[u8]> = elements(&sequence)
            .unwrap()
            .iter()
            .map(|element| element.whole)
            .collect();
        assert_eq!(wholes, parts);
    }

    #[test]
    fn what_go_does_not_read_is_refused_with_a_reason() {
        for (der, reason) in [
            (b"\x30\x03\x02".as_slice(), "ends too soon"),
            (b"\x30", "ends too soon"),
            (b"\x30\x84\xff\xff\xff\xff\x00", "ends too soon"),
            (
                b"\x30\x89\x01\x00\x00\x00\x00\x00\x00\x00\x00",
                "ends too soon",
            ),
            (b"\x30\x80\x00\x00", "indefinite length"),
            (b"\x30\x81\x00", "shortest form"),
            (b"\x30\x82\x00\x80", "shortest form"),
            (b"\x1f\x81\x00", "above 30"),
        ] {
            let error = Reader::new(der).next().unwrap_err();
            assert!(error.0.contains(reason), "{der:02x?}: {error}");
        }
    }

    #[test]
    fn numbers_have_dots() {
        assert_eq!(dotted(&[0x55, 0x1d, 0x0f]), "2.5.29.15");
        assert_eq!(dotted(&[0x2b, 0x65, 0x70]), "1.3.101.112");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        for odd in [&[][..], &[0x80], &[[0xff; 20].as_slice(), &[1]].concat()] {
            assert!(dotted(odd).starts_with("0x"), "{odd:02x?}");
        }
    }
}
