//! A node that expired certificates have stopped.

use std::time::Duration;

use super::pass::Pass;
use super::service::Daemon;
use crate::plan::{expired, is_stopped};
use crate::probe::reachability;

/// How often a kubelet is looked at that goes on with an expired certificate: it ends once it notices.
const EXPIRED_INTERVAL: Duration = Duration::from_secs(60);

impl Pass {
    /// When to look again although nothing is to be done yet.
    pub(super) fn look_again_after(&self) -> Option<Duration> {
        self.kubelet.can_be_helped().then_some(EXPIRED_INTERVAL)
    }
}

impl Daemon {
    /// A node that has just stopped does not wait until an earlier failure may be tried again.
    pub(super) fn hurry_if_stopped(&mut self, pass: &Pass) {
        if pass.stopped && !self.was_stopped {
            self.retry.permit_now();
        }
        self.was_stopped = pass.stopped;
    }

    /// Finds out whether expired certificates have stopped the node. Nobody is asked while none has expired.
    pub(super) async fn look_closer(&self, pass: &mut Pass) {
        let context = &self.context;
        let now = crate::host::now();
        let helpful = pass.due() > 0 || pass.kubelet.can_be_helped();
        let concerned = pass.kubelet.can_be_helped() || !expired(&pass.inventory, now).is_empty();
        if !helpful || !concerned || !context.is_live() || !context.config.renewal.enabled {
            return;
        }
        let reachability = reachability(&pass.inventory).await;
        pass.stopped = is_stopped(&pass.inventory, reachability, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config::Config;
    use crate::host::Root;
    use crate::operation::Context;

    #[test]
    fn a_node_that_has_just_stopped_does_not_wait_for_the_next_attempt() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let mut daemon = Daemon::new(
            Context::new(root, Config::default(), None),
            None,
            Vec::new(),
        );
        let now = Instant::now();
        let mut pass = daemon.look();
        daemon.retry.failed(now, true, 0.0);
        daemon.hurry_if_stopped(&pass);
        assert!(!daemon.retry.permits(now));
        pass.stopped = true;
        daemon.hurry_if_stopped(&pass);
        assert!(daemon.retry.permits(now));
        // What fails then waits as always.
        daemon.retry.failed(now, true, 0.0);
        daemon.hurry_if_stopped(&pass);
        assert!(!daemon.retry.permits(now));
    }
}
