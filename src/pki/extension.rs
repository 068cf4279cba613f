//! Extensions of a certificate, exactly as they are, and those that kubeadm's certificates have.

use std::collections::BTreeSet;

use x509_parser::asn1_rs::{FromDer as _, Oid};
use yasna::Tag;

use super::{SubjectAltName, der};

pub(super) const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];
pub(super) const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
pub(super) const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
pub(super) const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
pub(super) const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];
pub(super) const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extension {
    /// The whole extension as DER: what is copied.
    pub(super) der: Vec<u8>,
    /// Its OBJECT IDENTIFIER as DER: kept as bytes, as an arc may be larger than any integer type.
    oid: Vec<u8>,
    /// Whether those who do not know it must refuse the certificate.
    pub(super) critical: bool,
    /// The contents of its OCTET STRING.
    pub(super) value: Vec<u8>,
}

/// All extensions of a TBSCertificate, in order.
pub(super) fn extensions(tbs_certificate: &[u8]) -> yasna::ASN1Result<Vec<Extension>> {
    let explicit = Tag::context(3);
    for element in der::elements(tbs_certificate)? {
        if tag(&element)? == explicit {
            let list = yasna::parse_der(&element, |reader| {
                reader.read_tagged(explicit, |reader| {
                    reader.collect_sequence_of(|reader| reader.read_der())
                })
            })?;
            return list.into_iter().map(Extension::from_der).collect();
        }
    }
    Ok(Vec::new())
}

/// The first extension of a kind that was there before.
pub(super) fn first_repeated(extensions: &[Extension]) -> Option<&Extension> {
    let mut seen = BTreeSet::new();
    extensions
        .iter()
        .find(|extension| !seen.insert(&extension.oid))
}

impl Extension {
    /// A new one.
    pub(super) fn new(oid: &[u64], critical: bool, value: Vec<u8>) -> Self {
        let oid = der::oid(oid);
        let der = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&oid);
                if critical {
                    writer.next().write_bool(true);
                }
                writer.next().write_bytes(&value);
            });
        });
        Self {
            der,
            oid,
            critical,
            value,
        }
    }

    fn from_der(der: Vec<u8>) -> yasna::ASN1Result<Self> {
        let (oid, critical, value) = yasna::parse_der(&der, |reader| {
            reader.read_sequence(|reader| {
                Ok((
                    reader.next().read_der()?,
                    // An explicit FALSE is not DER, but Go and OpenSSL take it.
                    reader
                        .read_optional(|reader| reader.read_bool())?
                        .unwrap_or(false),
                    reader.next().read_bytes()?,
                ))
            })
        })?;
        Ok(Self {
            der,
            oid,
            critical,
            value,
        })
    }

    /// Whether it is the one of that number.
    pub(super) fn is(&self, oid: &[u64]) -> bool {
        self.oid == der::oid(oid)
    }

    /// Whether both are of one kind.
    pub(super) fn same_kind(&self, other: &Self) -> bool {
        self.oid == other.oid
    }

    /// Its number with dots.
    pub(super) fn number(&self) -> String {
        dotted(&self.oid)
    }

    /// Key usage bits, bit 0 being digitalSignature; always critical as Go writes it.
    pub(super) fn key_usage(bits: u16) -> Self {
        let bytes = bits.reverse_bits().to_be_bytes();
        // DER cuts trailing zero bits off, so the second byte appears only for decipherOnly.
        let length = (u16::BITS - bits.leading_zeros()) as usize;
        let bytes = bytes.get(..length.div_ceil(8)).unwrap_or(&bytes);
        let value = yasna::construct_der(|writer| writer.write_bitvec_bytes(bytes, length));
        Self::new(KEY_USAGE, true, value)
    }

    /// Extended key usages.
    pub(super) fn extended_key_usage(usages: &[&[u64]]) -> Self {
        let usages: Vec<Vec<u8>> = usages.iter().map(|oid| der::oid(oid)).collect();
        Self::new(EXTENDED_KEY_USAGE, false, der::sequence(&usages))
    }

    /// Basic constraints without a path length.
    pub(super) fn basic_constraints(is_ca: bool) -> Self {
        let value = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                if is_ca {
                    writer.next().write_bool(true);
                }
            });
        });
        Self::new(BASIC_CONSTRAINTS, true, value)
    }

    /// Subject key identifier.
    pub(super) fn subject_key_id(key_id: &[u8]) -> Self {
        let value = yasna::construct_der(|writer| writer.write_bytes(key_id));
        Self::new(SUBJECT_KEY_ID, false, value)
    }

    /// Authority key identifier, by key only.
    pub(super) fn authority_key_id(key_id: &[u8]) -> Self {
        let value = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer
                    .next()
                    .write_tagged_implicit(Tag::context(0), |writer| writer.write_bytes(key_id));
            });
        });
        Self::new(AUTHORITY_KEY_ID, false, value)
    }

    /// Subject alternative names; critical when there is no subject.
    pub(super) fn subject_alt_name(names: &[SubjectAltName], critical: bool) -> Self {
        let names: Vec<Vec<u8>> = names.iter().map(general_name).collect();
        Self::new(SUBJECT_ALT_NAME, critical, der::sequence(&names))
    }
}

