//! When the daemon will act on a plan, by an administrator's word: its windows and holds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Context;
use super::hooks::longest;
use super::users;
use crate::checks::Readings;
use crate::checks::{Asked, Check, Intent, Overridden, judge};
use crate::config::Renewal;
use crate::node::Inventory;
use crate::pki::date;
use crate::plan::{Opening, Plan, Request, jitter, next_opening};
use crate::report::human_duration;

/// When the daemon acts, and what is to be known of that.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// The window for what is due now, or else for what is due next; `None` without windows.
    pub opening: Option<Opening>,
    /// A hold, and a certificate for which no window opens in time; one sentence each.
    pub notes: Vec<String>,
}

/// When the daemon acts on what is due at the plan's moment, or else on what is due next.
#[must_use]
pub fn schedule(context: &Context, inventory: &Inventory, plan: &Plan) -> Schedule {
    let config = &context.config;
    let mut notes: Vec<String> = jitter_in_words(inventory, &config.renewal)
        .into_iter()
        .collect();
    let (from, intent, told) = if plan.renewed().is_empty() {
        // What would be renewed at that moment.
        let Some((next, _)) = plan.next_due else {
            return Schedule {
                opening: None,
                notes,
            };
        };
        let then = context.plan(inventory, &Request::Due, next);
        let then = then.unwrap_or_else(|_| plan.clone());
        let intent = Intent::of(inventory, &then, config, context.is_live());
        (next, intent, users::longest(context, inventory, &then))
    } else {
        let intent = Intent::of(inventory, plan, config, context.is_live());
        (plan.at, intent, users::longest(context, inventory, plan))
    };
    let told = if context.is_live() {
        told
    } else {
        Duration::ZERO
    };
    let longest = intent.longest + longest(context, context.is_live()) + told;
    let opening = next_opening(&config.windows, longest, from);
    if let (Some(opening), Some(overridden)) = (&opening, &intent.overridden)
        && overridden.from.max(from) < opening.opens
    {
        notes.push(too_late(opening, overridden, from));
    }
    let readings = Readings {
        on_hold: context.store().on_hold(plan.at).unwrap_or_default(),
        ..Readings::default()
    };
    let held = judge(&readings, &intent, Asked::BySchedule, plan.at);
    let hold = held.iter().filter(|one| one.check() == Check::Hold);
    notes.extend(hold.map(ToString::to_string));
    Schedule { opening, notes }
}

fn jitter_in_words(inventory: &Inventory, renewal: &Renewal) -> Option<String> {
    if renewal.jitter.is_zero() {
        return None;
    }
    if inventory.lot.is_none() {
        return Some(
            "renewal.jitter has no effect, since this machine has no machine-id; see systemd-machine-id-setup(1)"
                .to_owned(),
        );
    }
    let earlier = SignedDuration::try_from(jitter(inventory, renewal)).unwrap_or_default();
    Some(format!(
        "by renewal.jitter this machine renews {} earlier than renewal.before says, and at most a twelfth of a certificate's lifetime",
        human_duration(earlier)
    ))
}

fn too_late(opening: &Opening, overridden: &Overridden, due: Timestamp) -> String {
    format!(
        "no maintenance window opens between {} and {}, when {} ends too soon to wait for one ({:?} opens on {}): it is renewed \
         then, outside the windows; open a window before, or lower renewal.window-override",
        date(due),
        date(overridden.from.max(due)),
        overridden.certificate,
        opening.window,
        date(opening.opens)
    )
}
