//! Certificates that cannot be renewed at all, as things are.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::cause::Cause;
use super::finding::{Finding, Severity};
use super::intent::Asked;
use crate::node::{CertificateId, Inventory};
use crate::plan::{Action, Obstacle, Plan, PlanItem};

/// What of a plan is left alone because of its authority or because it cannot be read: one finding for each reason, with the
/// names. What is left alone on purpose, or is not there, is none; nor is an authority that begins later, which is for the clock
/// to be judged by.
#[must_use]
pub fn unrenewable(inventory: &Inventory, plan: &Plan) -> Vec<Finding> {
    let mut reasons: BTreeMap<(Severity, String), (Obstacle, Vec<CertificateId>)> = BTreeMap::new();
    for item in &plan.items {
        let Action::Leave(obstacle) = &item.action else {
            continue;
        };
        let severity = match obstacle {
            Obstacle::AuthorityUnusable(_) if begins_later(inventory, item, plan.at) => continue,
            Obstacle::AuthorityUnusable(_) => Severity::Refuse,
            Obstacle::ExternalAuthority { .. }
            | Obstacle::AskedElsewhere { .. }
            | Obstacle::NotOfSigner { .. }
            | Obstacle::AwaitingAnswer(_)
            | Obstacle::AuthorityEndsTooSoon { .. }
            | Obstacle::Unreadable(_) => Severity::Skip,
            _ => continue,
        };
        reasons
            .entry((severity, obstacle.to_string()))
            .or_insert_with(|| (obstacle.clone(), Vec::new()))
            .1
            .push(item.id.clone());
    }
    reasons
        .into_iter()
        .map(|((severity, _), (obstacle, certificates))| {
            let cause = Cause::NotRenewable {
                certificates,
                obstacle,
            };
            Finding::new(cause, severity, Asked::BySchedule)
        })
        .collect()
}

fn begins_later(inventory: &Inventory, item: &PlanItem, now: Timestamp) -> bool {
    item.authority
        .and_then(|name| inventory.authority(name)?.certificates())
        .is_some_and(|all| all.iter().all(|certificate| now < certificate.not_before))
}
