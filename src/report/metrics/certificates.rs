//! The certificates of the node's files, with the names and labels of x509-certificate-exporter, for the dashboards and alerts that go
//! by them.

use std::path::Path;

use jiff::Timestamp;

use super::exposition::{Exposition, seconds};
use crate::node::{Entry, Inventory};
use crate::pki::{Certificate, usual_attributes};

/// A serial number has 20 bytes at most (RFC 5280); a longer one is shown as it is, in hexadecimal.
const LONGEST_SERIAL: usize = 2 * 32;

type Labels = Vec<(String, String)>;

pub(super) fn certificates(text: &mut Exposition, inventory: &Inventory, now: Timestamp) {
    let all: Vec<(Labels, &Certificate)> = authorities(inventory)
        .chain(
            inventory
                .entries
                .iter()
                .flat_map(|entry| of_entry(inventory, entry)),
        )
        .collect();
    let mut ends = text.gauge("x509_cert_not_after", "When the certificate ends.");
    for (labels, certificate) in &all {
        ends.add(&borrowed(labels), seconds(certificate.not_after));
    }
    let mut expired = text.gauge("x509_cert_expired", "Whether the certificate has ended.");
    for (labels, certificate) in &all {
        let has_ended = certificate.not_after < now;
        expired.add(&borrowed(labels), f64::from(u8::from(has_ended)));
    }
}

fn authorities(inventory: &Inventory) -> impl Iterator<Item = (Labels, &Certificate)> {
    inventory.authorities.iter().flat_map(|authority| {
        let certificates = authority.certificates().unwrap_or_default();
        let path = &authority.certificate_path;
        certificates
            .iter()
            .map(move |certificate| (labels(certificate, path, None), certificate))
    })
}

fn of_entry<'a>(
    inventory: &'a Inventory,
    entry: &'a Entry,
) -> impl Iterator<Item = (Labels, &'a Certificate)> {
    let user = inventory.users.get(&entry.id);
    // Whoever embeds it lies in the same file.
    let user = user.filter(|_| entry.certificate_path == entry.path);
    entry.present().into_iter().flat_map(move |present| {
        std::iter::once(&present.leaf)
            .chain(&present.chain)
            .map(move |certificate| {
                let user = user.map(String::as_str);
                (
                    labels(certificate, &entry.certificate_path, user),
                    certificate,
                )
            })
    })
}

fn labels(certificate: &Certificate, path: &Path, user: Option<&str>) -> Labels {
    let name = path.file_name().unwrap_or_default();
    let mut labels = vec![
        ("serial_number".to_owned(), decimal(&certificate.serial)),
        ("filename".to_owned(), name.to_string_lossy().into_owned()),
        ("filepath".to_owned(), path.display().to_string()),
    ];
    for (of, name) in [
        ("subject", &certificate.subject_der),
        ("issuer", &certificate.issuer_der),
    ] {
        let attributes = usual_attributes(name).into_iter();
        labels.extend(attributes.map(|(label, value)| (format!("{of}_{label}"), value)));
    }
    if let Some(user) = user {
        labels.push(("embedded_kind".to_owned(), "user".to_owned()));
        labels.push(("embedded_key".to_owned(), user.to_owned()));
    }
    labels
}

fn borrowed(labels: &Labels) -> Vec<(&str, &str)> {
    let labels = labels.iter();
    labels.map(|(name, value)| (&**name, &**value)).collect()
}

/// A number in hexadecimal as Go prints it.
fn decimal(hexadecimal: &str) -> String {
    if hexadecimal.len() > LONGEST_SERIAL {
        return hexadecimal.to_owned();
    }
    // Decimal digits, the last first.
    let mut digits: Vec<u32> = vec![0];
    for letter in hexadecimal.chars() {
        let Some(mut carry) = letter.to_digit(16) else {
            return hexadecimal.to_owned();
        };
        for digit in &mut digits {
            carry += *digit * 16;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits
        .iter()
        .rev()
        .filter_map(|digit| char::from_digit(*digit, 10))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn serial_numbers_are_decimal() {
        for (hexadecimal, expected) in [
            ("0", "0"),
            ("0a", "10"),
            ("ff", "255"),
            ("0100", "256"),
            ("ffffffffffffffffffff", "1208925819614629174706175"),
        ] {
            assert_eq!(decimal(hexadecimal), expected);
        }
        let long = "f".repeat(100_000);
        assert_eq!(decimal(&long), long);
    }
}
