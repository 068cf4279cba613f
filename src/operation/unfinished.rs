//! What earlier operations left unfinished, before another one begins: finished first, or adopted by it.
//!
//! An operation whose restarts fail keeps its journal and is tried again. Where something else is due meanwhile, that may be
//! the very reason why they fail, and must not wait for them.

use super::adopted::Adopted;
use super::error::Fault;
use super::in_flight::{announce, unfinished};
use super::recover::finish_all;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use super::{OperationError, kubelet};
use crate::files::{Recovery, recover};
use crate::node::Inventory;
use crate::plan::{Action, Plan, Request, Unfinished};

/// The code of what is not renewed before another operation has ended.
const UNFINISHED_BEFORE: &str = "unfinished-before";

/// What is unfinished when an operation is about to begin.
#[derive(Default)]
pub(super) struct Backlog<'lock> {
    /// What the plan takes in.
    pub(super) unfinished: Vec<Unfinished>,
    pub(super) adopted: Adopted<'lock>,
    /// Operations that stay in flight beside the next one: their files and manifests are where they belong, and they have nothing to
    /// do with it.
    pub(super) beside: Vec<String>,
    /// Why it could not be finished, if that was tried.
    failure: Option<OperationError>,
}

impl<'lock> Backlog<'lock> {
    /// Finishes operations whose files and manifests are where they belong, unless what `request` asks for does that anyway.
    /// One that cannot be finished is kept if there is something else to do.
    ///
    /// # Errors
    /// [`OperationError`], of the first operation that did not end well and is not kept.
    pub(super) async fn settle(
        run: &mut Run<'lock>,
        recoveries: Vec<Recovery<'lock>>,
        request: &Request,
        node_down: bool,
    ) -> Result<Self, OperationError> {
        if recoveries.is_empty() {
            return Self::keep(run, Vec::new(), None);
        }
        // Nothing is left of these but to run the hooks after them, which nothing has to wait for.
        let (only_hooks, recoveries): (Vec<_>, Vec<_>) = recoveries
            .into_iter()
            .partition(|one| one.only_hooks.is_some());
        finish_all(run, only_hooks).await?;
        let node = run.node();
        // What concerns nobody but those who use certificates of their own keeps nothing else up.
        let (apart, recoveries): (Vec<_>, Vec<_>) =
            recoveries.into_iter().partition(|one| is_apart(&node, one));
        if let Err(error) = finish_all(run, apart).await {
            if matches!(error, OperationError::Stopped) || !has_work(run, request, node_down) {
                return Err(error);
            }
            run.remark(Remark::NotFinished {
                reason: error.to_string(),
            });
        }
        if recoveries.is_empty() {
            run.forget_node();
            return Self::keep(run, Vec::new(), None);
        }
        let node = run.node();
        let due = run.context.plan_due(&node, crate::host::now());
        let kept = Self::keep(run, recoveries, None)?;
        let is_done_anyway = node_down || kept.unfinished.iter().all(|one| one.is_overtaken(&due));
        if is_done_anyway && has_work(run, request, node_down) {
            for recovery in &kept.adopted.0 {
                announce(run, recovery);
            }
            return Ok(kept);
        }
        let finished = finish_all(run, kept.adopted.0).await;
        run.forget_node();
        match finished {
            Ok(_) => Self::keep(run, Vec::new(), None),
            Err(OperationError::Stopped) => Err(OperationError::Stopped),
            Err(error) => {
                let node = run.node();
                let mut recoveries = recover(&run.context.store(), run.lock)?;
                recoveries.retain(|one| !is_apart(&node, one));
                if recoveries.is_empty() || !has_work(run, request, node_down) {
                    return Err(error);
                }
                run.remark(Remark::Adopted {
                    reason: error.to_string(),
                });
                Self::keep(run, recoveries, Some(error))
            }
        }
    }

    fn keep(
        run: &mut Run<'_>,
        recoveries: Vec<Recovery<'lock>>,
        failure: Option<OperationError>,
    ) -> Result<Self, OperationError> {
        let is_adopted = |id: &String| recoveries.iter().any(|one| one.id == *id);
        let mut beside = run.context.store().in_flight()?;
        beside.retain(|id| !is_adopted(id));
        Ok(Self {
            unfinished: recoveries.iter().map(|one| unfinished(run, one)).collect(),
            adopted: Adopted(recoveries),
            beside,
            failure,
        })
    }

    /// Why nothing of a plan is renewed: it restarts pods, and an operation beside which it would be done may still do so as well.
    pub(super) fn holds_up(&self, plan: &Plan) -> Option<Fault> {
        let id = self.beside.first()?;
        (!plan.restarts.is_empty()).then(|| Fault {
            code: UNFINISHED_BEFORE,
            text: format!(
                "operation {id} is unfinished, and pods are restarted once it has ended; see `kubecertd history {id}`"
            ),
        })
    }

    /// No operation begins that would adopt it: what was not tried yet is finished now, unless this is no moment for anything.
    ///
    /// # Errors
    /// Why that did not end well, or that of `outcome`.
    pub(super) async fn without_successor(
        self,
        run: &mut Run<'_>,
        outcome: Result<RenewalReport, OperationError>,
    ) -> Result<RenewalReport, OperationError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !matches!(outcome, Err(OperationError::NotNow(_))) {
            finish_all(run, self.adopted.0).await?;
        }
        outcome
    }
}

/// Whether an operation concerns the kubelet alone, or described certificates and no pod.
fn is_apart(node: &Inventory, recovery: &Recovery<'_>) -> bool {
    if recovery.kubelet_alone {
        return true;
    }
    let is_described = |id| node.entry(id).is_some_and(|one| one.described.is_some());
    recovery.restarts_left.is_empty()
        && !recovery.certificates.is_empty()
        && recovery.certificates.iter().all(is_described)
}

/// Whether there is something to renew, apart from what earlier operations left.
fn has_work(run: &mut Run<'_>, request: &Request, node_down: bool) -> bool {
    let renews = |plan: Plan| {
        plan.items
            .iter()
            .any(|item| matches!(item.action, Action::Renew(_)))
    };
    run.plan(request).is_ok_and(renews) || (node_down && kubelet::can_be_helped(run))
}
