//! Extensions of a certificate, exactly as they are, and those that kubeadm's certificates have.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use x509_parser::extensions::{
    AuthorityKeyIdentifier, BasicConstraints, KeyIdentifier, KeyUsage, X509ExtensionParser,
};
use x509_parser::nom::Parser as _;
use x509_parser::prelude::FromDer as _;
use yasna::Tag;

use crate::host::hexadecimal;

use super::der::{self, Element, Malformed, Reader};

pub(super) const SUBJECT_KEY_ID: &[u64] = &[2, 5, 29, 14];
pub(super) const KEY_USAGE: &[u64] = &[2, 5, 29, 15];
pub(super) const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
pub(super) const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
pub(super) const AUTHORITY_KEY_ID: &[u64] = &[2, 5, 29, 35];
pub(super) const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];

/// nameConstraints, policyMappings, policyConstraints, inhibitAnyPolicy: what RFC 5280 has in CA certificates only.
pub(super) const ONLY_FOR_AUTHORITIES: [&[u64]; 4] = [
    &[2, 5, 29, 30],
    &[2, 5, 29, 33],
    &[2, 5, 29, 36],
    &[2, 5, 29, 54],
];

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

/// As OpenSSL writes them: `DNS:…`, `IP:…`.
impl fmt::Display for SubjectAltName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(out, "DNS:{name}"),
            Self::Ip(address) => write!(out, "IP:{address}"),
            Self::Email(name) => write!(out, "email:{name}"),
            Self::Uri(name) => write!(out, "URI:{name}"),
            Self::Other(der) => write!(out, "other:{}", hexadecimal(der)),
        }
    }
}

