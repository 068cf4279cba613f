//! A node that expired certificates have stopped.

use std::time::Duration;

use super::pass::Pass;
use crate::config::KubeletRepair;
use crate::operation::Context;
use crate::plan::{expired, is_node_down};
use crate::probe::reachability;

/// How often a kubelet is looked at that goes on with an expired certificate: it ends once it notices.
const EXPIRED_INTERVAL: Duration = Duration::from_secs(60);

impl Pass {
    /// When to look again although nothing is to be done yet.
    pub(super) fn look_again_after(&self) -> Option<Duration> {
        self.kubelet.can_be_helped().then_some(EXPIRED_INTERVAL)
    }

    /// Finds out whether expired certificates have stopped the node. Nobody is asked while none has expired.
    pub(super) async fn look_whether_down(&mut self, context: &Context) {
        let now = crate::host::now();
        let is_helped =
            self.kubelet.can_be_helped() && context.config.kubelet.repair != KubeletRepair::Off;
        let helpful = self.due() > 0 || is_helped;
        let concerned = is_helped || !expired(&self.inventory, now).is_empty();
        if !helpful || !concerned || !context.is_live() || !context.config.renewal.enabled {
            return;
        }
        let reachability = reachability(&self.inventory).await;
        self.node_down = is_node_down(&self.inventory, reachability, now);
    }
}
