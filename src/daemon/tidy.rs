//! What the daemon clears away: private keys in old backups.

use std::time::{Duration, Instant};

use super::aside::aside;
use super::pass::Pass;
use crate::checks::{Check, Severity};
use crate::operation::{Context, tidy_backups};

/// How often backups are looked at.
const INTERVAL: Duration = Duration::from_secs(3600);

/// When that was done last, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Tidying {
    last: Option<Instant>,
    problem: Option<String>,
}

impl Tidying {
    /// Removes private keys from backups that are too old, once an hour, and not by a clock that may be wrong.
    pub(super) async fn tidy(&mut self, context: &Context, pass: &Pass, now: Instant) {
        let is_doubtful = pass
            .findings
            .iter()
            .any(|finding| finding.check() == Check::Clock && finding.severity > Severity::Warn);
        let is_recent = self
            .last
            .is_some_and(|last| now.duration_since(last) < INTERVAL);
        if is_doubtful || is_recent {
            return;
        }
        self.last = Some(now);
        let (context, at) = (context.clone(), pass.plan.at);
        let tidied = aside("tidying", move || async move { tidy_backups(&context, at) }).await;
        let problem = tidied.err().map(|error| error.to_string());
        if let Some(reason) = &problem
            && problem != self.problem
        {
            tracing::warn!("old private keys stay in the backups: {reason}");
        }
        self.problem = problem;
    }
}
