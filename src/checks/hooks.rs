//! What lies among the hooks and is not run.

use super::cause::Cause;
use super::finding::{Finding, Severity};
use super::judge::Case;
use crate::runtime::{Moment, UnfitHook};

impl Case<'_> {
    /// It is not passed over: whoever put it there relies on it. What was to come afterwards no refusal can bring back.
    pub(super) fn hook(&self, one: &UnfitHook) -> Option<Finding> {
        let is_of_use = match one.moment {
            Moment::PreRestart | Moment::PostRestart => !self.intent.manifests.is_empty(),
            Moment::PreRenew | Moment::PostRenew => !self.intent.targets.is_empty(),
        };
        let severity = if one.moment.is_before() {
            Severity::Refuse
        } else {
            Severity::Warn
        };
        is_of_use.then(|| self.finding(one.into(), severity))
    }
}

impl From<&UnfitHook> for Cause {
    fn from(one: &UnfitHook) -> Self {
        Self::HookUnfit {
            moment: one.moment,
            path: one.path.clone(),
            reason: one.reason.clone(),
        }
    }
}
