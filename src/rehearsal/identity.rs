//! A certificate of the inventory with its key, as TLS wants it.

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::node::{Credential, Entry, Kubeconfig, Present, read_bounded};

/// Chain and key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Reads what an entry holds.
pub(super) fn identity(entry: &Entry, present: &Present) -> Result<Identity, String> {
    let chain = std::iter::once(&present.leaf)
        .chain(&present.chain)
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
        .collect();
    let pem = key_pem(entry)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| format!("the key cannot be read: {error}"))?;
    Ok(Identity { chain, key })
}

fn key_pem(entry: &Entry) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = entry.key_path.as_ref().unwrap_or(&entry.path);
    let bytes = read_bounded(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if path != &entry.path || !entry.name.ends_with(".conf") {
        return Ok(bytes);
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
    match Kubeconfig::parse(text)
        .map_err(|error| error.to_string())?
        .key
    {
        Credential::Embedded(pem) => Ok(pem),
        Credential::File(file) => Err(format!("the key is in {}", file.display())),
    }
}
