//! Which Kubernetes Events there are to write on this node. What has happened is said once, what goes on once an hour, and what comes
//! near at fixed distances; never at every look.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Context;
use super::api_access::api_access;
use super::error::Fault;
use crate::api::ApiError;
use crate::cluster::{EventReason, Halt, Known, NodeEvent, Subject};
use crate::host::shifted;
use crate::journal::{OperationKind, Outcome};
use crate::node::Inventory;
use crate::pki::date;
use crate::plan::Plan;
use crate::report::{LastOperation, Receipt, halted, in_words};

/// An operation that ended earlier is no news: Kubernetes forgets Events after an hour as well.
const NEWS: SignedDuration = SignedDuration::from_hours(1);
/// How often what goes on is said.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// So many things of one kind are said an hour, where their names are another's to choose.
const MOST_AN_HOUR: usize = 3;
/// So many are written at a time.
const MOST: usize = 5;
/// So many of what was said are remembered, and so many names are in a message.
const MOST_REMEMBERED: usize = 64;
const MOST_NAMES: usize = 6;
/// So long before the end of a certificate that is due and not renewed it is said.
const DISTANCES: [SignedDuration; 7] = [
    SignedDuration::from_hours(14 * 24),
    SignedDuration::from_hours(7 * 24),
    SignedDuration::from_hours(3 * 24),
    SignedDuration::from_hours(24),
    SignedDuration::from_hours(6),
    SignedDuration::from_hours(1),
    SignedDuration::ZERO,
];

/// What is known when Events are to be written.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    /// What was done on this node.
    pub receipts: &'a [Receipt],
    /// What is due.
    pub plan: &'a Plan,
    /// What the last attempt failed for, if another follows.
    pub failure: Option<&'a Fault>,
    /// The mark of a control plane whose failure holds all up.
    pub halt: Option<&'a Halt>,
}

/// What was written, so that it is not written at every look.
#[derive(Debug, Default)]
pub struct NodeEvents {
    written: BTreeMap<(&'static str, String), Timestamp>,
}

impl NodeEvents {
    /// Those that are to be written at `now`.
    #[must_use]
    pub fn due(&self, happened: &Happened<'_>, now: Timestamp) -> Vec<NodeEvent> {
        let mut all: Vec<NodeEvent> = Vec::new();
        all.extend(happened.halt.map(|halt| {
            event(
                EventReason::RenewalsHalted,
                format!("{} {}", halt.node, halt.operation),
                halted(halt),
                now,
            )
        }));
        all.extend(deadline(happened.plan, now));
        all.extend(happened.failure.map(|fault| {
            event(
                EventReason::RenewalFailing,
                fault.code.to_owned(),
                format!(
                    "what is due cannot be renewed, and is tried again: {}",
                    fault.text
                ),
                now,
            )
        }));
        let is_new = |one: &&Receipt| {
            let age = now.duration_since(one.finished);
            age >= -NEWS && age < NEWS
        };
        let receipts = happened.receipts.iter().rev();
        all.extend(receipts.take_while(is_new).map(operation));
        all.retain(|event| self.is_to_be_written(event, now));
        all.truncate(MOST);
        all
    }

    fn is_to_be_written(&self, event: &NodeEvent, now: Timestamp) -> bool {
        let Some(written) = self.written.get(&(event.reason.word(), event.key.clone())) else {
            return !event.reason.goes_on() || self.said_lately(event.reason, now) < MOST_AN_HOUR;
        };
        let age = now.duration_since(*written);
        event.reason.goes_on() && (age >= AGAIN || age < SignedDuration::ZERO)
    }

    /// How many of a kind were written within the last hour.
    fn said_lately(&self, reason: EventReason, now: Timestamp) -> usize {
        let is_recent = |at: &Timestamp| {
            let age = now.duration_since(*at);
            age < AGAIN && age >= SignedDuration::ZERO
        };
        let of_the_kind = self
            .written
            .iter()
            .filter(|((word, _), _)| *word == reason.word());
        of_the_kind.filter(|(_, at)| is_recent(at)).count()
    }