impl serde::Serialize for SubjectAltName {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

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

/// All extensions of a certificate, in order, of the field that holds them.
pub(super) fn extensions(field: Element<'_>) -> Result<Vec<Extension>, Malformed> {
    der::elements(field.contents)?
        .into_iter()
        .map(Extension::from_element)
        .collect()
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

    fn from_element(extension: Element<'_>) -> Result<Self, Malformed> {
        // Its contents are looked at only where they are needed.
        let mut shallow = X509ExtensionParser::new().with_deep_parse_extensions(false);
        let (_, parsed) = shallow
            .parse(extension.whole)
            .map_err(|_| Malformed("is not what X.509 has there"))?;
        Ok(Self {
            der: extension.whole.to_vec(),
            oid: der::element(der::OBJECT_IDENTIFIER, parsed.oid.as_bytes()),
            critical: parsed.critical,
            value: parsed.value.to_vec(),
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
        let contents = Reader::new(&self.oid).next();
        contents.map_or_else(|_| String::new(), |oid| der::dotted(oid.contents))
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

    /// This one of subject alternative names with more of them behind those that it has, which stay as they are; `None` where it is not
    /// understood.
    pub(super) fn with_more_names(&self, more: &[SubjectAltName]) -> Option<Self> {
        let own = der::elements(&self.value).ok()?;
        let own = own.into_iter().map(|name| name.whole.to_vec());
        let names: Vec<Vec<u8>> = own.chain(more.iter().map(general_name)).collect();
        Some(Self::new(
            SUBJECT_ALT_NAME,
            self.critical,
            der::sequence(&names),
        ))
    }

    /// Subject alternative names; critical when there is no subject.
    pub(super) fn subject_alt_name(names: &[SubjectAltName], critical: bool) -> Self {
        let names: Vec<Vec<u8>> = names.iter().map(general_name).collect();
        Self::new(SUBJECT_ALT_NAME, critical, der::sequence(&names))
    }
}

/// The names of a subjectAltName extension's value; `None` where it is not a list of names. What follows the list does not
/// matter, to Go either.
pub(super) fn subject_alt_names(value: &[u8]) -> Option<Vec<SubjectAltName>> {
    let names = der::elements(value).ok()?.into_iter().map(|name| {
        let text = || String::from_utf8(name.contents.to_vec()).ok();
        let known = match name.tag {
            0x81 => text().map(SubjectAltName::Email),
            0x82 => text().map(SubjectAltName::Dns),
            0x86 => text().map(SubjectAltName::Uri),
            0x87 => ip_address(name.contents).map(SubjectAltName::Ip),
            _ => None,
        };
        known.unwrap_or_else(|| SubjectAltName::Other(name.whole.to_vec()))
    });
    Some(names.collect())
}

/// The numbers of an extKeyUsage extension's value, with dots; `None` where it is not a list of numbers.
pub(super) fn extended_key_usages(value: &[u8]) -> Option<Vec<String>> {
    der::elements(value)
        .ok()?
        .into_iter()
        .map(|usage| (usage.tag == der::OBJECT_IDENTIFIER).then(|| der::dotted(usage.contents)))
        .collect()
}

/// The bits of a keyUsage extension's value, bit 0 being digitalSignature; `None` where it is no BIT STRING.
pub(super) fn key_usages(value: &[u8]) -> Option<u16> {
    KeyUsage::from_der(value).ok().map(|(_, usage)| usage.flags)
}

/// What a basicConstraints extension's value says of cA; `None` where it is not understood.
pub(super) fn is_ca(value: &[u8]) -> Option<bool> {
    let parsed = BasicConstraints::from_der(value).ok();
    parsed.map(|(_, constraints)| constraints.ca)
}

/// How many CAs a basicConstraints extension's value allows between its certificate and a leaf; `None` where it does not limit them.
pub(super) fn path_length(value: &[u8]) -> Option<u32> {
    let parsed = BasicConstraints::from_der(value).ok();
    parsed.and_then(|(_, constraints)| constraints.path_len_constraint)
}

/// Whether an authorityKeyIdentifier extension's value names the one certificate of the issuer, by its issuer and serial number.
pub(super) fn names_one_certificate(value: &[u8]) -> bool {
    let parsed = AuthorityKeyIdentifier::from_der(value).ok();
    parsed.is_some_and(|(_, id)| {
        id.authority_cert_issuer.is_some() || id.authority_cert_serial.is_some()
    })
}

/// The identifier in a subjectKeyIdentifier extension's value.
pub(super) fn subject_key_id(value: &[u8]) -> Option<Vec<u8>> {
    let parsed = KeyIdentifier::from_der(value).ok();
    parsed.map(|(_, id)| id.0.to_vec())
}

/// The identifier in an authorityKeyIdentifier extension's value, if it has one.
pub(super) fn authority_key_id(value: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = AuthorityKeyIdentifier::from_der(value).ok()?;
    parsed.key_identifier.map(|id| id.0.to_vec())
}

/// Whether the contents of a names or usages extension were understood, so that they can be compared as such.
pub(super) fn is_understood(extension: &Extension) -> bool {
    let value = &extension.value;
    if extension.is(SUBJECT_ALT_NAME) {
        subject_alt_names(value).is_some()
    } else if extension.is(EXTENDED_KEY_USAGE) {
        extended_key_usages(value).is_some()
    } else if extension.is(KEY_USAGE) {
        key_usages(value).is_some()
    } else {
        true
    }
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
        SubjectAltName::Ip(IpAddr::V4(address)) => implicit(7, &address.octets()),
        SubjectAltName::Ip(IpAddr::V6(address)) => implicit(7, &address.octets()),
        SubjectAltName::Other(der) => der.clone(),
    }
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(Into::into)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(Into::into))
        .ok()
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
            assert_eq!(key_usages(value), Some(bits));
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
        let followed = [extension.value.as_slice(), &[1, 2, 3]].concat();
        assert_eq!(subject_alt_names(&followed).unwrap(), names);
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
        let element = Reader::new(&der).next().unwrap();
        let extension = Extension::from_element(element).unwrap();
        assert!(!extension.critical && extension.is(SUBJECT_ALT_NAME));
        assert_eq!(extension.der, der);
    }
}
