//! When the daemon may act at all, by an administrator's word: maintenance windows, and a hold.

use super::cause::Cause;
use super::finding::Finding;
use super::judge::Case;
use super::readings::Readings;
use crate::plan::next_opening;

impl Case<'_> {
    /// Only what is due waits for a window: what is of no use to anybody now does not.
    pub(super) fn window(&self, readings: &Readings) -> Option<Finding> {
        if self.intent.is_empty() || self.intent.broken {
            return None;
        }
        let opening = next_opening(&readings.windows, self.intent.longest, self.now)?;
        if opening.opens <= self.now {
            return None;
        }
        let cause = Cause::OutsideWindow {
            window: opening.window,
            opens: opening.opens,
        };
        Some(self.unless_overridden(cause))
    }

    /// A hold is said also where nothing is due, so that it is not forgotten.
    pub(super) fn hold(&self, readings: &Readings) -> Option<Finding> {
        let hold = readings.on_hold.as_ref()?;
        let cause = Cause::OnHold {
            reason: hold.reason.clone(),
            since: hold.since,
            until: hold.until,
        };
        Some(self.unless_overridden(cause))
    }

    /// It has its force until a certificate is near its end.
    fn unless_overridden(&self, cause: Cause) -> Finding {
        let ending = self
            .intent
            .overridden
            .as_ref()
            .filter(|one| one.from <= self.now)
            .map(|one| (&one.certificate, one.ends));
        self.unless(ending, cause, self.wait_or_warn())
    }
}
