//! Distinguished names: as text for people, and as kubeadm's certificates have them.

use x509_parser::asn1_rs::{Any, Oid, Tag};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;
use yasna::models::{ObjectIdentifier, TaggedDerValue};
use yasna::tags::{TAG_PRINTABLESTRING, TAG_UTF8STRING};

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

/// The whole name, `O=example, CN=kube-apiserver`. Control characters are escaped, as it ends up in logs and on terminals.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let rdns: Vec<String> = name
        .iter_rdn()
        .map(|rdn| {
            let attributes: Vec<String> = rdn
                .iter()
                .map(|attribute| {
                    let number = attribute.attr_type();
                    let label = oid2abbrev(number, oid_registry())
                        .map_or_else(|_| number.to_id_string(), str::to_owned);
                    let value = value_text(attribute.attr_value());
                    let value: String = value
                        .chars()
                        .flat_map(|character| {
                            let (escaped, plain) = if character.is_control() {
                                (Some(character.escape_default()), None)
                            } else {
                                (None, Some(character))
                            };
                            escaped.into_iter().flatten().chain(plain)
                        })
                        .collect();
                    format!("{label}={value}")
                })
                .collect();
            attributes.join(" + ")
        })
        .collect();
    rdns.join(", ")
}

/// All values of one attribute, in order.
pub(super) fn values(name: &X509Name<'_>, attribute: &Oid<'_>) -> Vec<String> {
    name.iter_by_oid(attribute)
        .map(|attribute| value_text(attribute.attr_value()))
        .collect()
}

/// The name of a certificate made by kubeadm: all organizations in one multi-valued RDN, then the common name, each a
/// PrintableString where its characters allow it and a UTF8String otherwise, as Go's `encoding/asn1` chooses.
pub(super) fn encode(common_name: &str, organizations: &[String]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            if !organizations.is_empty() {
                writer.next().write_set_of(|writer| {
                    for organization in organizations {
                        write_attribute(writer.next(), ORGANIZATION, organization);
                    }
                });
            }
            if !common_name.is_empty() {
                writer.next().write_set_of(|writer| {
                    write_attribute(writer.next(), COMMON_NAME, common_name);
                });
            }
        });
    })
}

fn write_attribute(writer: yasna::DERWriter<'_>, number: &[u64], value: &str) {
    let tag = if value.chars().all(is_printable) {
        TAG_PRINTABLESTRING
    } else {
        TAG_UTF8STRING
    };
    writer.write_sequence(|writer| {
        writer
            .next()
            .write_oid(&ObjectIdentifier::from_slice(number));
        writer
            .next()
            .write_tagged_der(&TaggedDerValue::from_tag_and_bytes(
                tag,
                value.as_bytes().to_vec(),
            ));
    });
}

/// The alphabet of PrintableString (X.680 §41.4).
fn is_printable(character: char) -> bool {
    character.is_ascii_alphanumeric() || " '()+,-./:=?".contains(character)
}

fn value_text(value: &Any<'_>) -> String {
    match value.tag() {
        Tag::BmpString => {
            let units = value.data.chunks(2).map(|pair| {
                pair.iter()
                    .fold(0, |unit, &byte| (unit << 8) | u16::from(byte))
            });
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        // In practice Latin-1, where it is not UTF-8.
        Tag::T61String if std::str::from_utf8(value.data).is_err() => {
            value.data.iter().copied().map(char::from).collect()
        }
        Tag::NumericString
        | Tag::VisibleString
        | Tag::PrintableString
        | Tag::GeneralString
        | Tag::T61String
        | Tag::Utf8String
        | Tag::Ia5String => String::from_utf8_lossy(value.data).into_owned(),
        _ => format!("#{}", super::certificate::hexadecimal(value.data)),
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME;
    use x509_parser::prelude::FromDer as _;

    use super::*;

    #[test]
    fn several_organizations_are_one_sorted_rdn_and_strings_are_printable_where_possible() {
        let der = encode(
            "system:node:n_1",
            &["system:nodes".to_owned(), "a".to_owned()],
        );
        let attributes = [
            // SET of O=a and O=system:nodes, both PrintableString
            "311f300806035504 0a130161 301306035504 0a130c73797374656d3a6e6f646573",
            // SET of CN=system:node:n_1, a UTF8String for its underscore
            "311830160603550403 0c0f73797374656d3a6e6f64653a6e5f31",
        ];
        assert_eq!(
            super::super::certificate::hexadecimal(&der),
            format!("303b{}", attributes.concat().replace(' ', ""))
        );
        let (_, name) = X509Name::from_der(&der).unwrap();
        assert_eq!(text(&name), "O=a + O=system:nodes, CN=system:node:n_1");
        assert_eq!(
            values(&name, &OID_X509_ORGANIZATION_NAME),
            ["a", "system:nodes"]
        );
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let der = encode("a\x1b[2J\nb", &[]);
        let (_, name) = X509Name::from_der(&der).unwrap();
        assert_eq!(text(&name), "CN=a\\u{1b}[2J\\nb");
    }
}
