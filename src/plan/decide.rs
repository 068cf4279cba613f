//! From inventory to plan.

use jiff::Timestamp;

use super::candidate::{Candidate, Wish};
use super::expired::kubelet_obstacle;
use super::hold::{self, Hold};
use super::kubelet;
use super::note::{self, Note};
use super::pods::Pods;
use super::settle::{Decided, settle};
use super::{Action, Awaited, Obstacle, Plan, PlanItem, Request, RestartMethod, UnknownName};
use crate::config::{CertificateUser, Config, nearest};
use crate::node::{CertificateId, Entry, Inventory};

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
    plan_awaiting(inventory, config, request, &[], now)
}

/// The same where requests wait for answers, or have them.
///
/// # Errors
/// As [`plan`].
pub fn plan_awaiting(
    inventory: &Inventory,
    config: &Config,
    request: &Request,
    awaited: &[Awaited],
    now: Timestamp,
) -> Result<Plan, UnknownName> {
    let asked = Asked::by(inventory, request)?;
    Ok(decide(inventory, config, &asked, (&[], awaited), now))
}

/// [`plan`] for whatever is due at `now` and not held, which asks for nothing by name.
#[must_use]
pub fn plan_due(
    inventory: &Inventory,
    config: &Config,
    holds: &[Hold],
    awaited: &[Awaited],
    now: Timestamp,
) -> Plan {
    let asked = Asked::Alike(Wish::WhenDue);
    decide(inventory, config, &asked, (holds, awaited), now)
}

fn decide(
    inventory: &Inventory,
    config: &Config,
    asked: &Asked<'_>,
    (holds, awaited): (&[Hold], &[Awaited]),
    now: Timestamp,
) -> Plan {
    let decided: Vec<Decided<'_>> = inventory
        .entries
        .iter()
        .map(|entry| {
            let wish = asked.wish(&entry.id);
            let awaited = awaited.iter().find(|one| one.id == entry.id);
            let (item, candidate) = item(inventory, config, entry, (wish, awaited), now);
            Decided {
                item: hold::apply(holds, inventory, item, now),
                wish,
                candidate,
            }
        })
        .collect();
    let items = settle(inventory, decided, now);
    let renewed: Vec<&CertificateId> = items
        .iter()
        .filter(|item| matches!(item.action, Action::Renew(_)))
        .map(|item| &item.id)
        .collect();
    let pods = Pods::of(inventory, &config.restart, &renewed);
    let next_due = next_due(inventory, config, &renewed, now)
        .into_iter()
        .chain(items.iter().filter_map(next_try))
        .min();
    Plan {
        at: now,
        next_due,
        affected: pods.affected,
        method: RestartMethod::default(),
        adopted_proofs: Vec::new(),
        adopted_users: Vec::new(),
        restarts: pods.restarts,
        rereading: pods.rereading,
        expected: pods.expected,
        items,
        unread_manifests: inventory.unread_manifests.clone(),
    }
}

/// What somebody wants of each certificate.
enum Asked<'node> {
    /// The same of all.
    Alike(Wish),
    /// Of each of these that, and nothing of the others.
    Of(Vec<(&'node CertificateId, Wish)>),
}

impl<'node> Asked<'node> {
    /// By a request.
    ///
    /// # Errors
    /// [`UnknownName`] when it names a certificate that is not there.
    fn by(inventory: &'node Inventory, request: &Request) -> Result<Self, UnknownName> {
        let now = |force, named, for_names| Wish::Now {
            force,
            named,
            for_names,
        };
        Ok(match request {
            Request::Due => Self::Alike(Wish::WhenDue),
            Request::DueByHand { .. } => Self::Alike(Wish::WhenDueByHand),
            Request::All { force } => Self::Alike(now(*force, false, false)),
            Request::Named {
                names,
                force,
                for_names,
            } => {
                let found = names.iter().map(|name| {
                    let wish = now(*force, true, for_names.contains(name));
                    Ok((found(inventory, name)?, wish))
                });
                Self::Of(found.collect::<Result<_, _>>()?)
            }
        })
    }

    fn wish(&self, id: &CertificateId) -> Wish {
        match self {
            Self::Alike(wish) => *wish,
            Self::Of(wishes) => wishes
                .iter()
                .find(|(named, _)| *named == id)
                .map_or(Wish::Nothing, |(_, wish)| *wish),
        }
    }
}

fn found<'node>(
    inventory: &'node Inventory,
    name: &str,
) -> Result<&'node CertificateId, UnknownName> {
    let known = || inventory.entries.iter().map(|entry| entry.id.as_str());
    match inventory.find(name) {
        Some(entry) => Ok(&entry.id),
        None => Err(UnknownName {
            name: name.to_owned(),
            nearest: nearest(name, known()).map(str::to_owned),
        }),
    }
}

/// When something that is left alone for the time being is renewed all the same.
fn next_try(item: &PlanItem) -> Option<(Timestamp, CertificateId)> {
    match &item.action {
        Action::Leave(Obstacle::RolledBack { until }) => Some((*until, item.id.clone())),
        Action::Leave(Obstacle::NotTrusted(refusal)) => Some((refusal.until, item.id.clone())),
        _ => None,
    }
}

fn item<'node>(
    inventory: &'node Inventory,
    config: &'node Config,
    entry: &'node Entry,
    (wish, awaited): (Wish, Option<&Awaited>),
    now: Timestamp,
) -> (PlanItem, Option<Candidate<'node>>) {
    let found = Candidate::new(inventory, entry, config, wish);
    let (due_at, action, mut notes) = match &found {
        Ok(candidate) => (
            Some(candidate.due_at()),
            candidate
                .action_elsewhere(wish, awaited, now)
                .unwrap_or_else(|| candidate.action(wish, now)),
            [candidate.notes(), missing_pod(inventory, entry)].concat(),
        ),
        // Without it the kubelet does not start: that is said whatever is to be left alone.
        Err(obstacle) => {
            let kubelets = kubelet_obstacle(inventory, entry, now);
            let obstacle = kubelets.unwrap_or_else(|| obstacle.clone());
            (None, Action::Leave(obstacle), Vec::new())
        }
    };
    notes.extend(note::of_names(inventory, &entry.id));
    notes.extend(kubelet::notes(inventory, &config.renewal, entry, now));
    let item = PlanItem {
        id: entry.id.clone(),
        authority: entry.authority,
        not_after: entry.present().map(|present| present.leaf.not_after),
        due_at,
        action,
        notes,
        trust_notes: Vec::new(),
    };
    (item, found.ok())
}

fn missing_pod(inventory: &Inventory, entry: &Entry) -> Vec<Note> {
    let user = entry.described.as_ref().map(|one| &one.description.user);
    match user {
        Some(CertificateUser::StaticPod(pod)) if inventory.static_pod(pod).is_none() => {
            vec![Note::NoSuchPod { pod: pod.clone() }]
        }
        _ => Vec::new(),
    }
}

/// What the daemon will renew next, of that which is not renewed now.
fn next_due(
    inventory: &Inventory,
    config: &Config,
    renewed: &[&CertificateId],
    now: Timestamp,
) -> Option<(Timestamp, CertificateId)> {
    inventory
        .entries
        .iter()
        .filter(|entry| !renewed.contains(&&entry.id))
        .filter_map(|entry| {
            let candidate: Result<Candidate<'_>, Obstacle> =
                Candidate::new(inventory, entry, config, Wish::WhenDue);
            // When an answer comes nobody knows.
            let candidate = candidate.ok().filter(|one| !one.is_elsewhere())?;
            Some((candidate.next_renewal(now)?, entry.id.clone()))
        })
        .min()
}
