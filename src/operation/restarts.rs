//! Which pods of a plan are restarted, and doing it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::context::Context;
use super::event::Event;
use super::gate::Gate;
use super::needed::{Asks, needed};
use super::remark::Remark;
use super::right::{Turn, before_step};
use super::run::Run;
use crate::config::RestartMode;
use crate::files::Operation;
use crate::journal::{Record, TransactionError};
use crate::node::{CertificateId, Inventory, PodRef, components};
use crate::plan::{Plan, RestartGroup, RestartMethod, restart_groups};
use crate::restart::{RestartError, RestartReport, Restarter};
use crate::runtime::KubeletService;

/// The restarts of an operation.
#[derive(Debug)]
pub(super) struct Restarts {
    groups: Vec<RestartGroup>,
    pub(super) method: RestartMethod,
    /// Pods that use a new file and are not restarted by kubecertd.
    pub(super) left_out: Vec<PodRef>,
    /// Pods to be restarted that have no manifest any more.
    missing: Vec<PodRef>,
    /// Pods that are not restarted although it was not seen whether they need it.
    pub(super) not_shown: Vec<Remark>,
    /// Whether any component can be asked afterwards.
    pub(super) provable: bool,
    is_way_back: bool,
}

impl Restarts {
    /// Writes into the journal, before any file is changed, which restarts the operation will owe: a crash right after
    /// the installation must not leave a pod with old files.
    pub(super) fn announce(
        context: &Context,
        plan: &Plan,
        restart: bool,
        operation: &mut Operation<'_>,
    ) -> Result<(), TransactionError> {
        match plan.method {
            RestartMethod::Manifests => {}
            RestartMethod::Containers { .. } => operation.note(Record::NodeDown)?,
            RestartMethod::Kubelet { .. } => operation.note(Record::KubeletPlanned)?,
        }
        if !restart || !may_restart(context) {
            return Ok(());
        }
        operation.note(planned(&plan.restarts))
    }

    /// Those of the plan, less what the configuration, the caller or the component itself makes unnecessary.
    pub(super) async fn choose(
        run: &mut Run<'_>,
        plan: &Plan,
        no_restart: Option<&'static str>,
    ) -> Self {
        let context = run.context;
        let affected = plan.pods();
        if plan.method != RestartMethod::Manifests {
            return Self::of_down(context, &run.node(), plan, &affected);
        }
        let reason = if !context.is_live() {
            Some("the pods of another root are not this machine's")
        } else if no_restart.is_some() {
            no_restart
        } else if context.config.restart.mode == RestartMode::None {
            Some("restart.mode = \"none\"")
        } else {
            None
        };
        if let Some(reason) = reason {
            if !affected.is_empty() {
                run.emit(Event::NotRestarted {
                    components: components(&affected),
                    reason: reason.to_owned(),
                });
            }
            return Self::none(affected);
        }
        let node = run.node();
        let asks = Asks::of(run, plan).await;
        if asks != Asks::Nobody {
            let (needed, not_shown) = needed(run, plan, asks).await;
            return Self {
                not_shown,
                ..Self::of(&node, &needed)
            };
        }
        Self::planned(&node, plan.restarts.clone(), &affected)
    }

    /// The pods that should be restarted, and of which no manifest can be read any more.
    pub(super) fn without_manifest(&self) -> Vec<Remark> {
        components(&self.missing)
            .into_iter()
            .map(|component| Remark::ManifestGone { component })
            .collect()
    }

    /// Those that an operation left which was cut off: these pods, and proofs. None where the configuration has
    /// restarts left to others by now, or where the pods are not this machine's.
    pub(super) fn left(
        context: &Context,
        node: &Inventory,
        pods: &[PodRef],
        method: RestartMethod,
    ) -> Self {
        if matches!(method, RestartMethod::Kubelet { .. }) && !may_restart(context) {
            Self::none(Vec::new())
        } else if method != RestartMethod::Manifests {
            let groups = restart_groups(node, pods);
            Self::with_containers(context, node, groups, pods, method)
        } else if may_restart(context) {
            Self::of(node, pods)
        } else {
            Self::none(pods.to_vec())
        }
    }

    /// No pod is restarted and no component asked.
    fn none(left_out: Vec<PodRef>) -> Self {
        Self {
            groups: Vec::new(),
            method: RestartMethod::Manifests,
            left_out,
            missing: Vec::new(),
            not_shown: Vec::new(),
            provable: false,
            is_way_back: false,
        }
    }

    /// Of these pods.
    pub(super) fn of(node: &Inventory, pods: &[PodRef]) -> Self {
        Self::planned(node, restart_groups(node, pods), pods)
    }

