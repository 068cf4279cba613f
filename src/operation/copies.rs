//! Copies of admin.conf follow it, after the proof: until then its old certificate may come back, and in the copies it goes on working
//! either way. What is missed here, by a crash or since a file was just in use, the daemon's next look finds by its certificate.

mod originals;
mod visit;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Context;
use super::event::Event;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use crate::config::Discover;
use crate::files::{CopyPlace, CopyState, FoundCopies, copy_places};
use crate::host::{Awaited, Whose, in_time, now};
use crate::journal::{Lock, TransactionError};
use crate::node::{Inventory, accounts};
use originals::{has_copies, originals};
use visit::{Doing, PATIENCE, Visited, is_stale, visit_all};

/// The copies of admin.conf and super-admin.conf on the node, as they are now, and what keeps any from being seen.
#[must_use]
pub fn look_at_copies(context: &Context, inventory: &Inventory) -> FoundCopies {
    let mut found = FoundCopies {
        is_begun: may_begin(context),
        ..FoundCopies::default()
    };
    let places = places(context);
    if places.is_empty() {
        return found;
    }
    let originals = originals(context, inventory, &[]);
    for (place, visited) in visit_all(context, places, &originals, Doing::Looking) {
        found.seen.extend(visited.seen);
        let unread = visited.fault.map(|fault| (place.path(), fault));
        found.unread.extend(unread);
    }
    found
}

/// Brings the copies of what was renewed up to date.
pub(super) fn update_copies(run: &mut Run<'_>, report: &mut RenewalReport) {
    let places = places(run.context);
    if places.is_empty() || !report.renewed.iter().any(|line| has_copies(&line.id)) {
        return;
    }
    let mut originals = originals(run.context, &run.node(), &report.renewed);
    originals.retain(|original| report.renewed.iter().any(|line| line.id == original.id));
    let visited = visit_all(run.context, places, &originals, Doing::Updating);
    let Told { events, remarks } = told(&visited);
    for event in events {
        run.emit(event);
    }
    for remark in remarks {
        run.remark(remark.clone());
        report.warnings.push(remark);
    }
    let updated = visited.into_iter().flat_map(|(_, one)| one.updated);
    let paths: BTreeSet<PathBuf> = updated.map(|one| one.path).collect();
    report.copies.extend(paths);
}

/// Brings copies up to date that were left behind; what stands against that of those that are worth another attempt, or that an
/// administrator has to see to. Nothing is done while another process is at work.
///
/// # Errors
/// Where the lock cannot be had for another reason.
pub fn catch_up_copies(
    context: &Context,
    inventory: &Inventory,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Remark>, TransactionError> {
    let places = places(context);
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let originals = originals(context, inventory, &[]);
    let looked = visit_all(context, places, &originals, Doing::Looking);
    let is_due = looked.iter().any(|(_, one)| one.is_due());
    if !is_due || !may_begin(context) {
        return Ok(standing(context, told(&looked).remarks));
    }
    let _lock = match Lock::take_at_once(&context.store()) {
        Ok(lock) => lock,
        Err(TransactionError::Busy { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // An operation that began meanwhile and was cut off may put the old certificate back.
    if !context.store().in_flight()?.is_empty() {
        return Ok(Vec::new());
    }
    // The time that users have together is for those that need it.
    let (due, mut visited): (Vec<_>, Vec<_>) =
        looked.into_iter().partition(|(_, one)| one.is_due());
    let due = due.into_iter().map(|(place, _)| place).collect();
    visited.extend(visit_all(context, due, &originals, Doing::Updating));
    let told = told(&visited);
    told.events.into_iter().for_each(tell);
    Ok(standing(context, told.remarks))
}

/// Where copies may lie. None where nothing is configured: then nothing is read for them.
fn places(context: &Context) -> Vec<CopyPlace> {
    copy_places(&context.root, &context.config.admin_copies)
}

/// Whether the daemon begins anything by itself.
fn may_begin(context: &Context) -> bool {
    let is_on_hold = matches!(context.store().on_hold(now()), Ok(Some(_)));
    context.config.renewal.enabled && !is_on_hold
}

/// Whether users' copies are wanted and no home of a user is there: systemd hides them from a unit without a word.
fn are_homes_hidden(context: &Context) -> bool {
    const HOMES: &str = "/home";
    if context.config.admin_copies.discover != Discover::Users {
        return false;
    }
    let root = context.root.clone();
    let look = move |_: &Awaited| {
        let mut homes = accounts(&root)
            .into_iter()
            .filter(|account| account.home.starts_with(HOMES))
            .peekable();
        homes.peek().is_some() && !homes.any(|account| root.is_directory(&root.join(account.home)))
    };
    in_time(Path::new(HOMES), Whose::User, PATIENCE, look).unwrap_or(false)
}

/// Those that are not a user's own affair, and whether there is anything to be seen at all.
fn standing(context: &Context, mut remarks: Vec<Remark>) -> Vec<Remark> {
    remarks.retain(|remark| match remark {
        Remark::CopyNotUpdated { fault, .. } => !fault.is_at_will(),
        _ => true,
    });
    remarks.extend(are_homes_hidden(context).then_some(Remark::HomesHidden));
    remarks
}

/// What is said of a visit.
struct Told {
    events: Vec<Event>,
    remarks: Vec<Remark>,
}

fn told(visited: &[(CopyPlace, Visited)]) -> Told {
    let mut told = Told {
        events: Vec::new(),
        remarks: Vec::new(),
    };
    for (place, one) in visited {
        told.events
            .extend(one.updated.iter().map(|copy| Event::CopyUpdated {
                certificate: copy.of.clone(),
                path: copy.path.clone(),
            }));
        if let Some(fault) = &one.fault {
            let stale = one.seen.iter().find(|copy| is_stale(copy));
            told.remarks.push(Remark::CopyNotUpdated {
                path: stale.map_or_else(|| place.path(), |copy| copy.path.clone()),
                certificate: stale.map(|copy| copy.of.clone()),
                fault: fault.clone(),
            });
        }
        told.remarks.extend(one.seen.iter().filter_map(|copy| {
            let CopyState::Kept(fault) = &copy.state else {
                return None;
            };
            Some(Remark::CopyNotUpdated {
                path: copy.path.clone(),
                certificate: Some(copy.of.clone()),
                fault: fault.clone(),
            })
        }));
    }
    told
}
