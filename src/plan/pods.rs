//! Which static pods a renewal concerns, and which of them are restarted.

use super::{
    Action, AffectedPod, Plan, Reloading, RestartGroup, affected_pods, reloading, restart_groups,
};
use crate::config::{Restart, RestartMode};
use crate::node::{CertificateId, Inventory, PodRef};

/// What follows from a renewal for the static pods.
pub(super) struct Pods {
    pub(super) affected: Vec<AffectedPod>,
    pub(super) restarts: Vec<RestartGroup>,
    pub(super) rereading: Vec<PodRef>,
    pub(super) expected: Vec<RestartGroup>,
}

impl Pods {
    pub(super) fn of(
        inventory: &Inventory,
        settings: &Restart,
        renewed: &[&CertificateId],
    ) -> Self {
        let affected = affected_pods(inventory, renewed);
        let restarts = match settings.mode {
            RestartMode::None => Vec::new(),
            RestartMode::Affected | RestartMode::WhenNeeded => {
                let pods: Vec<PodRef> = affected.iter().map(|one| one.pod.clone()).collect();
                restart_groups(inventory, &pods)
            }
        };
        let rereads = |pod: &&AffectedPod| {
            settings.mode == RestartMode::WhenNeeded
                && matches!(reloading(inventory, pod, None), Reloading::ByItself(_))
        };
        let rereading: Vec<PodRef> = affected
            .iter()
            .filter(rereads)
            .map(|one| one.pod.clone())
            .collect();
        let expected = if rereading.is_empty() {
            restarts.clone()
        } else {
            let all = affected.iter().map(|one| &one.pod);
            let rest: Vec<PodRef> = all
                .filter(|pod| !rereading.contains(pod))
                .cloned()
                .collect();
            restart_groups(inventory, &rest)
        };
        Self {
            affected,
            restarts,
            rereading,
            expected,
        }
    }
}

impl Plan {
    /// The same plan for some of the certificates; the others wait.
    #[must_use]
    pub fn only(
        mut self,
        inventory: &Inventory,
        settings: &Restart,
        is_meant: impl Fn(&CertificateId) -> bool,
    ) -> Self {
        let mut is_same = true;
        for item in &mut self.items {
            if matches!(item.action, Action::Renew(_)) && !is_meant(&item.id) {
                item.action = Action::Wait;
                is_same = false;
            }
        }
        if is_same {
            return self;
        }
        let pods = Pods::of(inventory, settings, &self.renewed());
        Self {
            affected: pods.affected,
            restarts: pods.restarts,
            rereading: pods.rereading,
            expected: pods.expected,
            ..self
        }
    }
}
