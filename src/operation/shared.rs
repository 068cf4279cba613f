//! One file that is two certificates': what lies in the same files is renewed once, and counts for both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::issuer::{Replacement, Wanted};
use crate::node::{Entry, Inventory};
use crate::root::Root;

/// The other certificates that lie in exactly the files of this one.
pub(super) fn twins<'node>(
    root: &Root,
    inventory: &'node Inventory,
    name: &str,
) -> Vec<&'node Entry> {
    let Some(own) = inventory.entry(name) else {
        return Vec::new();
    };
    let files = files(root, own);
    others(inventory, name)
        .filter(|other| self::files(root, other) == files)
        .collect()
}

/// Leaves out what is renewed with another that is wanted as well.
pub(super) fn without_twins(root: &Root, inventory: &Inventory, wanted: &mut Vec<Wanted>) {
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    wanted.retain(|want| {
        let first = !covered.contains(want.name.as_str());
        if first {
            let twins = twins(root, inventory, &want.name);
            covered.extend(twins.iter().map(|twin| twin.name.as_str()));
        }
        first
    });
}

/// Why these files of one certificate must not be replaced: another has one of them, and not the rest.
pub(super) fn conflict(
    root: &Root,
    inventory: &Inventory,
    name: &str,
    replaced: &[Replacement],
) -> Option<String> {
    let own = files(root, inventory.entry(name)?);
    let replaced: Vec<PathBuf> = replaced.iter().map(|one| real(root, &one.path)).collect();
    others(inventory, name).find_map(|other| {
        let theirs = files(root, other);
        let shared = replaced.iter().find(|file| theirs.contains(*file))?;
        (theirs != own).then(|| {
            format!(
                "{name}: {} is also a file of {}, which would no longer fit its other one; give each of the two its own files",
                shared.display(),
                other.name
            )
        })
    })
}

fn others<'node>(inventory: &'node Inventory, name: &str) -> impl Iterator<Item = &'node Entry> {
    inventory.entries.iter().filter(move |entry| {
        entry.name != name && entry.is_catalogued() && entry.present().is_some()
    })
}

/// Where its certificate and its key really lie.
fn files(root: &Root, entry: &Entry) -> BTreeSet<PathBuf> {
    std::iter::once(&entry.certificate_path)
        .chain(&entry.key_path)
        .map(|path| real(root, path))
        .collect()
}

fn real(root: &Root, path: &Path) -> PathBuf {
    root.resolve(path).unwrap_or_else(|_| path.to_path_buf())
}
