//! Which static pods use which renewed files.

use std::path::{Path, PathBuf};

use super::AffectedPod;
use super::order::KUBEADM_COMPONENTS;
use crate::node::{Entry, Inventory, StaticPod};

/// The pods that use a file of one of the named entries, in the inventory's order.
#[must_use]
pub fn affected_pods(inventory: &Inventory, renewed: &[&str]) -> Vec<AffectedPod> {
    let entries: Vec<&Entry> = inventory
        .entries
        .iter()
        .filter(|entry| renewed.contains(&entry.name.as_str()))
        .collect();
    inventory
        .static_pods
        .iter()
        .filter_map(|pod| {
            let used = UsedFiles::of(pod);
            let certificates: Vec<String> = entries
                .iter()
                .filter(|entry| files(entry).any(|file| used.contain(file)))
                .map(|entry| entry.name.clone())
                .collect();
            (!certificates.is_empty()).then(|| AffectedPod {
                component: pod.component().to_owned(),
                manifest: pod.path.clone(),
                certificates,
            })
        })
        .collect()
}

/// The files that a renewal of the entry replaces.
fn files(entry: &Entry) -> impl Iterator<Item = &Path> {
    [&entry.path, &entry.certificate_path]
        .into_iter()
        .chain(&entry.key_path)
        .map(PathBuf::as_path)
}

enum UsedFiles<'node> {
    /// kubeadm's own components mount whole directories, but their flags name every file that they read of them.
    Named(Vec<PathBuf>),
    /// Any other pod may read whatever it mounts.
    Mounted(&'node StaticPod),
}

impl<'node> UsedFiles<'node> {
    fn of(pod: &'node StaticPod) -> Self {
        match pod.component_label.as_deref() {
            Some(component) if KUBEADM_COMPONENTS.contains(&component) => Self::Named(pod.files()),
            _ => Self::Mounted(pod),
        }
    }

    fn contain(&self, file: &Path) -> bool {
        match self {
            // A flag may name a directory, too.
            Self::Named(files) => files.iter().any(|named| file.starts_with(named)),
            Self::Mounted(pod) => pod.uses(file),
        }
    }
}
