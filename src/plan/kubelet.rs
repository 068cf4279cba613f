//! The kubelet's certificates: what is to be known of them, and what can be done for them here, before the kubelet is down.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::expired::{
    KubeletNeed, certificate_like, has_control_plane_expired, is_its_successor, is_usable,
    kubelet_need,
};
use super::note::Note;
use super::rotation::{Rotation, faults};
use super::serving::{Due, ServingNeed, own_entry, serving_need, signer_ends};
use crate::config::{KubeletRepair, Renewal};
use crate::node::{CertificateId, CertificateState, Entry, Inventory, Signer};
use crate::pki::{Certificate, date};

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

    /// What is to be done for each of the two.
    #[must_use]
    pub fn apart(self) -> Vec<Self> {
        let client = Self {
            client: self.client,
            ..Self::NONE
        };
        let serving = Self {
            serving: self.serving,
            ..Self::NONE
        };
        let both = [client, serving];
        both.into_iter().filter(|one| !one.are_none()).collect()
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
    let repairs = match when {
        KubeletRepair::Off => KubeletRepairs::NONE,
        KubeletRepair::Expired => KubeletRepairs {
            client: KubeletNeed::Nothing,
            serving: serving_need(inventory, renewal, Due::Ended, now),
        },
        KubeletRepair::Overdue => KubeletRepairs {
            client: kubelet_repair(inventory, renewal, now),
            serving: serving_need(inventory, renewal, Due::AsAnyOther, now),
        },
    };
    if !repairs.are_none() && has_control_plane_expired(inventory, now) {
        // The kubelet is restarted only beside a control plane that works: all of that is another command's, and the daemon's too.
        return KubeletRepairs {
            client: KubeletNeed::Impossible(
                "other certificates of this node have expired as well; run `kubecertd recover --expired`"
                    .to_owned(),
            ),
            serving: ServingNeed::Nothing,
        };
    }
    repairs
}

/// Those of the kubelet's certificates that would be made anew here, and cannot be read, so that nobody knows whether they are overdue;
/// with the reason.
#[must_use]
pub fn unread_of_kubelet(inventory: &Inventory) -> Vec<String> {
    let own = own_entry(inventory).map(|entry| &entry.id);
    let config = inventory.entry(&CertificateId::KubeletConfig);
    let has_config = config.is_some_and(|one| !matches!(one.state, CertificateState::Missing));
    let entries = inventory.entries.iter();
    entries
        .filter(|entry| (entry.id.is_kubelets_client() && has_config) || Some(&entry.id) == own)
        .filter_map(|entry| match &entry.state {
            CertificateState::Unreadable(problem) => Some(format!(
                "{problem}; so it is not known whether it is overdue"
            )),
            CertificateState::Missing | CertificateState::Present(_) => None,
        })
        .collect()
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
        let is_rotated =
            rotated(inventory).is_some_and(|client| is_its_successor(client, entry, now));
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
pub fn kubelet_repair(inventory: &Inventory, renewal: &Renewal, now: Timestamp) -> KubeletNeed {
    let need = kubelet_need(inventory, now);
    // Where there is no kubelet.conf the kubelet has another, of which nothing is known.
    let Some(config) = inventory
        .entry(&CertificateId::KubeletConfig)
        .filter(|config| {
            need == KubeletNeed::Nothing && !matches!(config.state, CertificateState::Missing)
        })
    else {
        return need;
    };
    let client = rotated(inventory).filter(|client| client.present().is_some());
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
        Some((entry, present)) => {
            let validity = renewal.of(entry.id.as_str()).validity;
            match ends_no_later(inventory, &present.leaf, validity, now) {
                Some(reason) => KubeletNeed::Impossible(reason),
                None if matches!(present.signer, Signer::Unchecked(_)) => {
                    KubeletNeed::Impossible(format!(
                        "{}: whether this cluster's CA signed it cannot be checked here, so no other is made like it",
                        entry.path.display()
                    ))
                }
                None => certificate_like(inventory, config, (entry, present), now),
            }
        }
        None if holds_its_own && client.is_some_and(|one| is_its_successor(one, config, now)) => {
            KubeletNeed::Reference
        }
        None => KubeletNeed::Nothing,
    }
}

/// Why a new certificate would gain nothing.
fn ends_no_later(
    inventory: &Inventory,
    leaf: &Certificate,
    validity: Duration,
    now: Timestamp,
) -> Option<String> {
    let asked = SignedDuration::try_from(validity).unwrap_or(SignedDuration::MAX);
    let asked = now.checked_add(asked).unwrap_or(Timestamp::MAX);
    let authority = signer_ends(inventory).unwrap_or(Timestamp::MAX);
    (asked.min(authority) <= leaf.not_after).then(|| {
        format!(
            "a new one would end no later than {}, when this one ends: the CA ends on {}; see `kubecertd ca status`, \
             and renewal.validity",
            date(leaf.not_after),
            date(authority)
        )
    })
}

fn holds_its_own(config: &Entry) -> bool {
    config.certificate_path == config.path
}

fn rotated(inventory: &Inventory) -> Option<&Entry> {
    inventory.entry(&CertificateId::KubeletClient)
}
