//! Certificates that somebody rolled back by hand: renewing them at once would undo that.

use std::time::Duration;

use jiff::Timestamp;

use super::obstacle::Obstacle;
use super::reason::Reason;
use super::schedule::{LAST_MOMENT, earlier, later};
use super::types::{Action, PlanItem};
use crate::node::{CertificateId, Inventory};

/// How long the daemon leaves alone what was rolled back.
const HELD: Duration = Duration::from_secs(86_400);

/// One certificate that was rolled back by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub id: CertificateId,
    /// The serial that was put back: any other one was made since.
    pub serial: String,
    /// When it was put back.
    pub since: Timestamp,
}

/// Leaves an item alone that is due and held; one that has ended or is about to is not held.
pub(super) fn apply(
    holds: &[Hold],
    inventory: &Inventory,
    item: PlanItem,
    now: Timestamp,
) -> PlanItem {
    let Some(present) = inventory.entry(&item.id).and_then(|entry| entry.present()) else {
        return item;
    };
    let until = holds
        .iter()
        .filter(|hold| hold.id == item.id && hold.serial == present.leaf.serial)
        .filter(|hold| hold.since <= now)
        .map(|hold| later(hold.since, HELD))
        .max();
    match until {
        Some(until)
            if is_held(&item.action, now)
                && now < until
                && later(now, LAST_MOMENT) < present.leaf.not_after =>
        {
            let last = earlier(present.leaf.not_after, LAST_MOMENT);
            PlanItem {
                action: Action::Leave(Obstacle::RolledBack {
                    until: until.min(last),
                }),
                ..item
            }
        }
        _ => item,
    }
}

/// What would undo the roll-back: a renewal, and a request for one.
fn is_held(action: &Action, now: Timestamp) -> bool {
    match action {
        Action::Renew(reason) => matches!(reason, Reason::Due | Reason::Answered),
        Action::Leave(
            Obstacle::ExternalAuthority { request_from, .. }
            | Obstacle::AskedElsewhere { request_from, .. }
            | Obstacle::ForeignIssuer { request_from, .. },
        ) => request_from.is_some_and(|from| from <= now),
        Action::Leave(_) | Action::Wait => false,
    }
}
