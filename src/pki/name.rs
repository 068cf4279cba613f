//! Distinguished names: as text for people, and as kubeadm's certificates have them.

use yasna::models::{ObjectIdentifier, TaggedDerValue};
use yasna::tags::{TAG_PRINTABLESTRING, TAG_UTF8STRING};

use super::der::{self, Element, Malformed, Reader};

const COMMON_NAME: &[u64] = &[2, 5, 4, 3];
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

/// One attribute of a name.
struct Attribute<'der> {
    /// With dots.
    number: String,
    value: Element<'der>,
}

/// The whole name, `O=example, CN=kube-apiserver`. Control characters are escaped, as it ends up in logs and on terminals.
/// What cannot be understood is shown in hexadecimal.
pub(super) fn text(name: &[u8]) -> String {
    let Ok(sets) = der::elements(name) else {
        return hexadecimal(name);
    };
    let sets: Vec<String> = sets
        .into_iter()
        .map(|set| match attributes(set) {
            Ok(attributes) => {
                let attributes: Vec<String> = attributes.iter().map(attribute_text).collect();
                attributes.join(" + ")
            }
            Err(_) => hexadecimal(set.whole),
        })
        .collect();
    sets.join(", ")
}

/// Whether nothing at all is in it: then names elsewhere have to be understood (RFC 5280 §4.2.1.6).
pub(super) fn is_empty(name: &[u8]) -> bool {
    der::elements(name).is_ok_and(|sets| sets.is_empty())
}

/// The first common name.
pub(super) fn common_name(name: &[u8]) -> Option<String> {
    values(name, COMMON_NAME).into_iter().next()
}

/// All organizations, in order.
pub(super) fn organizations(name: &[u8]) -> Vec<String> {
    values(name, ORGANIZATION)
}

/// Whether a name has one common name, perhaps organizations, and nothing else, all of which could be read.
pub(super) fn is_plain(name: &[u8]) -> bool {
    let number = |number: &[u64]| {
        number
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(".")
    };
    let (common_name, organization) = (number(COMMON_NAME), number(ORGANIZATION));
    let Ok(sets) = der::elements(name) else {
        return false;
    };
    let mut common_names = 0;
    for set in sets {
        let Ok(attributes) = attributes(set) else {
            return false;
        };
        for attribute in attributes {
            if attribute.number == common_name {
                common_names += 1;
            } else if attribute.number != organization {
                return false;
            }
        }
    }
    common_names == 1
}

/// Whether every value is a PrintableString or a UTF8String, as Go writes them.
pub(super) fn has_usual_strings(name: &[u8]) -> bool {
    let usual = |attribute: &Attribute<'_>| {
        [TAG_PRINTABLE, TAG_UTF8].contains(&attribute.value.tag)
            && std::str::from_utf8(attribute.value.contents).is_ok()
    };
    der::elements(name).is_ok_and(|sets| {
        sets.into_iter()
            .all(|set| attributes(set).is_ok_and(|all| all.iter().all(usual)))
    })
}

/// All values of one attribute, in order.
fn values(name: &[u8], number: &[u64]) -> Vec<String> {
    let number = number.iter().map(u64::to_string).collect::<Vec<_>>();
    let number = number.join(".");
    der::elements(name)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|set| attributes(set).ok())
        .flatten()
        .filter(|attribute| attribute.number == number)
        .map(|attribute| value_text(attribute.value))
        .collect()
}

/// Of each of these attributes its label and its first value, where it has one: country, state, place, organization, unit and
/// common name.
pub(crate) fn usual_attributes(name: &[u8]) -> Vec<(&'static str, String)> {
    const USUAL: [(&str, u64); 6] = [
        ("C", 6),
        ("ST", 8),
        ("L", 7),
        ("O", 10),
        ("OU", 11),
        ("CN", 3),
    ];
    USUAL
        .into_iter()
        .filter_map(|(label, number)| {
            let value = values(name, &[2, 5, 4, number]).into_iter().next()?;
            Some((label, value))
        })
        .collect()
}

