//! What one look at the node showed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::held;
use super::others::Others;
use super::uses::Uses;
use crate::checks::Finding;
use crate::node::Inventory;
use crate::operation::Remark;
use crate::plan::{Action, KubeletNeed, KubeletRepairs, Plan};

/// What one look at the node showed, and what is known since earlier ones.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) inventory: Arc<Inventory>,
    pub(super) plan: Arc<Plan>,
    /// What speaks against an operation now.
    pub(super) findings: Vec<Finding>,
    /// Operations that were cut off and must be finished, whatever is due; or why they cannot be listed.
    pub(super) unfinished: Vec<String>,
    /// Expired certificates have stopped the node, and something can be done about it.
    pub(super) node_down: bool,
    /// What the kubelet needs to start.
    pub(super) kubelet: KubeletNeed,
    /// What is to be done for its certificates while nothing else is, as far as `kubelet.repair` wants it.
    pub(super) repair: KubeletRepairs,
    /// What is wrong with requests to CAs elsewhere, or with what came for them; one sentence each.
    pub(super) order_problems: Vec<String>,
    /// Copies of admin.conf that stay as they are.
    pub(super) copies: Vec<Remark>,
    /// When to look again because a program that signs is to be asked again, or has answered.
    pub(super) ask_again: Option<Duration>,
    /// What other processes are at, or left behind.
    pub(super) others: Others,
    /// Whether the certificates in the files are the ones in use.
    pub(super) uses: Uses,
}

impl Pass {
    /// Whether something is to be done.
    pub(super) fn has_work(&self) -> bool {
        !self.unfinished.is_empty()
            || self.node_down
            || self.due() > 0
            || !self.uses.to_be_restarted().is_empty()
            || self.repair.can_be_helped()
    }

    /// Whether the kubelet's certificate is all that is to be seen to.
    pub(super) fn only_repairs_kubelet(&self) -> bool {
        self.repair.can_be_helped()
            && self.due() == 0
            && !self.node_down
            && self.unfinished.is_empty()
            && self.uses.to_be_restarted().is_empty()
    }

    /// Components that are to be restarted though nothing else is to be done: a renewal restarts what it has to, and the rest is seen
    /// after it.
    pub(super) fn only_restarts(&self) -> Vec<String> {
        if self.due() > 0 || self.node_down || !self.unfinished.is_empty() {
            return Vec::new();
        }
        self.uses.to_be_restarted()
    }

    /// What keeps the daemon from renewing what is due. Finishing what was cut off does not wait for it, nor does a node that
    /// expired certificates have stopped.
    pub(super) fn held(&self) -> Vec<&Finding> {
        let is_renewal = self.due() > 0 && self.unfinished.is_empty() && !self.node_down;
        let wanted = is_renewal || !self.only_restarts().is_empty() || self.only_repairs_kubelet();
        self.findings
            .iter()
            .filter(|finding| wanted && finding.blocks())
            .collect()
    }

    /// When to look again at that.
    pub(super) fn held_for(&self, now: Timestamp) -> Option<Duration> {
        held::look_again_after(&self.held(), now)
    }

    /// What an operation that begins now is about; `None` where there is nothing to do.
    pub(super) fn doing(&self) -> Option<String> {
        match (self.due(), self.node_down) {
            (0, false) if !self.only_restarts().is_empty() => {
                Some(format!("Restarting: {}", self.only_restarts().join(", ")))
            }
            (0, false) if self.only_repairs_kubelet() => {
                Some("Renewing: the kubelet's own certificates".to_owned())
            }
            (0, false) if self.unfinished.is_empty() => None,
            (0, false) => Some(format!(
                "Finishing operation {}",
                self.unfinished.join(", ")
            )),
            (0, true) => Some("Renewing: the kubelet's own certificate".to_owned()),
            (due, _) => Some(format!("Renewing: {due} due")),
        }
    }

    /// The same in one word.
    pub(super) fn verb(&self) -> &'static str {
        if !self.only_restarts().is_empty() {
            "Restarting"
        } else if self.due() == 0 && !self.node_down && !self.only_repairs_kubelet() {
            "Finishing"
        } else {
            "Renewing"
        }
    }

    pub(super) fn due(&self) -> usize {
        self.plan
            .items
            .iter()
            .filter(|item| matches!(item.action, Action::Renew(_)))
            .count()
    }
}
