//! What is renewed in one operation: all or none of it.
//!
//! kubeadm's certificates belong together, since their restarts do. A certificate that the configuration describes stands for
//! itself: a service that does not take it must not take kubeadm's back. Those with one user are one, and those that one pod uses, so
//! that it is told, or restarted, once.

use crate::config::{CertificateUser, UnitAction};
use crate::node::{CertificateId, Inventory};
use crate::plan::{AffectedPod, Plan};

/// Some of the certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// kubeadm's.
    Kubeadms,
    /// These, which the configuration describes.
    Described(Vec<CertificateId>),
}

impl Part {
    pub(super) fn has(&self, inventory: &Inventory, id: &CertificateId) -> bool {
        match self {
            Self::Kubeadms => user(inventory, id).is_none(),
            Self::Described(ids) => ids.contains(id),
        }
    }
}

/// The parts of what a plan renews that the configuration describes.
pub(super) fn parts(inventory: &Inventory, plan: &Plan) -> Vec<Part> {
    let mut users: Vec<(User<'_>, Vec<CertificateId>)> = Vec::new();
    for id in plan.renewed() {
        let Some(own) = user(inventory, id) else {
            continue;
        };
        let known = users.iter_mut().find(|(user, _)| {
            // Nobody knows whether those without one have the same.
            *user == own && *own.0 != CertificateUser::Unsaid
        });
        match known {
            Some((_, ids)) => ids.push(id.clone()),
            None => users.push((own, vec![id.clone()])),
        }
    }
    let mut parts: Vec<Vec<CertificateId>> = Vec::new();
    for (_, mut ids) in users {
        let (same, others) = parts
            .into_iter()
            .partition(|known| share_a_pod(plan, known, &ids));
        parts = others;
        let mut joined: Vec<CertificateId> = same.concat();
        joined.append(&mut ids);
        parts.push(joined);
    }
    parts.into_iter().map(Part::Described).collect()
}

fn share_a_pod(plan: &Plan, some: &[CertificateId], others: &[CertificateId]) -> bool {
    let has = |pod: &AffectedPod, ids: &[CertificateId]| {
        pod.certificates.iter().any(|id| ids.contains(id))
    };
    let mut pods = plan.affected.iter();
    pods.any(|pod| has(pod, some) && has(pod, others))
}

type User<'node> = (&'node CertificateUser, UnitAction);

fn user<'node>(inventory: &'node Inventory, id: &CertificateId) -> Option<User<'node>> {
    let described = inventory.entry(id)?.described.as_ref()?;
    let description = &described.description;
    Some((&description.user, description.unit_action()))
}