/// The attributes of one RelativeDistinguishedName, which Go allows to be empty.
fn attributes(set: Element<'_>) -> Result<Vec<Attribute<'_>>, Malformed> {
    if set.tag != der::SET {
        return Err(Malformed("is no set of attributes"));
    }
    let mut inside = set.inside();
    let mut attributes = Vec::new();
    while !inside.is_empty() {
        let mut attribute: Reader<'_> = inside.expect(der::SEQUENCE)?.inside();
        attributes.push(Attribute {
            number: der::dotted(attribute.expect(der::OBJECT_IDENTIFIER)?.contents),
            value: attribute.next()?,
        });
    }
    Ok(attributes)
}

fn attribute_text(attribute: &Attribute<'_>) -> String {
    let label = LABELS
        .iter()
        .find(|(number, _)| *number == attribute.number)
        .map_or(attribute.number.as_str(), |(_, label)| label);
    let value: String = value_text(attribute.value)
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
}

/// The labels that OpenSSL shows.
const LABELS: [(&str, &str); 16] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.97", "organizationIdentifier"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

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

fn value_text(value: Element<'_>) -> String {
    let bytes = value.contents;
    match value.tag {
        BMP_STRING => {
            let units = bytes.chunks(2).map(|pair| {
                pair.iter()
                    .fold(0, |unit, &byte| (unit << 8) | u16::from(byte))
            });
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        UNIVERSAL_STRING => bytes
            .chunks(4)
            .map(|four| {
                let number = four
                    .iter()
                    .fold(0, |number, &byte| (number << 8) | u32::from(byte));
                char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
            })
            .collect(),
        // In practice Latin-1, where it is not UTF-8.
        T61_STRING if std::str::from_utf8(bytes).is_err() => {
            bytes.iter().copied().map(char::from).collect()
        }
        // UTF8String, NumericString, PrintableString, T61String, IA5String, VisibleString, GeneralString
        0x0c | 0x12 | 0x13 | T61_STRING | 0x16 | 0x1a | 0x1b => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => hexadecimal(bytes),
    }
}

const TAG_UTF8: u8 = 0x0c;
const TAG_PRINTABLE: u8 = 0x13;
const T61_STRING: u8 = 0x14;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

fn hexadecimal(bytes: &[u8]) -> String {
    format!("#{}", crate::host::hexadecimal(bytes))
}

#[cfg(test)]
mod tests {
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
            crate::host::hexadecimal(&der),
            format!("303b{}", attributes.concat().replace(' ', ""))
        );
        assert_eq!(text(&der), "O=a + O=system:nodes, CN=system:node:n_1");
        assert_eq!(organizations(&der), ["a", "system:nodes"]);
        assert_eq!(common_name(&der).as_deref(), Some("system:node:n_1"));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let der = encode("a\x1b[2J\nb", &[]);
        assert_eq!(text(&der), "CN=a\\u{1b}[2J\\nb");
    }

    #[test]
    fn odd_parts_are_shown_and_the_rest_is_understood() {
        let common_name_of = |tag: u8, value: &[u8]| {
            let attribute = der::sequence(&[
                vec![6, 3, 0x55, 4, 3],
                [&[tag, value.len() as u8], value].concat(),
            ]);
            [&[der::SET, attribute.len() as u8], attribute.as_slice()].concat()
        };
        for (set, shown) in [
            (vec![0x31, 0], ""),
            (common_name_of(0x1e, b"\0c\0a"), "CN=ca"),
            (
                common_name_of(0x1c, b"\0\0\0c\0\x01\xf6\x00"),
                "CN=c\u{1f600}",
            ),
            (common_name_of(0x14, b"M\xfcller"), "CN=M\u{fc}ller"),
            (common_name_of(0x02, &[1, 2]), "CN=#0102"),
            (vec![0x30, 0], "#3000"),
            (vec![0x31, 2, 0x30, 0], "#31023000"),
        ] {
            let name = der::sequence(&[set, common_name_of(0x0c, b"x")]);
            assert_eq!(text(&name), format!("{shown}, CN=x"));
        }
        assert_eq!(text(&[0x30, 0]), "");
    }
}
