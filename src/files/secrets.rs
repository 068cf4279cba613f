//! What the files of a backup hold: certificates, which anybody may see, or keys.

use jiff::Timestamp;

use crate::node::{Credential, Kubeconfig};
use crate::pki::certificates_from_pem;

const BEGIN: &[u8] = b"-----BEGIN ";
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Whether this is PEM with certificates and nothing else that begins.
pub(super) fn are_only_certificates(contents: &[u8]) -> bool {
    let count = |part: &[u8]| {
        contents
            .windows(part.len())
            .filter(|window| *window == part)
            .count()
    };
    let begun = count(BEGIN);
    begun > 0 && begun == count(BEGIN_CERTIFICATE) && certificates_from_pem(contents).is_ok()
}

/// When the certificate in a PEM file or a kubeconfig ends: of several the first, which is the leaf.
pub(super) fn end_in(contents: &[u8]) -> Option<Timestamp> {
    let kubeconfig = std::str::from_utf8(contents)
        .ok()
        .and_then(|text| Kubeconfig::parse(text).ok());
    match kubeconfig.map(|kubeconfig| kubeconfig.certificate) {
        Some(Credential::Embedded(pem)) => first_end(&pem),
        Some(_) => None,
        None => first_end(contents),
    }
}

fn first_end(pem: &[u8]) -> Option<Timestamp> {
    let certificates = certificates_from_pem(pem).ok()?;
    certificates.first().map(|leaf| leaf.not_after)
}
