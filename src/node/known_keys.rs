//! What is known of the authorities' private keys from when they were opened last, which is only to sign: whose they are, and
//! by what to see that they are still the same files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::{self, Root, digest};
use crate::pki::Certificate;

/// Where that is kept.
const FILE: &str = "/var/lib/kubecertd/authority-keys.json";

/// There are three authorities.
const LIMIT: u64 = 64 << 10;

/// One private key as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownKey {
    /// The node's path of the key.
    pub path: PathBuf,
    /// The file.
    pub file: KeyFile,
    /// The public keys of certificates that it belongs to, as SHA-256 of their DER in lower-case digest.
    pub own: Vec<String>,
    /// Those of certificates that it was compared with as well and does not belong to.
    pub others: Vec<String>,
}

/// A file, by what changes when its content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFile {
    /// Device.
    pub device: u64,
    /// Number on it.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Seconds and nanoseconds of its last change of whatever kind (ctime), which no program can set.
    pub changed: (i64, i64),
}

impl KeyFile {
    /// The file at a path without links; `None` where there is none. It is not opened.
    #[must_use]
    pub fn at(resolved: &Path) -> Option<Self> {
        let found = host::Place::at(resolved).ok()?.look().ok()??;
        found.is_file().then_some(Self {
            device: found.identity.0,
            inode: found.identity.1,
            size: found.size,
            changed: found.changed,
        })
    }
}

impl KnownKey {
    /// Of a key that was read from a real path while the file was this one, and is that of the first certificates and not
    /// that of the others.
    #[must_use]
    pub fn new(
        root: &Root,
        path: &Path,
        file: KeyFile,
        own: &[Certificate],
        others: &[Certificate],
    ) -> Self {
        let digests = |of: &[Certificate]| of.iter().map(digest_of).collect();
        Self {
            path: root.node_path(path),
            file,
            own: digests(own),
            others: digests(others),
        }
    }

    /// Whether it is the certificate's; `None` where it was not compared with that.
    pub(super) fn is_of(&self, certificate: &Certificate) -> Option<bool> {
        let digest = digest_of(certificate);
        if self.own.contains(&digest) {
            Some(true)
        } else {
            self.others.contains(&digest).then_some(false)
        }
    }
}

/// Where what is known of the keys is kept, as a real path.
#[must_use]
pub fn known_keys_file(root: &Root) -> PathBuf {
    root.join(FILE)
}

/// What is known. Nothing where it cannot be read: it only saves a renewal that cannot work from being tried.
#[must_use]
pub fn known_keys(root: &Root) -> Vec<KnownKey> {
    let read = root
        .resolve(&known_keys_file(root))
        .and_then(|resolved| host::read_at_most(&resolved, LIMIT));
    match read {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::debug!(%error, "what is known of the authorities' keys is not understood");
            Vec::new()
        }),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::debug!(%error, "what is known of the authorities' keys cannot be read");
            }
            Vec::new()
        }
    }
}

fn digest_of(certificate: &Certificate) -> String {
    digest(&certificate.public_key_der)
}
