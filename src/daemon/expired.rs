//! A node that expired certificates have stopped.

use std::time::Duration;

use jiff::Timestamp;

use super::pass::{Daemon, Pass};
use crate::plan::{expired, is_stopped};
use crate::restart::reachability;

/// How often a kubelet is looked at that goes on with an expired certificate: it ends once it notices.
const EXPIRED_INTERVAL: Duration = Duration::from_secs(60);

impl Pass {
    /// When to look again although nothing is to be done yet.
    pub(super) fn look_again_after(&self) -> Option<Duration> {
        self.kubelet.can_be_helped().then_some(EXPIRED_INTERVAL)
    }
}

impl Daemon {
    /// Finds out whether expired certificates have stopped the node. Nobody is asked while none has expired.
    pub(super) async fn look_closer(&self, pass: &mut Pass) {
        let context = &self.context;
        let now = Timestamp::now();
        let helpful = pass.due() > 0 || pass.kubelet.can_be_helped();
        let concerned = pass.kubelet.can_be_helped() || !expired(&pass.inventory, now).is_empty();
        if !helpful || !concerned || !context.is_live() || !context.config.renewal.enabled {
            return;
        }
        let reachability = reachability(&pass.inventory).await;
        pass.stopped = is_stopped(&pass.inventory, reachability, now);
    }
}
