//! The private copy: every file that the inventory knows, at the same place below another root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::node::{Inventory, read_bounded};
use crate::operation::Context;
use crate::root::Root;

/// A file that could not be copied.
#[derive(Debug, thiserror::Error)]
#[error("{}: could not be copied for the rehearsal: {source}", path.display())]
pub struct CopyError {
    /// Which.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Copies the known files of `from` to the same places below `to`, private to the owner. Symbolic links become files
/// with the target's contents; what cannot be read is left out, as it is unreadable for the renewal too.
///
/// # Errors
/// [`CopyError`] when the copy cannot be written.
pub fn copy_node(
    from: &Root,
    inventory: &Inventory,
    context: &Context,
    to: &Root,
) -> Result<(), CopyError> {
    let mut paths = known_files(inventory);
    let configuration = from.join(&context.config.locations.kubelet_configuration);
    if let Some(directory) = configuration.parent() {
        for name in ["instance-config.yaml", "kubeadm-flags.env"] {
            paths.insert(directory.join(name));
        }
    }
    paths.insert(configuration);
    for path in [
        "/etc/default/kubelet",
        "/etc/sysconfig/kubelet",
        "/etc/hostname",
    ] {
        paths.insert(from.join(path));
    }
    for path in paths {
        let Some(contents) = read(from, &path) else {
            continue;
        };
        let target = to.join(from.node_path(&path));
        write_private(&target, &contents).map_err(|source| CopyError {
            path: target,
            source,
        })?;
    }
    Ok(())
}

/// SHA-256 of every known file; unreadable ones are left out.
#[must_use]
pub fn digests(root: &Root, inventory: &Inventory) -> BTreeMap<PathBuf, Vec<u8>> {
    known_files(inventory)
        .into_iter()
        .filter_map(|path| {
            let contents = read(root, &path)?;
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &contents);
            Some((path, digest.as_ref().to_vec()))
        })
        .collect()
}

fn known_files(inventory: &Inventory) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    for entry in &inventory.entries {
        paths.insert(entry.path.clone());
        paths.insert(entry.certificate_path.clone());
        paths.extend(entry.key_path.clone());
    }
    for authority in &inventory.authorities {
        paths.insert(authority.certificate_path.clone());
        paths.insert(authority.key_path.clone());
    }
    paths.insert(inventory.service_account.key_path.clone());
    paths.insert(inventory.service_account.public_key_path.clone());
    paths.extend(inventory.static_pods.iter().map(|pod| pod.path.clone()));
    paths
}

fn read(root: &Root, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let target = root.resolve(path).ok()?;
    read_bounded(&target).ok().map(Zeroizing::new)
}

fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(contents)
}
