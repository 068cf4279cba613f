//! The authorities of this node, read once for all that they are to sign.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{IssuanceError, Wanted};
use crate::host::read_bounded;
use crate::node::{Authority, Inventory, KeyFile};
use crate::pki::{
    AuthorityId, Certificate, CertificateAuthority, IssueError, PrivateKey, certificates_from_pem,
};

/// An authority that is ready to sign.
pub(super) struct LoadedAuthority {
    /// The certificate whose key is here, and that key.
    pub(super) signing: CertificateAuthority,
    /// Every certificate of the authority's file: what those who are shown a leaf trust.
    pub(super) trusted: Vec<Certificate>,
}

/// Every authority needed, or what is wrong with its file.
pub(super) struct Authorities {
    loaded: BTreeMap<AuthorityId, Result<LoadedAuthority, Unusable>>,
    /// The keys that were read for that.
    pub(super) keys: Vec<ReadKey>,
}

/// A private key that was read to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadKey {
    /// Its path, as the inventory has it.
    pub path: PathBuf,
    /// The file it was in.
    pub file: KeyFile,
    /// The authority's certificates that it belongs to.
    pub own: Vec<Certificate>,
    /// The authority's other certificates.
    pub others: Vec<Certificate>,
}

/// A file that keeps an authority from signing, kept as text since several entries may have to report it.
struct Unusable {
    path: PathBuf,
    reason: String,
}

impl Authorities {
    /// Reads those that the wanted entries name, to sign at `now`.
    pub(super) fn load(inventory: &Inventory, wanted: &[Wanted], now: Timestamp) -> Self {
        let mut loaded = BTreeMap::new();
        let mut keys = Vec::new();
        let entries = wanted
            .iter()
            .filter_map(|wanted| inventory.entry(&wanted.id));
        for name in entries.filter_map(|entry| entry.authority) {
            if let Some(authority) = inventory.authority(name) {
                loaded
                    .entry(name)
                    .or_insert_with(|| load(inventory, authority, now, &mut keys));
            }
        }
        Self { loaded, keys }
    }

    /// Reads one, to sign at `now`.
    pub(super) fn load_one(inventory: &Inventory, name: AuthorityId, now: Timestamp) -> Self {
        let mut keys = Vec::new();
        let loaded = inventory
            .authority(name)
            .map(|authority| (name, load(inventory, authority, now, &mut keys)));
        Self {
            loaded: loaded.into_iter().collect(),
            keys,
        }
    }

    /// The authority of that name.
    pub(super) fn loaded(&self, name: AuthorityId) -> Result<&LoadedAuthority, IssuanceError> {
        match self.loaded.get(&name) {
            Some(Ok(authority)) => Ok(authority),
            Some(Err(unusable)) => Err(IssuanceError::Authority {
                path: unusable.path.clone(),
                reason: unusable.reason.clone(),
            }),
            None => Err(IssuanceError::Authority {
                path: PathBuf::from(format!("{}.crt", name.base())),
                reason: format!("this node has no authority {name}"),
            }),
        }
    }
}

fn load(
    inventory: &Inventory,
    authority: &Authority,
    now: Timestamp,
    keys: &mut Vec<ReadKey>,
) -> Result<LoadedAuthority, Unusable> {
    let certificate_path = authority.certificate_path.as_path();
    const ELSEWHERE: &str = "the authority's key is not on this node (an external CA); renew its certificates where the key is";
    let key_path = authority.key_path.as_deref();
    let key_path = key_path.ok_or_else(|| unusable(certificate_path, &ELSEWHERE))?;
    let text = read(
        inventory,
        certificate_path,
        "the authority's certificate is not on this node",
    )?;
    let trusted =
        certificates_from_pem(&text).map_err(|error| unusable(certificate_path, &error))?;
    let file = KeyFile::at(inventory.real(key_path));
    let text = read(inventory, key_path, ELSEWHERE)?;
    let key = PrivateKey::from_pem(&text).map_err(|error| unusable(key_path, &error))?;
    // What was replaced meanwhile may be either.
    if let Some(file) = file.filter(|file| KeyFile::at(inventory.real(key_path)) == Some(*file)) {
        let (own, others) = trusted
            .iter()
            .cloned()
            .partition(|certificate| key.matches(certificate));
        keys.push(ReadKey {
            path: key_path.to_path_buf(),
            file,
            own,
            others,
        });
    }
    let signing =
        CertificateAuthority::valid_at(&trusted, key, now).map_err(|error| match error {
            IssueError::AuthorityKeyMismatch { .. } => unusable(
                key_path,
                &format!(
                    "{error} in {}; put back the two files that belong together",
                    certificate_path.display()
                ),
            ),
            error => unusable(certificate_path, &error),
        })?;
    Ok(LoadedAuthority { signing, trusted })
}

fn read(inventory: &Inventory, path: &Path, missing: &str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    read_bounded(inventory.real(path))
        .map(Zeroizing::new)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => unusable(path, &missing),
            _ => unusable(path, &error),
        })
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> Unusable {
    Unusable {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
