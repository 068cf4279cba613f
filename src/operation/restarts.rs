//! Which pods are restarted, doing it, and doing it again after a roll-back.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::watch;

use super::carry_out::prove_in_use;
use super::ending::Ending;
use super::expired::provable_names;
use super::recover::left_alone;
use super::{Context, Event, OperationError};
use crate::config::RestartMode;
use crate::files::Operation;
use crate::host::stopped;
use crate::journal::{Outcome, Record, TransactionError};
use crate::node::Inventory;
use crate::plan::{Plan, RestartGroup, restart_groups};
use crate::probe::picked_up;
use crate::restart::{RestartError, RestartReport, Restarter, Rung};
use crate::runtime::KubeletService;

/// The restarts that an operation owes.
#[derive(Debug)]
pub(super) struct Restarts {
    groups: Vec<RestartGroup>,
    /// Components that use a new file and are not restarted by kubecertd.
    pub(super) left_out: Vec<String>,
    /// Components to be restarted that have no manifest any more.
    missing: Vec<String>,
    /// Whether there is anybody to be asked afterwards.
    pub(super) provable: bool,
    /// Expired certificates have stopped the node: `Some`, with whether the kubelet's own are among the new files.
    stopped: Option<bool>,
}

/// What came of undoing an operation.
pub(super) struct Undone {
    pub(super) outcome: Outcome,
    pub(super) ending: Ending,
    /// Files that somebody else had changed, one sentence each.
    pub(super) warnings: Vec<String>,
}

impl Restarts {
    /// Writes into the journal, before any file is changed, which restarts the operation will owe: a crash right after
    /// the installation must not leave a pod with old files.
    pub(super) fn announce(
        context: &Context,
        plan: &Plan,
        restart: bool,
        stopped: bool,
        operation: &mut Operation<'_>,
    ) -> Result<(), TransactionError> {
        if stopped {
            operation.note(Record::Stopped)?;
        }
        if !restart || !context.is_live() || context.config.restart.mode == RestartMode::None {
            return Ok(());
        }
        operation.note(planned(&plan.restarts))
    }

