//! Files with more than one name: a renewal replaces the one, and the others keep what was there before.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{CertificateId, Entry, Inventory};
use crate::host::{self, Place, Root, serialize_path, serialize_paths};

/// Names of each directory among which the others are looked for.
const NAMES: usize = 1_000;

/// A file that has other names. [`fmt::Display`] says what that means for a renewal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HardLinks {
    /// The file.
    #[serde(serialize_with = "serialize_path")]
    pub path: PathBuf,
    /// How many other names it has.
    pub others: u64,
    /// Those that are found near it.
    #[serde(serialize_with = "serialize_paths")]
    pub found: Vec<PathBuf>,
}

impl fmt::Display for HardLinks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found: Vec<String> = self
            .found
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let which = if found.is_empty() {
            "not found near it".to_owned()
        } else {
            found.join(", ")
        };
        write!(
            out,
            "{} has {} (hard links: {which}), which a renewal leaves with the old contents; make them anew afterwards, or use \
             symbolic links",
            self.path.display(),
            match self.others {
                1 => "another name".to_owned(),
                others => format!("{others} other names"),
            },
        )
    }
}

/// The files of these certificates that have other names, with those that are found in its own directory or in one of
/// certificates and kubeconfigs.
#[must_use]
pub fn hard_links(
    root: &Root,
    inventory: &Inventory,
    certificates: &[&CertificateId],
) -> Vec<HardLinks> {
    let root = &root.holding();
    let files: BTreeSet<&Path> = certificates
        .iter()
        .filter_map(|id| inventory.entry(id))
        .flat_map(Entry::files)
        .collect();
    files
        .into_iter()
        .filter_map(|file| other_names(root, inventory, file))
        .collect()
}

fn other_names(root: &Root, inventory: &Inventory, file: &Path) -> Option<HardLinks> {
    let real = inventory.real(file);
    let found = root.look(real).ok()??;
    if found.links < 2 || found.is_directory() {
        return None;
    }
    Some(HardLinks {
        path: file.to_path_buf(),
        others: found.links - 1,
        found: directories(root, inventory, real)
            .iter()
            .flat_map(|directory| same_file(directory, found.identity))
            .filter(|other| other != real)
            .collect(),
    })
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
