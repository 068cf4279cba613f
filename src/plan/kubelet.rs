//! The kubelet's certificates: what is to be known of them, and what can be done for them here, before the kubelet is down.

use jiff::Timestamp;

use super::expired::{KubeletNeed, certificate_like, is_usable, kubelet_need};
use super::note::Note;
use super::rotation::{Rotation, faults};
use super::serving::{Due, ServingNeed, serving_need};
use crate::config::{KubeletRepair, Renewal};
use crate::node::{CertificateId, Entry, Inventory};

/// What is to be done for the kubelet's certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletRepairs {
    /// For the one with which it makes itself known.
    pub client: KubeletNeed,
    /// For the one that it serves.
    pub serving: ServingNeed,
}

impl KubeletRepairs {
    /// Nothing.
    pub const NONE: Self = Self {
        client: KubeletNeed::Nothing,
        serving: ServingNeed::Nothing,
    };

    /// Whether nothing is to be done.
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Whether there is something that can be done here.
    #[must_use]
    pub fn can_be_helped(&self) -> bool {
        self.client.can_be_helped() || self.serving != ServingNeed::Nothing
    }
}

/// What is to be done for the kubelet's certificates, as far as `when` wants it; a client certificate that has expired is seen to
/// with the rest of the node, unless it is wanted earlier.
#[must_use]
pub fn kubelet_repairs(
    inventory: &Inventory,
    renewal: &Renewal,
    when: KubeletRepair,
    now: Timestamp,
) -> KubeletRepairs {
    match when {
        KubeletRepair::Off => KubeletRepairs::NONE,
        KubeletRepair::Expired => KubeletRepairs {
            client: KubeletNeed::Nothing,
            serving: serving_need(inventory, renewal, Due::Ended, now),
        },
        KubeletRepair::Overdue => KubeletRepairs {
            client: kubelet_repair(inventory, now),
            serving: serving_need(inventory, renewal, Due::AsAnyOther, now),
        },
    }
}

/// What is to be known of a certificate of the kubelet's.
pub(super) fn notes(
    inventory: &Inventory,
    renewal: &Renewal,
    entry: &Entry,
    now: Timestamp,
) -> Vec<Note> {
    if matches!(entry.id, CertificateId::KubeletServing(_)) {
        let need = serving_need(inventory, renewal, Due::AsAnyOther, now);
        let is_due = need.concerns(&entry.id);
        return entry
            .present()
            .filter(|_| is_due)
            .map(|present| Note::NobodyRenewsIt {
                ends: present.leaf.not_after,
            })
            .into_iter()
            .collect();
    }
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
