//! The kubelet's client certificate while it is valid: what is to be known of it, and what can be done for it here.

use jiff::Timestamp;

use super::expired::{KubeletNeed, certificate_like, is_usable, kubelet_need};
use super::note::Note;
use super::rotation::{Rotation, faults};
use crate::node::{CertificateId, Entry, Inventory};

/// What is to be known of a certificate of the kubelet's that is still valid.
pub(super) fn notes(inventory: &Inventory, entry: &Entry, now: Timestamp) -> Vec<Note> {
    if !entry.id.is_kubelets_client() || !is_usable(entry, now) {
        return Vec::new();
    }
    let Some(leaf) = entry.present().map(|present| &present.leaf) else {
        return Vec::new();
    };
    if entry.id == CertificateId::KubeletConfig {
        let is_rotated = rotated(inventory).is_some_and(|client| is_usable(client, now));
        return if holds_its_own(entry) && is_rotated {
            vec![Note::HoldsItsCertificate {
                path: entry.path.clone(),
                ends: leaf.not_after,
            }]
        } else {
            Vec::new()
        };
    }
    let rotation = Rotation::of(leaf);
    if now < rotation.overdue {
        return Vec::new();
    }
    vec![Note::RotationOverdue {
        since: rotation.closes,
        ends: leaf.not_after,
        faults: faults(inventory),
    }]
}

/// What can be done for the kubelet's client certificate before it has expired: a new one where its renewal is overdue, and a reference
/// to the current one in a kubelet.conf that holds another. What it cannot start without comes first.
#[must_use]
pub fn kubelet_repair(inventory: &Inventory, now: Timestamp) -> KubeletNeed {
    let need = kubelet_need(inventory, now);
    let Some(config) = inventory
        .entry(&CertificateId::KubeletConfig)
        .filter(|_| need == KubeletNeed::Nothing)
    else {
        return need;
    };
    let client = rotated(inventory);
    let holds_its_own = holds_its_own(config);
    let in_use = if holds_its_own {
        client.or(Some(config))
    } else {
        // Elsewhere no kubelet puts a new one.
        client.filter(|client| client.path == config.certificate_path)
    };
    let overdue = in_use.and_then(|entry| {
        let present = entry.present()?;
        (now >= Rotation::of(&present.leaf).overdue).then_some((entry, present))
    });
    match overdue {
        Some((entry, present)) => certificate_like(inventory, config, (entry, present), now),
        None if holds_its_own && client.is_some_and(|client| is_usable(client, now)) => {
            KubeletNeed::Reference
        }
        None => KubeletNeed::Nothing,
    }
}

fn holds_its_own(config: &Entry) -> bool {
    config.certificate_path == config.path
}

fn rotated(inventory: &Inventory) -> Option<&Entry> {
    inventory.entry(&CertificateId::KubeletClient)
}
