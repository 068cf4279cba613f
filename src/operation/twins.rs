//! One file that is two certificates': what lies in the same files is renewed once, and counts for both.

use std::collections::BTreeSet;
use std::path::Path;

use crate::issuer::{Replacement, Wanted};
use crate::node::{CertificateId, Entry, Inventory, KeyState};

/// The other certificates that lie in exactly the files of this one.
pub(super) fn twins<'node>(inventory: &'node Inventory, id: &CertificateId) -> Vec<&'node Entry> {
    let Some(own) = inventory.entry(id) else {
        return Vec::new();
    };
    let files = real_files(inventory, own);
    others(inventory, id)
        .filter(|other| real_files(inventory, other) == files)
        .collect()
}

/// Leaves out what is renewed with another that is wanted as well.
pub(super) fn without_twins(inventory: &Inventory, wanted: &mut Vec<Wanted>) {
    let mut covered: BTreeSet<&CertificateId> = BTreeSet::new();
    wanted.retain(|want| {
        let first = !covered.contains(&want.id);
        if first {
            let twins = twins(inventory, &want.id);
            covered.extend(twins.iter().map(|twin| &twin.id));
        }
        first
    });
}

/// Why these files of one certificate must not be replaced: another has one of them, and not the rest.
pub(super) fn conflict(
    inventory: &Inventory,
    id: &CertificateId,
    replaced: &[Replacement],
) -> Option<String> {
    let own = real_files(inventory, inventory.entry(id)?);
    let replaced: Vec<&Path> = replaced
        .iter()
        .map(|one| inventory.real(&one.path))
        .collect();
    // A link that leads here does not make it another's file: others could hold up any certificate by that.
    let mut others = others(inventory, id).filter(|other| {
        other
            .present()
            .is_none_or(|present| !matches!(present.key, KeyState::NotOwn(_)))
    });
    others.find_map(|other| {
        let theirs = real_files(inventory, other);
        let shared = replaced.iter().find(|file| theirs.contains(*file))?;
        (theirs != own).then(|| {
            format!(
                "{id}: {} is also a file of {}, which would no longer fit its other one; give each of the two its own files",
                shared.display(),
                other.id
            )
        })
    })
}

fn others<'node>(
    inventory: &'node Inventory,
    id: &CertificateId,
) -> impl Iterator<Item = &'node Entry> {
    inventory.entries.iter().filter(move |entry| {
        entry.id != *id && entry.is_renewed_here() && entry.present().is_some()
    })
}

/// Where its certificate and its key really lie.
fn real_files<'node>(inventory: &'node Inventory, entry: &'node Entry) -> BTreeSet<&'node Path> {
    entry.files().map(|file| inventory.real(file)).collect()
}