    /// As planned, but for pods whose manifests are not there any more.
    fn planned(node: &Inventory, mut groups: Vec<RestartGroup>, pods: &[PodRef]) -> Self {
        let is_missing = |pod: &&PodRef| node.pod(pod).is_none();
        let missing: Vec<PodRef> = pods.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            groups = restart_groups(node, pods);
        }
        Self {
            groups,
            method: RestartMethod::Manifests,
            left_out: Vec::new(),
            missing,
            not_shown: Vec::new(),
            provable: !node.static_pods.is_empty(),
            is_way_back: false,
        }
    }

    /// On a node that expired certificates have stopped: no component is asked whether it needs a restart.
    fn of_down(context: &Context, node: &Inventory, plan: &Plan, affected: &[PodRef]) -> Self {
        let groups = plan.restarts.clone();
        Self::with_containers(context, node, groups, affected, plan.method)
    }

    fn with_containers(
        context: &Context,
        node: &Inventory,
        groups: Vec<RestartGroup>,
        pods: &[PodRef],
        method: RestartMethod,
    ) -> Self {
        let (restarted, left_out, groups) = if may_restart(context) {
            (pods, &[][..], groups)
        } else {
            (&[][..], pods, Vec::new())
        };
        Self {
            left_out: left_out.to_vec(),
            // A worker has none, and an API server elsewhere that its kubelet asks.
            provable: context.is_live()
                && (!node.static_pods.is_empty()
                    || matches!(method, RestartMethod::Kubelet { .. })),
            method: if context.is_live() {
                method
            } else {
                RestartMethod::Manifests
            },
            ..Self::planned(node, groups, restarted)
        }
    }

    /// Whether the kubelet's own client certificate, or its kubeconfig, is among the new files; `names`: those of which that is known.
    pub(super) fn concern_kubelet(&self, names: &[CertificateId]) -> bool {
        match self.method {
            RestartMethod::Manifests => false,
            RestartMethod::Containers { kubelet_changed } => kubelet_changed,
            RestartMethod::Kubelet { .. } => {
                names.is_empty() || names.iter().any(CertificateId::is_kubelets_client)
            }
        }
    }

    pub(super) fn groups(&self) -> &[RestartGroup] {
        &self.groups
    }

    /// Whether another node must not be disturbed meanwhile: always, but where expired certificates have stopped this one.
    pub(super) fn need_a_turn(&self) -> bool {
        !self.groups.is_empty() && self.method == RestartMethod::Manifests
    }

    /// The same on the way back, which no other node's turn holds up.
    pub(super) fn on_the_way_back(mut self) -> Self {
        self.is_way_back = true;
        self
    }

    /// Whether no pod and no kubelet is to be restarted.
    pub(super) fn are_none(&self) -> bool {
        self.groups.is_empty() && self.method == RestartMethod::Manifests
    }

    /// The manifests that go out and come back.
    pub(super) fn manifests(&self) -> BTreeSet<PathBuf> {
        self.groups
            .iter()
            .flat_map(RestartGroup::pods)
            .map(|pod| pod.manifest.clone())
            .collect()
    }

    /// Restarts all groups, one after the other.
    pub(super) async fn run(
        &mut self,
        run: &mut Run<'_>,
        operation: &mut Operation<'_>,
    ) -> Result<Vec<RestartReport>, RestartError> {
        if self.provable || !self.are_none() {
            // Also when it is none: an earlier plan counts no longer, and the proofs are still pending.
            operation.note(planned(&self.groups))?;
        }
        if self.are_none() {
            return Ok(Vec::new());
        }
        let (context, node, stop) = (run.context, run.node(), run.stop);
        let machine = context.machine.as_ref();
        let restarter = Restarter {
            inventory: &node,
            settings: &context.config.restart,
            kubelet: machine.map_or_else(KubeletService::default, |one| one.kubelet.clone()),
        };
        let mut progress = |step| run.emit(Event::Restart(step));
        let kubelet_changed = match self.method {
            RestartMethod::Manifests => None,
            RestartMethod::Containers { kubelet_changed } => Some(kubelet_changed),
            RestartMethod::Kubelet { restart: false } => return Ok(Vec::new()),
            RestartMethod::Kubelet { restart: true } => {
                operation.note(Record::KubeletRestarting)?;
                Some(true)
            }
        };
        if let Some(kubelet_changed) = kubelet_changed {
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
        restarter.report_silent_kubelet(&mut progress).await;
        let mut reports = Vec::new();
        for group in &self.groups {
            // Where no turn is needed there is no other member either.
            let gate = if self.is_way_back || matches!(run.turn, Turn::NotNeeded) {
                None
            } else {
                before_step(&run.turn, context).await?;
                let binding = run.turn.binds_to_etcd();
                Box::pin(Gate::open(run, group, binding)).await?
            };
            let mut progress = |step| run.emit(Event::Restart(step));
            let restarted = restarter
                .restart(group, operation, stop, &mut progress)
                .await?;
            reports.extend(restarted);
            if let Some(gate) = gate {
                Box::pin(gate.close(run)).await;
            }
        }
        Ok(reports)
    }
}

/// Whether kubecertd restarts pods here at all.
pub(super) fn may_restart(context: &Context) -> bool {
    context.is_live() && context.config.restart.mode != RestartMode::None
}

fn planned(groups: &[RestartGroup]) -> Record {
    Record::RestartsPlanned {
        pods: groups
            .iter()
            .flat_map(RestartGroup::pods)
            .cloned()
            .collect(),
    }
}

#[cfg(test)]
mod tests;
