//! What earlier operations left unfinished, before another one begins: finished first, or adopted by it.
//!
//! An operation whose restarts fail keeps its journal and is tried again. Where something else is due meanwhile, that may be
//! the very reason why they fail, and must not wait for them.

use super::adopted::Adopted;
use super::in_flight::{announce, unfinished};
use super::recover::finish_all;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use super::{OperationError, kubelet};
use crate::files::{Recovery, recover};
use crate::plan::{Action, Plan, Request, Unfinished};

/// What is unfinished when an operation is about to begin.
#[derive(Default)]
pub(super) struct Backlog<'lock> {
    /// What the plan takes in.
    pub(super) unfinished: Vec<Unfinished>,
    pub(super) adopted: Adopted<'lock>,
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
            return Ok(Self::default());
        }
        // Nothing is left of these but to run the hooks after them, which nothing has to wait for.
        let (only_hooks, recoveries): (Vec<_>, Vec<_>) = recoveries
            .into_iter()
            .partition(|one| one.only_hooks.is_some());
        finish_all(run, only_hooks).await?;
        if recoveries.is_empty() {
            return Ok(Self::default());
        }
        let node = run.node();
        let due = run.context.plan_due(&node, crate::host::now());
        let kept = Self::keep(run, recoveries, None);
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
            Ok(_) => Ok(Self::default()),
            Err(OperationError::Stopped) => Err(OperationError::Stopped),
            Err(error) => {
                let recoveries = recover(&run.context.store(), run.lock)?;
                if recoveries.is_empty() || !has_work(run, request, node_down) {
                    return Err(error);
                }
                run.remark(Remark::Adopted {
                    reason: error.to_string(),
                });
                Ok(Self::keep(run, recoveries, Some(error)))
            }
        }
    }

    fn keep(
        run: &mut Run<'_>,
        recoveries: Vec<Recovery<'lock>>,
        failure: Option<OperationError>,
    ) -> Self {
        Self {
            unfinished: recoveries.iter().map(|one| unfinished(run, one)).collect(),
            adopted: Adopted(recoveries),
            failure,
        }
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

/// Whether there is something to renew, apart from what earlier operations left.
fn has_work(run: &mut Run<'_>, request: &Request, node_down: bool) -> bool {
    let renews = |plan: Plan| {
        plan.items
            .iter()
            .any(|item| matches!(item.action, Action::Renew(_)))
    };
    run.plan(request).is_ok_and(renews) || (node_down && kubelet::can_be_helped(run))
}
