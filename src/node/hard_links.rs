//! Files with more than one name: a renewal replaces the one, and the others keep what was there before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Entry, Inventory};
use crate::host::{self, Place, Root};

/// Names of each directory among which the others are looked for.
const NAMES: usize = 1_000;

/// One sentence for each file of these certificates that has other names, with those that are found in its own directory
/// or in one of certificates and kubeconfigs.
#[must_use]
pub fn hard_links(root: &Root, inventory: &Inventory, names: &[&str]) -> Vec<String> {
    let files: BTreeSet<&Path> = names
        .iter()
        .filter_map(|name| inventory.entry(name))
        .flat_map(Entry::files)
        .collect();
    files
        .into_iter()
        .filter_map(|file| sentence(root, inventory, file))
        .collect()
}

fn sentence(root: &Root, inventory: &Inventory, file: &Path) -> Option<String> {
    let real = inventory.real(file);
    let found = root.look(real).ok()??;
    if found.links < 2 || found.is_directory() {
        return None;
    }
    let others: Vec<String> = directories(root, inventory, real)
        .iter()
        .flat_map(|directory| same_file(directory, found.identity))
        .filter(|other| other != real)
        .map(|other| other.display().to_string())
        .collect();
    let which = if others.is_empty() {
        "not found near it".to_owned()
    } else {
        others.join(", ")
    };
    Some(format!(
        "{} has {} (hard links: {which}), which a renewal leaves with the old contents; make them anew afterwards, or use symbolic links",
        file.display(),
        match found.links - 1 {
            1 => "another name".to_owned(),
            other => format!("{other} other names"),
        },
    ))
}

fn directories(root: &Root, inventory: &Inventory, real: &Path) -> BTreeSet<PathBuf> {
    let places = &inventory.directories;
    let known = [
        places.certificates.clone(),
        places.certificates.join("etcd"),
        places.kubernetes.clone(),
        places.kubelet_pki.clone(),
    ];
    known
        .iter()
        .filter_map(|directory| root.resolve(directory).ok())
        .chain(real.parent().map(Path::to_path_buf))
        .collect()
}

/// The names of a file in a directory.
fn same_file(directory: &Path, identity: (u64, u64)) -> Vec<PathBuf> {
    // A directory that cannot be read is said by whoever looks for certificates in it.
    let names = host::names(directory).unwrap_or_default();
    names
        .into_iter()
        .take(NAMES)
        .map(|name| directory.join(name))
        .filter(|path| {
            Place::at(path)
                .and_then(|place| place.look())
                .is_ok_and(|found| found.is_some_and(|found| found.identity == identity))
        })
        .collect()
}
