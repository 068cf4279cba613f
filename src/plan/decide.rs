//! From inventory to plan.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::candidate::{Candidate, Wish};
use super::expired::kubelet_obstacle;
use super::hold::{self, Hold};
use super::settle::{Decided, settle};
use super::{
    Action, Obstacle, Plan, PlanItem, Request, RestartMethod, UnknownName, affected_pods,
    restart_groups,
};
use crate::config::{Config, Renewal, RestartMode, nearest};
use crate::node::{Entry, Inventory};

/// Decides, for the moment `now`, what happens to each entry.
///
/// # Errors
/// [`UnknownName`] when a certificate is asked for by a name that nothing has.
pub fn plan(
    inventory: &Inventory,
    config: &Config,
    request: &Request,
    now: Timestamp,
) -> Result<Plan, UnknownName> {
    check_names(inventory, request)?;
    Ok(decide(inventory, config, request, &[], now))
}

/// [`plan`] for whatever is due at `now` and not held, which asks for nothing by name.
#[must_use]
pub fn plan_due(inventory: &Inventory, config: &Config, holds: &[Hold], now: Timestamp) -> Plan {
    decide(inventory, config, &Request::Due, holds, now)
}

fn decide(
    inventory: &Inventory,
    config: &Config,
    request: &Request,
    holds: &[Hold],
    now: Timestamp,
) -> Plan {
    let decided: Vec<Decided<'_>> = inventory
        .entries
        .iter()
        .map(|entry| {
            let wish = request.wish(&entry.name);
            let (item, candidate) = item(inventory, &config.renewal, entry, wish, now);
            Decided {
                item: hold::apply(holds, inventory, item, now),
                wish,
                candidate,
            }
        })
        .collect();
    let items = settle(inventory, decided, now);
    let renewed: Vec<&str> = items
        .iter()
        .filter(|item| matches!(item.action, Action::Renew(_)))
        .map(|item| item.name.as_str())
        .collect();
    let affected = affected_pods(inventory, &renewed);
    let restarts = match config.restart.mode {
        RestartMode::None => Vec::new(),
        RestartMode::Affected | RestartMode::WhenNeeded => {
            let components: Vec<String> =
                affected.iter().map(|pod| pod.component.clone()).collect();
            restart_groups(inventory, &components)
        }
    };
    let next_due = next_due(inventory, &config.renewal, &renewed, now)
        .into_iter()
        .chain(items.iter().filter_map(next_try))
        .min();
    Plan {
        at: now,
        next_due,
        affected,
        method: RestartMethod::default(),
        adopted_proofs: Vec::new(),
        restarts,
        items,
        unread_manifests: inventory.unread_manifests.clone(),
    }
}

impl Request {
    fn wish(&self, name: &str) -> Wish {
        match self {
            Self::Due => Wish::WhenDue,
            Self::DueByHand { .. } => Wish::WhenDueByHand,
            Self::All { force } => Wish::Now {
                force: *force,
                named: false,
            },
            Self::Named { names, force } if names.iter().any(|wanted| wanted == name) => {
                Wish::Now {
                    force: *force,
                    named: true,
                }
            }
            Self::Named { .. } => Wish::Nothing,
        }
    }
}

fn check_names(inventory: &Inventory, request: &Request) -> Result<(), UnknownName> {
    let Request::Named { names, .. } = request else {
        return Ok(());
    };
    let known: BTreeSet<&str> = inventory
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    match names.iter().find(|name| !known.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(UnknownName {
            name: name.clone(),
            nearest: nearest(name, known).map(str::to_owned),
        }),
    }
}

/// When something that is left alone for the time being is renewed all the same.
fn next_try(item: &PlanItem) -> Option<(Timestamp, String)> {
    match &item.action {
        Action::Leave(Obstacle::RolledBack { until }) => Some((*until, item.name.clone())),
        Action::Leave(Obstacle::NotTrusted(refusal)) => Some((refusal.until, item.name.clone())),
        _ => None,
    }
}

fn item<'node>(
    inventory: &'node Inventory,
    renewal: &Renewal,
    entry: &'node Entry,
    wish: Wish,
    now: Timestamp,
) -> (PlanItem, Option<Candidate<'node>>) {
    let found = Candidate::new(inventory, entry, renewal, wish);
    let (due_at, action, notes) = match &found {
        Ok(candidate) => (
            Some(candidate.due_at()),
            candidate.action(wish, now),
            candidate.notes(),
        ),
        // Without it the kubelet does not start: that is said whatever is to be left alone.
        Err(obstacle) => {
            let kubelets = kubelet_obstacle(inventory, entry, now);
            let obstacle = kubelets.unwrap_or_else(|| obstacle.clone());
            (None, Action::Leave(obstacle), Vec::new())
        }
    };
    let item = PlanItem {
        name: entry.name.clone(),
        authority: entry.authority,
        not_after: entry.present().map(|present| present.leaf.not_after),
        due_at,
        action,
        notes,
        trust_notes: Vec::new(),
    };
    (item, found.ok())
}

/// What the daemon will renew next, of that which is not renewed now.
fn next_due(
    inventory: &Inventory,
    renewal: &Renewal,
    renewed: &[&str],
    now: Timestamp,
) -> Option<(Timestamp, String)> {
    inventory
        .entries
        .iter()
        .filter(|entry| !renewed.contains(&entry.name.as_str()))
        .filter_map(|entry| {
            let candidate: Result<Candidate<'_>, Obstacle> =
                Candidate::new(inventory, entry, renewal, Wish::WhenDue);
            Some((candidate.ok()?.next_renewal(now)?, entry.name.clone()))
        })
        .min()
}
