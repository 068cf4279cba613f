//! The files that a new certificate goes into.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{IssuanceError, Issued, kubeconfig};
use crate::node::{CertificateId, Entry, Inventory, Kubeconfig, ONE_OF_EACH};
use crate::pki::certificates_to_pem;

/// The new contents of one file.
pub struct Replacement {
    /// The certificate it belongs to; files of one are put in place next to each other.
    pub id: CertificateId,
    /// The file; a symbolic link is followed, not replaced.
    pub path: PathBuf,
    /// Its whole new contents.
    pub contents: Zeroizing<Vec<u8>>,
    /// The mode if the file does not exist yet: 0600 for keys and kubeconfigs, 0644 for certificates, as kubeadm's;
    /// that of a link ([`Replacement::link`]) where the contents are its target and the link itself is what is replaced.
    pub mode_if_new: u32,
    /// What it has instead of what the present file has.
    pub given: Given,
}

/// What a file is given by the configuration, instead of what the present one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// Its owner.
    pub owner: Option<u32>,
    /// Its group.
    pub group: Option<u32>,
    /// Its mode.
    pub mode: Option<u32>,
}

/// The mode of a symbolic link, as in `st_mode` (inode(7)).
const SYMBOLIC_LINK: u32 = 0o120_777;

impl Replacement {
    /// A symbolic link in place of whatever is there. The target is the node's own path.
    #[must_use]
    pub fn link(id: CertificateId, path: PathBuf, target: &Path) -> Self {
        Self {
            id,
            path,
            contents: Zeroizing::new(target.as_os_str().as_bytes().to_vec()),
            mode_if_new: SYMBOLIC_LINK,
            given: Given::default(),
        }
    }

    /// Where it leads, if it is to be a symbolic link.
    #[must_use]
    pub fn link_target(&self) -> Option<&Path> {
        (self.mode_if_new == SYMBOLIC_LINK).then(|| Path::new(OsStr::from_bytes(&self.contents)))
    }
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Replacement")
            .field("id", &self.id)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The new contents of every file of a certificate: key first, then certificate; one file for a kubeconfig with embedded
/// data, the referenced files for one that refers to them. A key file whose key was reused is left as it is.
///
/// # Errors
/// When a kubeconfig cannot be edited in place.
pub fn replacements(
    inventory: &Inventory,
    issued: &Issued,
) -> Result<Vec<Replacement>, IssuanceError> {
    let Some(entry) = inventory.entry(&issued.id) else {
        return Err(IssuanceError::NotRenewable {
            id: issued.id.clone(),
            reason: "there is no certificate of that name on this node".to_owned(),
        });
    };
    let edit = |reason: String| IssuanceError::Edit {
        id: entry.id.clone(),
        path: entry.path.clone(),
        reason,
    };
    let Some(key_path) = &entry.key_path else {
        return Err(edit("it is not known where its key belongs".to_owned()));
    };
    let key_pem = issued
        .key
        .to_pem()
        .map_err(|error| edit(error.to_string()))?;
    let certificate_pem =
        certificates_to_pem(std::iter::once(&issued.certificate).chain(&issued.chain));

    if !kubeconfig::is_kubeconfig(entry) {
        return Ok(in_files(
            entry,
            key_path,
            issued,
            &certificate_pem,
            &key_pem,
        ));
    }
    match (
        entry.certificate_path == entry.path,
        *key_path == entry.path,
    ) {
        (true, true) => {
            let contents = kubeconfig::read(inventory.real(&entry.path))
                .and_then(|text| {
                    Kubeconfig::replace_credentials(&text, &certificate_pem, &key_pem)
                        .map_err(|error| error.to_string())
                })
                .and_then(
                    |text| match kubeconfig::trust_to_add(inventory, entry, issued) {
                        Some(signer) => kubeconfig::with_trust(&text, signer),
                        None => Ok(text),
                    },
                )
                .map_err(edit)?;
            Ok(vec![kubeconfig_replacement(entry, contents)])
        }
        (false, false) => {
            let mut files = in_files(entry, key_path, issued, &certificate_pem, &key_pem);
            if let Some(signer) = kubeconfig::trust_to_add(inventory, entry, issued) {
                let contents = kubeconfig::read(inventory.real(&entry.path))
                    .and_then(|text| kubeconfig::with_trust(&text, signer))
                    .map_err(edit)?;
                files.push(kubeconfig_replacement(entry, contents));
            }
            Ok(files)
        }
        _ => Err(edit(ONE_OF_EACH.to_owned())),
    }
}

/// Mode of a new file that holds a key.
pub(super) const SECRET: u32 = 0o600;

/// Mode of a new file that holds only certificates.
const PUBLIC: u32 = 0o644;

fn in_files(
    entry: &Entry,
    key_path: &Path,
    issued: &Issued,
    certificate_pem: &str,
    key_pem: &str,
) -> Vec<Replacement> {
    let certificate_path = entry.certificate_path.as_path();
    if certificate_path == key_path {
        // As the kubelet's own: the certificates, then the key.
        return vec![replacement(
            entry,
            key_path,
            &[certificate_pem, key_pem],
            SECRET,
        )];
    }
    let certificate = replacement(entry, certificate_path, &[certificate_pem], PUBLIC);
    if issued.key.matches(&issued.old) {
        return vec![certificate];
    }
    vec![
        replacement(entry, key_path, &[key_pem], SECRET),
        certificate,
    ]
}

fn kubeconfig_replacement(entry: &Entry, contents: Zeroizing<Vec<u8>>) -> Replacement {
    Replacement {
        id: entry.id.clone(),
        path: entry.path.clone(),
        contents,
        mode_if_new: SECRET,
        given: Given::default(),
    }
}

fn replacement(entry: &Entry, path: &Path, parts: &[&str], mode_if_new: u32) -> Replacement {
    Replacement {
        id: entry.id.clone(),
        path: path.to_owned(),
        // concat() allocates once, so no part of a key is left behind by growing.
        contents: Zeroizing::new(parts.concat().into_bytes()),
        mode_if_new,
        given: given(entry, mode_if_new == SECRET),
    }
}

fn given(entry: &Entry, holds_key: bool) -> Given {
    let Some(described) = &entry.described else {
        return Given::default();
    };
    Given {
        owner: described.owner,
        group: described.group,
        mode: described.description.mode.filter(|_| holds_key),
    }
}
