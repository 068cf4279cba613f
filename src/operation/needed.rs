//! `restart.mode = "when-needed"`: which pods are restarted on account of new files.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Event;
use super::pending::NEAR;
use super::remark::Remark;
use super::run::Run;
use super::waiting::reported;
use crate::host::stopped;
use crate::node::{CertificateId, PodRef};
use crate::plan::{AffectedPod, LONGEST_REREAD, Plan, Reloading, Reread, reloading};
use crate::probe::{Patience, PickedUp, api_release, picked_up};

/// The pods that have to be restarted: those that never read their files anew, or do not show that they did. When the operation is
/// stopped meanwhile, the rest is among them: the restart that is pending then is done at the next start.
/// Besides, what is to be known of those of which nothing was seen.
pub(super) async fn needed(run: &mut Run<'_>, plan: &Plan) -> (Vec<PodRef>, Vec<Remark>) {
    let node = run.node();
    let asked = api_release(&node).await;
    let (mut needed, mut not_shown) = (Vec::new(), Vec::new());
    for pod in &plan.affected {
        let is_needed = match reloading(&node, pod, asked) {
            Reloading::Never(_) => true,
            Reloading::ByItself(certificates) => {
                !is_picked_up(run, plan, (pod, &certificates), &mut not_shown).await
            }
        };
        if is_needed {
            needed.push(pod.pod.clone());
        }
    }
    (needed, not_shown)
}

async fn is_picked_up(
    run: &mut Run<'_>,
    plan: &Plan,
    (pod, certificates): (&AffectedPod, &[(CertificateId, &'static Reread)]),
    not_shown: &mut Vec<Remark>,
) -> bool {
    let (context, node, stop) = (run.context, run.node(), run.stop);
    let Some(static_pod) = node.pod(&pod.pod) else {
        return false;
    };
    let component = pod.pod.component.clone();
    let restart = &context.config.restart;
    // What can wait is asked again later: lock and turn are not held up for it.
    let has_time = has_time(plan, certificates, crate::host::now());
    let (patience, longest) = if has_time && context.are_asked_again() {
        (Patience::Short, Duration::ZERO)
    } else {
        (Patience::Table, LONGEST_REREAD)
    };
    let settings = (restart, patience);
    let looking = picked_up(&node, settings, static_pod, certificates, Duration::ZERO);
    let what = (component.as_str(), "it to read its new files");
    let bound = restart.reload_timeout.max(longest);
    let seen = tokio::select! {
        biased;
        () = stopped(stop) => return false,
        seen = reported(looking, what, bound, run.events()) => seen,
    };
    match seen {
        PickedUp::Yes(evidence) => {
            run.emit(Event::PickedUp {
                component,
                evidence: evidence.join("; "),
            });
            true
        }
        PickedUp::Unknown { certificates, seen } if has_time => {
            let remark = Remark::NotShown {
                component,
                certificates,
                seen,
            };
            run.remark(remark.clone());
            not_shown.push(remark);
            true
        }
        PickedUp::No(seen) | PickedUp::Unknown { seen, .. } => {
            tracing::info!(
                component,
                "{component}: did not take up its new certificates: {seen}"
            );
            false
        }
    }
}

/// Whether the certificates that were replaced go on for more than a day.
fn has_time(
    plan: &Plan,
    certificates: &[(CertificateId, &'static Reread)],
    now: Timestamp,
) -> bool {
    certificates.iter().all(|(id, _)| {
        plan.items
            .iter()
            .find(|item| item.id == *id)
            .and_then(|item| item.not_after)
            .is_some_and(|end| end.duration_since(now) > NEAR)
    })
}
