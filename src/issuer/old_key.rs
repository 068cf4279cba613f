//! The key of the old certificate, where it is to be kept.

use std::path::Path;

use zeroize::Zeroizing;

use super::{IssuanceError, kubeconfig};
use crate::host::read_bounded;
use crate::node::{Credential, Entry, Kubeconfig};
use crate::pki::{Certificate, PrivateKey};

/// Reads it, from its file (which really is at `real`) or from within a kubeconfig, and checks that it is the old
/// certificate's.
pub(super) fn old_key(
    entry: &Entry,
    real: &Path,
    old: &Certificate,
) -> Result<PrivateKey, IssuanceError> {
    let path = entry.key_path.as_deref().unwrap_or(&entry.path);
    let key = if entry.key_path.is_none() {
        Err("it is not known where the key is".to_owned())
    } else if kubeconfig::is_kubeconfig(entry) && path == entry.path {
        from_kubeconfig(real)
    } else {
        from_file(real)
    };
    key.and_then(|key| {
        if key.matches(old) {
            Ok(key)
        } else {
            Err("it is another certificate's key; renew without reuse-key".to_owned())
        }
    })
    .map_err(|reason| IssuanceError::OldKey {
        id: entry.id.clone(),
        path: path.to_owned(),
        reason,
    })
}

fn from_file(path: &Path) -> Result<PrivateKey, String> {
    let text = read_bounded(path)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())?;
    PrivateKey::from_pem(&text).map_err(|error| error.to_string())
}

fn from_kubeconfig(path: &Path) -> Result<PrivateKey, String> {
    let text = kubeconfig::read(path)?;
    match Kubeconfig::parse(&text)
        .map_err(|error| error.to_string())?
        .key
    {
        Credential::Embedded(pem) => PrivateKey::from_pem(&pem).map_err(|error| error.to_string()),
        Credential::File(_) => Err(
            "the kubeconfig refers to a key file, which it did not when it was last read; try again"
                .to_owned(),
        ),
    }
}