/// The names of a subjectAltName extension's value.
pub(super) fn subject_alt_names(value: &[u8]) -> yasna::ASN1Result<Vec<SubjectAltName>> {
    der::elements(value)?
        .into_iter()
        .map(|raw| {
            let name = yasna::parse_der(&raw, |reader| reader.read_tagged_der())?;
            let text = || String::from_utf8(name.value().to_vec()).ok();
            let known = if name.tag().tag_class == yasna::TagClass::ContextSpecific {
                match name.tag().tag_number {
                    1 => text().map(SubjectAltName::Email),
                    2 => text().map(SubjectAltName::Dns),
                    6 => text().map(SubjectAltName::Uri),
                    7 => ip_address(name.value()).map(SubjectAltName::Ip),
                    _ => None,
                }
            } else {
                None
            };
            Ok(known.unwrap_or(SubjectAltName::Other(raw)))
        })
        .collect()
}

/// The numbers of an extKeyUsage extension's value, with dots.
pub(super) fn extended_key_usages(value: &[u8]) -> yasna::ASN1Result<Vec<String>> {
    Ok(der::elements(value)?
        .iter()
        .map(|oid| dotted(oid))
        .collect())
}

fn general_name(name: &SubjectAltName) -> Vec<u8> {
    let implicit = |number, bytes: &[u8]| {
        yasna::construct_der(|writer| {
            writer.write_tagged_implicit(Tag::context(number), |writer| writer.write_bytes(bytes));
        })
    };
    match name {
        SubjectAltName::Email(text) => implicit(1, text.as_bytes()),
        SubjectAltName::Dns(text) => implicit(2, text.as_bytes()),
        SubjectAltName::Uri(text) => implicit(6, text.as_bytes()),
        SubjectAltName::Ip(std::net::IpAddr::V4(address)) => implicit(7, &address.octets()),
        SubjectAltName::Ip(std::net::IpAddr::V6(address)) => implicit(7, &address.octets()),
        SubjectAltName::Other(der) => der.clone(),
    }
}

fn ip_address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(Into::into)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(Into::into))
        .ok()
}

fn tag(element: &[u8]) -> yasna::ASN1Result<Tag> {
    yasna::parse_der(element, |reader| {
        let tag = reader.lookahead_tag();
        reader.read_der()?;
        tag
    })
}

fn dotted(oid: &[u8]) -> String {
    match Oid::from_der(oid) {
        Ok((_, oid)) => oid.to_id_string(),
        Err(_) => format!("(not a number: {oid:02x?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_is_written_without_trailing_zeros() {
        // As Go and OpenSSL write them: digitalSignature and keyEncipherment, those and keyCertSign, decipherOnly.
        for (bits, value) in [
            (0b101, [0x03, 0x02, 0x05, 0xa0].as_slice()),
            (0b10_0101, &[0x03, 0x02, 0x02, 0xa4]),
            (0b1_0000_0000, &[0x03, 0x03, 0x07, 0x00, 0x80]),
            (0, &[0x03, 0x01, 0x00]),
        ] {
            assert_eq!(Extension::key_usage(bits).value, value);
        }
    }

    #[test]
    fn names_of_every_type_survive() {
        let names = vec![
            SubjectAltName::Dns("*.example.net".to_owned()),
            SubjectAltName::Ip("192.0.2.1".parse().unwrap()),
            SubjectAltName::Ip("2001:db8::1".parse().unwrap()),
            SubjectAltName::Email("a@example.net".to_owned()),
            SubjectAltName::Uri("spiffe://example.net/x".to_owned()),
            // registeredID 1.2.3
            SubjectAltName::Other(vec![0x88, 2, 0x2a, 3]),
            // An iPAddress of a wrong length
            SubjectAltName::Other(vec![0x87, 1, 1]),
        ];
        let extension = Extension::subject_alt_name(&names, false);
        assert_eq!(subject_alt_names(&extension.value).unwrap(), names);
    }

    #[test]
    fn an_arc_larger_than_any_integer_is_kept() {
        // 2.25 and a UUID
        let oid = [&[0x06, 20, 0x69][..], &[0xff; 18], &[0x7f]].concat();
        let usages = extended_key_usages(&der::sequence(&[oid])).unwrap();
        assert_eq!(usages.len(), 1);
        assert!(!usages[0].is_empty());
    }

    #[test]
    fn an_explicit_false_is_read_and_kept() {
        let der = vec![
            0x30, 12, 0x06, 3, 0x55, 0x1d, 0x11, 0x01, 1, 0, 0x04, 2, 0x30, 0,
        ];
        let extension = Extension::from_der(der.clone()).unwrap();
        assert!(!extension.critical && extension.is(SUBJECT_ALT_NAME));
        assert_eq!(extension.der, der);
    }
}
