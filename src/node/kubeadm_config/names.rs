//! Names and addresses that certificates get.

use std::net::IpAddr;

use crate::pki::SubjectAltName;

/// A name as kubeadm's validation takes it: an address, or a DNS name of small letters, perhaps with a wildcard before it.
///
/// # Errors
/// Why it is none.
pub fn subject_alt_name(text: &str) -> Result<SubjectAltName, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SubjectAltName::Ip(canonical(address)));
    }
    if is_dns_name(text.strip_prefix("*.").unwrap_or(text)) {
        return Ok(SubjectAltName::Dns(text.to_owned()));
    }
    Err(format!(
        "{text:?} is neither an IP address nor a DNS name; write small letters, digits, '-' and '.', perhaps with '*.' before \
         them"
    ))
}

/// An IPv4 address that is written as one of IPv6 is the same to Go.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// A subdomain of RFC 1123 as Kubernetes takes it.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let ends = [label.bytes().next(), label.bytes().last()];
        label.len() <= 63
            && ends.iter().all(|end| end.is_some_and(inner))
            && label.bytes().all(|letter| inner(letter) || letter == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// DNS names sorted, addresses in their order, each once: as kubeadm puts them into a certificate.
pub(super) fn ordered(names: impl IntoIterator<Item = SubjectAltName>) -> Vec<SubjectAltName> {
    let (mut domain_names, mut others) = (Vec::new(), Vec::new());
    for name in names {
        let list = match name {
            SubjectAltName::Dns(_) => &mut domain_names,
            _ => &mut others,
        };
        if !list.contains(&name) {
            list.push(name);
        }
    }
    domain_names.sort();
    domain_names.extend(others);
    domain_names
}