    fn keep(&mut self, event: &NodeEvent, now: Timestamp) {
        let key = (event.reason.word(), event.key.clone());
        self.written.insert(key, now);
        while self.written.len() > MOST_REMEMBERED {
            let oldest = self.written.iter().min_by_key(|(_, at)| **at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.written.remove(&oldest);
        }
    }

    /// Writes those that are to be. The first that cannot be written ends it: the rest waits for the next time.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn write(
        &mut self,
        context: &Context,
        inventory: &Inventory,
        happened: &Happened<'_>,
    ) -> Result<(), ApiError> {
        let node = inventory.node_name.as_deref().unwrap_or_default();
        let now = crate::host::now();
        let due = self.due(happened, now);
        if due.is_empty() || !context.config.events.enabled || !NodeEvent::may_be_about(node) {
            return Ok(());
        }
        let known = Known::read(&context.store());
        let (access, servers) = api_access(context, inventory, &known)?;
        for event in due {
            event.write(node, &access, &servers).await?;
            self.keep(&event, now);
        }
        Ok(())
    }
}

fn event(reason: EventReason, key: String, message: String, at: Timestamp) -> NodeEvent {
    NodeEvent {
        reason,
        key,
        message,
        at,
        about: Subject::Node,
    }
}

fn operation(receipt: &Receipt) -> NodeEvent {
    let reason = match (&receipt.outcome, receipt.kind()) {
        (Outcome::RolledBack(_) | Outcome::Failed(_), _) => EventReason::OperationFailed,
        (Outcome::Done, _) if receipt.certificates.is_empty() => EventReason::StaticPodsRestarted,
        (Outcome::Done, OperationKind::RollBack) => EventReason::CertificatesPutBack,
        (Outcome::Done, _) => EventReason::CertificatesRenewed,
    };
    let certificates = receipt.certificates.iter().map(|one| one.id.to_string());
    let pods = receipt.restarts.iter().map(|(pod, _)| pod.clone());
    let mut message = LastOperation::of(receipt).summary;
    for (what, names) in [("certificates", names(certificates)), ("pods", names(pods))] {
        if let Some(names) = names {
            message.push_str(&format!("; {what}: {names}"));
        }
    }
    message.push_str(&format!("; operation {}", receipt.id));
    event(reason, receipt.id.clone(), message, receipt.finished)
}

/// Some of the names, and how many more there are.
fn names(mut names: impl Iterator<Item = String>) -> Option<String> {
    let some: Vec<String> = names.by_ref().take(MOST_NAMES).collect();
    let more = names.count();
    (!some.is_empty()).then(|| match more {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    })
}

/// The certificate that ends first of those that have been due for a quarter of the time that was left of them then.
fn deadline(plan: &Plan, now: Timestamp) -> Option<NodeEvent> {
    let mut late: Vec<(Timestamp, String)> = plan
        .items
        .iter()
        .filter_map(|item| {
            let (due, ends) = (item.due_at?, item.not_after?);
            let quarter = ends.duration_since(due) / 4;
            (shifted(due, quarter) <= now).then(|| (ends, item.id.to_string()))
        })
        .collect();
    late.sort();
    let (ends, _) = late.first()?;
    let left = ends.duration_since(now);
    let distance = DISTANCES.iter().rposition(|distance| left <= *distance)?;
    let ended = if left <= SignedDuration::ZERO {
        "has ended"
    } else {
        "ends"
    };
    let names = names(late.iter().map(|(_, name)| name.clone()))?;
    let message = format!(
        "{names}: due and not renewed; the first {ended} on {}, {}; see `kubecertd status` on the node",
        date(*ends),
        in_words(left)
    );
    let key = format!("{distance} {ends}");
    Some(event(EventReason::CertificateDeadline, key, message, now))
}

#[cfg(test)]
mod tests;
