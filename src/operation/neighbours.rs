//! What the control planes say of themselves, and what holds all of them up: looked at now and then, from the Lease of the turn.

use std::time::Duration;

use jiff::Timestamp;

use super::Context;
use super::table::Table;
use crate::api::ApiError;
use crate::cluster::{Fleet, Halt, Known, NodeReport, Sight, is_name, make_lease, publish};
use crate::host::uptime;
use crate::journal::Outcome;
use crate::node::Inventory;
use crate::plan::Plan;
use crate::report::{ExpirationInfo, History};

/// What this node says of itself is written no more often than this, but at once after an operation.
const PAUSE: Duration = Duration::from_secs(3600);
/// Whoever held a Lease that is gone is done by then: none counts for longer.
const LONGEST_HELD: Duration = Duration::from_secs(4 * 3600);

/// What this node says of itself at `now`.
#[must_use]
pub fn own_report(
    context: &Context,
    inventory: &Inventory,
    plan: &Plan,
    now: Timestamp,
) -> NodeReport {
    let ends = ExpirationInfo::new(inventory, now, false)
        .leaving(&context.config.renewal)
        .due_within(Duration::MAX, now);
    let receipts = History::new(&context.store()).receipts();
    // What is wrong with the history is a finding.
    let last = receipts.ok().and_then(|receipts| receipts.last().cloned());
    NodeReport {
        node: inventory.node_name.clone().unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        next_due: plan.next_due.as_ref().map(|(moment, _)| *moment),
        first_end: ends.due.first().map(|(_, end)| *end),
        last_result: last.as_ref().map(|last| last.outcome.code().to_owned()),
        code: last.as_ref().and_then(|last| match last.outcome {
            Outcome::Done => None,
            Outcome::RolledBack(_) | Outcome::Failed(_) => last.code.clone(),
        }),
        last_finished: last.as_ref().map(|last| last.finished),
        written: now,
    }
}

/// What is known of all control planes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSeen {
    /// When that was read.
    pub seen: Timestamp,
    /// Why it was not read now.
    pub failure: Option<ApiError>,
    /// What they say of themselves.
    pub fleet: Fleet,
    /// Names of the other control planes, whether they say anything or not.
    pub others: Vec<String>,
    /// The mark of a node that failed; unknown where it was not read now.
    pub halt: Option<Halt>,
}

/// What all control planes say of themselves; what was kept of it where the API does not answer. `None` where this is the only
/// one, or the configuration wants no turns.
///
/// # Errors
/// [`ApiError`] where nothing was kept.
pub async fn look_at_fleet(
    context: &Context,
    inventory: &Inventory,
) -> Result<Option<FleetSeen>, ApiError> {
    let Some(table) = Table::of(context, inventory).await else {
        return Ok(None);
    };
    let others = table.other_names();
    let looked = match &table.seat {
        Ok(seat) => table.look(seat).await,
        Err(error) => Err(error.clone()),
    };
    match looked {
        Ok(sight) => Ok(Some(FleetSeen {
            seen: crate::host::now(),
            failure: None,
            fleet: sight.fleet,
            others,
            halt: sight.halt,
        })),
        Err(error) => match Known::read(&context.store()).fleet {
            Some(known) => Ok(Some(FleetSeen {
                seen: known.seen,
                failure: Some(error),
                fleet: known.fleet,
                others,
                halt: None,
            })),
            None => Err(error),
        },
    }
}

/// The other control planes, as the daemon looks at them.
#[derive(Debug, Default)]
pub struct Neighbours {
    /// When this node wrote, or tried to write, what it says of itself; in uptime.
    written: Option<Duration>,
    /// Since when the Lease that it knew is gone; in uptime.
    gone: Option<Duration>,
}

impl Neighbours {
    /// Looks at the Lease, keeps what it says, and writes into it what `report` says where that is news. `at_once`: an operation
    /// has just ended. `None` where there are no others.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn look(
        &mut self,
        context: &Context,
        inventory: &Inventory,
        report: &NodeReport,
        at_once: bool,
    ) -> Result<Option<Sight>, ApiError> {
        let Some(table) = Table::of(context, inventory).await else {
            return Ok(None);
        };
        let seat = table.seat.as_ref().map_err(ApiError::clone)?;
        let mut sight = table.look(seat).await?;
        let now = uptime();
        if sight.lease.is_some() {
            self.gone = None;
        } else if self.may_make_lease(table.known_lease(), now) {
            sight.lease = Some(make_lease(seat).await?);
        }
        table.remember_first(sight.lease.clone());
        let is_soon = |written: Duration| now.saturating_sub(written) < PAUSE;
        let may_write = at_once || !self.written.is_some_and(is_soon);
        let is_news = report.is_news(sight.fleet.node(&report.node));
        if sight.lease.is_some() && is_name(&report.node) && is_news && may_write {
            self.written = Some(now);
            publish(seat, report, &sight).await?;
            sight.fleet.put(report);
        }
        keep(context, &sight.fleet);
        Ok(Some(sight))
    }

    /// Whether there may be a new Lease: where there never was one, or where whoever held the one that is gone is done for sure.
    fn may_make_lease(&mut self, known: Option<&str>, now: Duration) -> bool {
        let gone = *self.gone.get_or_insert(now);
        known.is_none() || now.saturating_sub(gone) > LONGEST_HELD
    }
}

/// Keeps what all say. That it cannot be kept only means that it cannot be shown while the API is away.
fn keep(context: &Context, fleet: &Fleet) {
    let now = crate::host::now();
    let kept = Known::update(&context.store(), |known| known.see_fleet(fleet, now));
    if let Err(error) = kept {
        tracing::debug!(%error, "what the control planes say of themselves is not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_is_gone_is_made_anew_when_its_holder_is_done_for_sure() {
        let hour = Duration::from_secs(3600);
        let mut neighbours = Neighbours::default();
        assert!(neighbours.may_make_lease(None, hour));
        let mut neighbours = Neighbours::default();
        assert!(!neighbours.may_make_lease(Some("u"), hour));
        assert!(!neighbours.may_make_lease(Some("u"), hour * 4));
        assert!(neighbours.may_make_lease(Some("u"), hour * 6));
    }
}
