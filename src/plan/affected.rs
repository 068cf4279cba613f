//! Which static pods use which renewed files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::AffectedPod;
use crate::config::CertificateUser;
use crate::node::{CertificateId, Entry, Inventory, StaticPod};

/// The pods that use a file of one of the named entries, in the inventory's order. What lies in the same file as one of them
/// is renewed with it.
#[must_use]
pub fn affected_pods(inventory: &Inventory, renewed: &[&CertificateId]) -> Vec<AffectedPod> {
    let replaced: HashSet<&Path> = inventory
        .entries
        .iter()
        .filter(|entry| renewed.contains(&&entry.id))
        .flat_map(Entry::files)
        .map(|file| inventory.real(file))
        .collect();
    let entries: Vec<&Entry> = inventory
        .entries
        .iter()
        .filter(|entry| {
            renewed.contains(&&entry.id)
                || (entry.is_renewed_here()
                    && entry
                        .files()
                        .any(|file| replaced.contains(inventory.real(file))))
        })
        .collect();
    inventory
        .static_pods
        .iter()
        .filter_map(|pod| {
            let used = Used::of(inventory, pod);
            let certificates: Vec<CertificateId> = entries
                .iter()
                .filter(|entry| {
                    let mut files = entry.files().chain([entry.path.as_path()]);
                    files.any(|file| used.contain(file, inventory.real(file)))
                        || is_said_to_use(inventory, pod, entry)
                })
                .map(|entry| entry.id.clone())
                .collect();
            (!certificates.is_empty()).then(|| AffectedPod {
                pod: pod.into(),
                certificates,
            })
        })
        .collect()
}

/// kubeadm's own components mount whole directories, but their flags name every file that they read of them. Any other pod
/// may read whatever it mounts.
fn used_paths(pod: &StaticPod) -> Vec<PathBuf> {
    if pod.program().is_some() {
        pod.files()
    } else {
        pod.used_paths()
    }
}

/// Whether the configuration says that this pod uses a certificate.
fn is_said_to_use(inventory: &Inventory, pod: &StaticPod, entry: &Entry) -> bool {
    let said = entry.described.as_ref().map(|one| &one.description.user);
    let Some(CertificateUser::StaticPod(name)) = said else {
        return false;
    };
    let used_by = inventory.static_pod(name);
    used_by.is_some_and(|used_by| used_by.path == pod.path)
}

/// What a pod uses, by name and behind links.
struct Used {
    named: HashSet<PathBuf>,
    real: HashSet<PathBuf>,
}

impl Used {
    fn of(inventory: &Inventory, pod: &StaticPod) -> Self {
        let named: HashSet<PathBuf> = used_paths(pod).into_iter().collect();
        let real = named
            .iter()
            .map(|path| inventory.real(path).to_path_buf())
            .collect();
        Self { named, real }
    }

    /// Whether the file is or lies below one of the paths, by name or behind links.
    fn contain(&self, file: &Path, real: &Path) -> bool {
        file.ancestors().any(|above| self.named.contains(above))
            || real.ancestors().any(|above| self.real.contains(above))
    }
}
