//! The CA certificates that this machine trusts for servers of others.

use std::io::{self, ErrorKind};
use std::path::Path;

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::tls::authorities_from_pem;
use crate::host::read_on_machine;

/// Where distributions keep them in one file: Debian, Fedora, openSUSE, Alpine.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Those of the first bundle that is there.
///
/// # Errors
/// In words: there is none, or it cannot be read.
pub(crate) fn system_authorities() -> Result<Vec<CertificateDer<'static>>, String> {
    let mut reason = None;
    for bundle in BUNDLES.map(Path::new) {
        match read_on_machine(bundle) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => match understood(bundle, read) {
                Ok(authorities) => return Ok(authorities),
                // What is there and cannot be used says more than what is not there.
                Err(why) => reason = reason.or(Some(why)),
            },
        }
    }
    Err(reason.unwrap_or_else(|| {
        "this machine has no bundle of CA certificates; install the package ca-certificates"
            .to_owned()
    }))
}

/// Those of one file.
///
/// # Errors
/// In words, with the file.
pub(crate) fn authorities_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    understood(path, read_on_machine(path))
}

fn understood(
    path: &Path,
    read: io::Result<Vec<u8>>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    read.map_err(|error| error.to_string())
        .and_then(|pem| authorities_from_pem(&pem))
        .map_err(|reason| format!("{}: {reason}", path.display()))
}
