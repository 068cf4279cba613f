//! Restarts that the daemon does of its own accord, and not for a renewal.

use jiff::{SignedDuration, Timestamp};

use crate::config::RestartMode;
use crate::operation::Context;
use crate::report::Receipt;

/// No component is restarted more often on account of what it has in memory.
const RESTARTED_ENOUGH: SignedDuration = SignedDuration::from_hours(24);

/// Whether the daemon restarts anything of its own accord.
pub(super) fn may_restart(context: &Context) -> bool {
    context.config.renewal.enabled && context.config.restart.mode != RestartMode::None
}

/// Whether kubecertd restarted a component within a day.
pub(super) fn was_restarted(receipts: &[Receipt], component: &str, now: Timestamp) -> bool {
    receipts
        .iter()
        .filter(|receipt| now.duration_since(receipt.finished) < RESTARTED_ENOUGH)
        .flat_map(|receipt| &receipt.restarts)
        .any(|(restarted, _)| restarted == component)
}
