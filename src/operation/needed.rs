//! Which pods are restarted on account of new files: with `restart.mode = "when-needed"` any, and of two members of etcd always.

use std::time::Duration;

use jiff::Timestamp;

use super::event::Event;
use super::pending::NEAR;
use super::remark::Remark;
use super::run::Run;
use super::waiting::reported;
use crate::cluster::etcd::read;
use crate::config::RestartMode;
use crate::host::stopped;
use crate::node::{CertificateId, Inventory, PodRef};
use crate::plan::{AffectedPod, LONGEST_REREAD, Plan, Reloading, Reread, reloading};
use crate::probe::{ETCD, Patience, PickedUp, api_release, picked_up, runs};

/// Which pods are asked whether they need their restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Nobody,
    /// Without one of its two members etcd has no quorum, and the cluster no memory that can be written.
    Etcd,
    All,
}

impl Asks {
    pub(super) async fn of(run: &mut Run<'_>, plan: &Plan) -> Self {
        let node = run.node();
        match run.context.config.restart.mode {
            RestartMode::WhenNeeded => Self::All,
            RestartMode::None => Self::Nobody,
            RestartMode::Affected => {
                let mut restarted = plan.affected.iter().filter_map(|one| node.pod(&one.pod));
                if !restarted.any(|pod| runs(pod, ETCD)) {
                    return Self::Nobody;
                }
                // The first control plane's own files name no other: only etcd itself knows.
                match read(&node, &[]).await {
                    Ok(now) => Self::beside(Some(now.voters())),
                    Err(_) if node.other_control_planes => Self::beside(None),
                    Err(_) => Self::Nobody,
                }
            }
        }
    }

    /// Where nobody says how many members vote, there may be two: to be asked does no harm.
    fn beside(voters: Option<usize>) -> Self {
        match voters {
            Some(2) | None => Self::Etcd,
            Some(_) => Self::Nobody,
        }
    }

    fn concerns(self, node: &Inventory, pod: &PodRef) -> bool {
        match self {
            Self::Nobody => false,
            Self::Etcd => node.pod(pod).is_some_and(|pod| runs(pod, ETCD)),
            Self::All => true,
        }
    }
}

/// The pods that have to be restarted: those that are not asked, never read their files anew, or do not show that they did. When the
/// operation is stopped meanwhile, the rest is among them: the restart that is pending then is done at the next start.
/// Besides, what is to be known of those of which nothing was seen.
pub(super) async fn needed(
    run: &mut Run<'_>,
    plan: &Plan,
    asks: Asks,
) -> (Vec<PodRef>, Vec<Remark>) {
    let node = run.node();
    let asked = api_release(&node).await;
    let (mut needed, mut not_shown) = (Vec::new(), Vec::new());
    for pod in &plan.affected {
        let is_needed = match reloading(&node, pod, asked) {
            _ if !asks.concerns(&node, &pod.pod) => true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_etcd_may_have_two_members_it_is_asked() {
        let asks = [None, Some(1), Some(2), Some(3)].map(Asks::beside);
        let (nobody, etcd) = (Asks::Nobody, Asks::Etcd);
        assert_eq!(asks, [etcd, nobody, etcd, nobody]);
    }
}
