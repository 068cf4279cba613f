//! A certificate of the inventory with its key, as TLS wants it.

use zeroize::Zeroizing;

use crate::host::Root;
use crate::net::Identity;
use crate::node::{Credential, Entry, Kubeconfig, Present};
use crate::pki::certificates_to_pem;

/// Reads what an entry holds.
pub(super) fn identity(root: &Root, entry: &Entry, present: &Present) -> Result<Identity, String> {
    let certificates = certificates_to_pem(std::iter::once(&present.leaf).chain(&present.chain));
    Identity::from_pem(certificates.as_bytes(), &key_pem(root, entry)?)
        .map_err(|error| error.to_string())
}

fn key_pem(root: &Root, entry: &Entry) -> Result<Zeroizing<Vec<u8>>, String> {
    let path = entry.key_path.as_ref().unwrap_or(&entry.path);
    let bytes = root
        .read(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if path != &entry.path || !entry.id.as_str().ends_with(".conf") {
        return Ok(bytes);
    }
    match Kubeconfig::parse(&bytes)
        .map_err(|error| error.to_string())?
        .key
    {
        Credential::Embedded(pem) => Ok(pem),
        Credential::File(file) => Err(format!("the key is in {}", file.display())),
    }
}
