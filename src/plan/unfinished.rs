//! What earlier operations left to be done, as an input of planning: an operation that begins adopts it, like any due certificate.

use super::order::{RestartMethod, restart_groups};
use super::types::{Action, AffectedPod, Plan};
use crate::config::{Restart, RestartMode};
use crate::node::{CertificateId, Inventory, PodRef};

/// What one operation that was cut off, or failed, left to be done. Its files and manifests are where they belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its id.
    pub operation: String,
    /// Pods that are still to be restarted.
    pub restarts: Vec<PodRef>,
    /// Certificates that are still to be proved in use.
    pub proofs: Vec<CertificateId>,
    /// Certificates whose users are still to be told of their files.
    pub users: Vec<CertificateId>,
    /// Certificates of which it put new ones in place; empty where it was rolled back, or put earlier ones back.
    pub renewed: Vec<CertificateId>,
    /// How its pods are restarted.
    pub method: RestartMethod,
}

impl Unfinished {
    /// Whether everything that it put in place is renewed by `plan` anyway, so that finishing it first is of no use. Never where
    /// somebody is to be told of it: what is renewed with kubeadm's certificates tells nobody else.
    #[must_use]
    pub fn is_overtaken(&self, plan: &Plan) -> bool {
        self.users.is_empty()
            && !self.renewed.is_empty()
            && self.renewed.iter().all(|id| {
                plan.items
                    .iter()
                    .any(|item| item.id == *id && matches!(item.action, Action::Renew(_)))
            })
    }
}

impl Plan {
    /// The same plan with the restarts, proofs and tellings that earlier operations left.
    #[must_use]
    pub fn adopting(
        mut self,
        unfinished: &[Unfinished],
        inventory: &Inventory,
        settings: &Restart,
    ) -> Self {
        if unfinished.is_empty() {
            return self;
        }
        for one in unfinished {
            self.method = self.method.joined(one.method);
            for id in &one.proofs {
                if !self.adopted_proofs.contains(id) {
                    self.adopted_proofs.push(id.clone());
                }
            }
            for id in &one.users {
                if !self.adopted_users.contains(id) {
                    self.adopted_users.push(id.clone());
                }
            }
            for pod in &one.restarts {
                let is_it = |known: &AffectedPod| known.pod.component == pod.component;
                if !self.affected.iter().any(is_it) {
                    self.affected.push(AffectedPod {
                        pod: pod.clone(),
                        certificates: Vec::new(),
                    });
                }
            }
        }
        if settings.mode != RestartMode::None {
            self.restarts = restart_groups(inventory, &self.pods());
            self.expected.clone_from(&self.restarts);
            self.rereading.clear();
        }
        self
    }

    /// The pods that it concerns.
    #[must_use]
    pub fn pods(&self) -> Vec<PodRef> {
        self.affected.iter().map(|one| one.pod.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_method_wins() {
        let containers = |kubelet_changed| RestartMethod::Containers { kubelet_changed };
        for (one, other, joined) in [
            (
                RestartMethod::Manifests,
                RestartMethod::Manifests,
                RestartMethod::Manifests,
            ),
            (
                RestartMethod::Manifests,
                containers(false),
                containers(false),
            ),
            (containers(true), RestartMethod::Manifests, containers(true)),
            (containers(false), containers(true), containers(true)),
        ] {
            assert_eq!(one.joined(other), joined);
            assert_eq!(other.joined(one), joined);
        }
    }
}