    /// What the plan wants, less what the configuration, the caller or the component itself makes unnecessary.
    pub(super) async fn choose(
        context: &Context,
        plan: &Plan,
        unwanted: Option<&'static str>,
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Self {
        let mut affected = affected(plan);
        let reason = if !context.is_live() {
            Some("the pods of another root are not this machine's")
        } else if unwanted.is_some() {
            unwanted
        } else if context.config.restart.mode == RestartMode::None {
            Some("restart.mode = \"none\"")
        } else {
            None
        };
        if let Some(reason) = reason {
            if !affected.is_empty() {
                events(Event::NotRestarted {
                    components: affected.clone(),
                    reason: reason.to_owned(),
                });
            }
            return Self::none(affected);
        }
        let inventory = context.observe();
        if context.config.restart.mode == RestartMode::WhenNeeded {
            let mut needed = Vec::new();
            for pod in &plan.affected {
                let picked_up = tokio::select! {
                    biased;
                    // The restart that is owed then is done at the next start.
                    () = stopped(stop) => false,
                    picked_up = picked_up(&inventory, &context.config.restart, pod) => picked_up,
                };
                if picked_up {
                    events(Event::PickedUp {
                        component: pod.component.clone(),
                    });
                } else {
                    needed.push(pod.component.clone());
                }
            }
            affected = needed;
        }
        Self::of(&inventory, &affected)
    }

    /// What is to be said of pods that should be restarted, and of which no manifest can be read any more.
    pub(super) fn sentences_of_missing(&self) -> impl Iterator<Item = String> {
        self.missing.iter().map(|component| {
            format!(
                "{component}: not restarted, since no manifest of it can be read now; if it runs, then with other files than \
                 those on the disk, until `kubecertd restart {component}`"
            )
        })
    }

    /// What an operation that was cut off owes: these components, and proofs. Nothing where the configuration has
    /// restarts left to others by now, or where the pods are not this machine's. `stopped`: expired certificates had
    /// stopped the node; whether the kubelet's own are among the new files.
    pub(super) fn left(
        context: &Context,
        inventory: &Inventory,
        components: &[String],
        stopped: Option<bool>,
    ) -> Self {
        if let Some(kubelet_changed) = stopped {
            Self::of_stopped(context, components, kubelet_changed)
        } else if !context.is_live() || context.config.restart.mode == RestartMode::None {
            Self::none(components.to_vec())
        } else {
            Self::of(inventory, components)
        }
    }

    /// Nobody is restarted and nobody asked.
    fn none(left_out: Vec<String>) -> Self {
        Self {
            groups: Vec::new(),
            left_out,
            missing: Vec::new(),
            provable: false,
            stopped: None,
        }
    }

    pub(super) fn of(inventory: &Inventory, components: &[String]) -> Self {
        let is_missing = |component: &&String| inventory.static_pod(component).is_none();
        Self {
            groups: restart_groups(inventory, components),
            left_out: Vec::new(),
            missing: components.iter().filter(is_missing).cloned().collect(),
            provable: !inventory.static_pods.is_empty(),
            stopped: None,
        }
    }

    /// On a node that expired certificates have stopped: nobody is asked whether a restart is needed.
    pub(super) fn of_stopped(
        context: &Context,
        components: &[String],
        kubelet_changed: bool,
    ) -> Self {
        let may_restart = context.config.restart.mode != RestartMode::None;
        let (restarted, left_out) = if may_restart && context.is_live() {
            (components, &[][..])
        } else {
            (&[][..], components)
        };
        let inventory = context.observe();
        Self {
            left_out: left_out.to_vec(),
            provable: context.is_live() && !inventory.static_pods.is_empty(),
            stopped: context.is_live().then_some(kubelet_changed),
            ..Self::of(&inventory, restarted)
        }
    }

    /// Whether the kubelet's own certificate is among the new files.
    pub(super) fn concern_kubelet(&self) -> bool {
        self.stopped == Some(true)
    }

    /// Whether no pod and no kubelet is to be restarted.
    pub(super) fn are_none(&self) -> bool {
        self.groups.is_empty() && self.stopped.is_none()
    }

    /// Whether they are those of a node that expired certificates have stopped.
    pub(super) fn is_for_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// The manifests that go out and come back.
    pub(super) fn manifests(&self) -> BTreeSet<PathBuf> {
        self.groups
            .iter()
            .flat_map(|group| &group.manifests)
            .map(|(_, manifest)| manifest.clone())
            .collect()
    }

    /// Restarts all groups, one after the other.
    pub(super) async fn run(
        &mut self,
        context: &Context,
        operation: &mut Operation<'_>,
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Vec<RestartReport>, RestartError> {
        if self.provable || !self.are_none() {
            // Also when it is none: an earlier plan counts no longer, and the proofs are still owed.
            operation.note(planned(&self.groups))?;
        }
        if self.are_none() {
            return Ok(Vec::new());
        }
        let inventory = context.observe();
        let machine = context.machine.as_ref();
        let restarter = Restarter {
            inventory: &inventory,
            settings: &context.config.restart,
            kubelet: machine.map_or_else(KubeletService::default, |one| one.kubelet.clone()),
        };
        if let Some(kubelet_changed) = self.stopped {
            let mut progress = |step| events(Event::Restart(step));
            return restarter
                .restart_expired(
                    &self.groups,
                    kubelet_changed,
                    operation,
                    stop,
                    &mut progress,
                )
                .await;
        }
        restarter
            .tell_of_silent_kubelet(&mut |step| events(Event::Restart(step)))
            .await;
        let mut reports = Vec::new();
        for group in &self.groups {
            let mut progress = |step| events(Event::Restart(step));
            reports.extend(
                restarter
                    .restart(group, operation, stop, &mut progress)
                    .await?,
            );
        }
        Ok(reports)
    }

    /// Puts the old files back and, where pods were touched, restarts them again with those and proves that these are in
    /// use. `names`: the certificates. A file that somebody else changed meanwhile stays as it is.
    pub(super) async fn undo(
        &mut self,
        context: &Context,
        operation: &mut Operation<'_>,
        names: &[String],
        reason: &str,
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Undone, OperationError> {
        events(Event::RollingBack {
            reason: reason.to_owned(),
        });
        let mut warnings: Vec<String> = match operation.roll_back(reason) {
            Ok(()) => Vec::new(),
            Err(TransactionError::LeftAlone { paths }) => {
                paths.iter().map(|path| left_alone(path)).collect()
            }
            Err(error) => {
                let text = format!(
                    "{reason}; and the old files could not be put back: {error}; copies of them are in {}",
                    context.store().backups().join(operation.id()).display()
                );
                return Ok(Undone {
                    outcome: Outcome::Failed(text.clone()),
                    ending: Ending::owing(OperationError::Failed(text)),
                    warnings: Vec::new(),
                });
            }
        };
        let touched: Vec<String> = operation
            .restarts_left()
            .into_iter()
            .map(|(component, _)| component)
            .collect();
        let again = Self::of(&context.observe(), &touched);
        warnings.extend(again.sentences_of_missing());
        for warning in &warnings {
            events(Event::Warning(warning.clone()));
        }
        let aftermath = if touched.is_empty() {
            None
        } else {
            self.groups = again.groups;
            match self.again(context, operation, names, stop, events).await {
                Ok(()) => None,
                Err(RestartError::Stopped) => return Err(OperationError::Stopped),
                Err(error) => Some(error.to_string()),
            }
        };
        let error = OperationError::RolledBack {
            reason: reason.to_owned(),
            aftermath,
        };
        Ok(Undone {
            outcome: Outcome::RolledBack(error.to_string()),
            ending: Ending::with_restarts_left(error, operation),
            warnings,
        })
    }

    async fn again(
        &mut self,
        context: &Context,
        operation: &mut Operation<'_>,
        names: &[String],
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), RestartError> {
        self.run(context, operation, stop, events).await?;
        let names = provable_names(names, self.concern_kubelet());
        prove_in_use(context, operation, &names, stop, events)
            .await
            .map(|_| ())
    }
}

/// What was tried for pods that did not come back in the usual way, by component.
pub(super) fn rungs(reports: &[RestartReport]) -> Vec<(String, Vec<Rung>)> {
    reports
        .iter()
        .filter(|report| !report.rungs.is_empty())
        .map(|report| (report.component.clone(), report.rungs.clone()))
        .collect()
}

/// Seconds from manifest out to healthy, by component.
pub(super) fn healthy(reports: &[RestartReport]) -> Vec<(String, f64)> {
    reports
        .iter()
        .map(|one| (one.component.clone(), one.healthy_seconds))
        .collect()
}

/// The components that use a new file.
pub(super) fn affected(plan: &Plan) -> Vec<String> {
    plan.affected
        .iter()
        .map(|pod| pod.component.clone())
        .collect()
}

fn planned(groups: &[RestartGroup]) -> Record {
    Record::RestartsPlanned {
        components: groups
            .iter()
            .flat_map(|group| group.manifests.clone())
            .collect(),
    }
}

#[cfg(test)]
mod tests;
