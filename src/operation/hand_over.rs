//! What earlier operations still owe, taken over by one that begins.
//!
//! An operation whose restarts fail keeps its journal and is tried again. Where something else is due meanwhile, that may be
//! the very reason why they fail, and must not wait for them.

use tokio::sync::watch;

use super::carry_out::receipt;
use super::context::ROLLBACK;
use super::ending::{Ending, end};
use super::expired::concern_kubelet;
use super::recover::{finish_all, so_far, tell};
use super::restarts::affected;
use super::{Context, Event, OperationError, RenewalReport};
use crate::config::{Restart, RestartMode};
use crate::files::{Recovery, recover};
use crate::journal::{Lock, Outcome, Trigger};
use crate::node::Inventory;
use crate::plan::{Action, AffectedPod, Plan, restart_groups};

/// Operations that the next one takes over, if there is a next one.
#[derive(Default)]
pub(super) struct Inherited<'lock> {
    recoveries: Vec<Recovery<'lock>>,
    /// Why they could not be finished, if that was tried.
    failure: Option<OperationError>,
}

impl<'lock> Inherited<'lock> {
    /// Finishes what was cut off. What cannot be finished is kept if `has_work` says that there is something else to do; and
    /// so is, without being tried, what that will do anyway.
    ///
    /// # Errors
    /// [`OperationError`], of the first operation that did not end well and is not kept.
    pub(super) async fn settle(
        context: &Context,
        lock: &'lock Lock,
        stopped: bool,
        has_work: &(dyn Fn() -> bool + Sync),
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Self, OperationError> {
        let recoveries = recover(&context.store(), lock)?;
        if recoveries.is_empty() {
            return Ok(Self::default());
        }
        let is_done_anyway = stopped || recoveries.iter().all(|one| is_overtaken(context, one));
        if is_done_anyway && has_work() {
            for recovery in &recoveries {
                tell(recovery, events);
            }
            return Ok(Self {
                recoveries,
                failure: None,
            });
        }
        match finish_all(context, recoveries, stop, events).await {
            Ok(_) => Ok(Self::default()),
            Err(OperationError::Stopped) => Err(OperationError::Stopped),
            Err(error) => {
                let recoveries = recover(&context.store(), lock)?;
                if recoveries.is_empty() || !has_work() {
                    return Err(error);
                }
                events(Event::Warning(format!(
                    "{error}; what is due now is renewed all the same, and takes that over"
                )));
                Ok(Self {
                    recoveries,
                    failure: Some(error),
                })
            }
        }
    }

    /// No operation begins that would take it over: what was not tried yet is finished now, unless this is no moment for anything.
    ///
    /// # Errors
    /// Why that did not end well, or that of `outcome`.
    pub(super) async fn without_successor(
        self,
        context: &Context,
        outcome: Result<RenewalReport, OperationError>,
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<RenewalReport, OperationError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if !matches!(outcome, Err(OperationError::NotNow(_))) {
            finish_all(context, self.recoveries, stop, events).await?;
        }
        outcome
    }

    pub(super) fn ids(&self) -> Vec<&str> {
        self.recoveries.iter().map(|one| one.id.as_str()).collect()
    }

    pub(super) fn is_none(&self) -> bool {
        self.recoveries.is_empty()
    }

    /// Whether expired certificates had stopped the node.
    pub(super) fn had_stopped(&self) -> bool {
        self.recoveries.iter().any(|one| one.stopped)
    }

    /// Whether the kubelet's own certificate is among the files that are to be used.
    pub(super) fn concern_kubelet(&self) -> bool {
        let certificates = self.recoveries.iter().map(|one| &one.certificates);
        certificates.into_iter().any(|names| concern_kubelet(names))
    }

    /// Certificates that are still to be proved in use.
    pub(super) fn proofs(&self) -> impl Iterator<Item = &String> {
        self.recoveries.iter().flat_map(|one| &one.proofs_left)
    }

    /// The plan with the restarts that are owed.
    pub(super) fn added_to(
        &self,
        mut plan: Plan,
        inventory: &Inventory,
        settings: &Restart,
    ) -> Plan {
        for (component, manifest) in self.recoveries.iter().flat_map(|one| &one.restarts_left) {
            let is_known = |pod: &AffectedPod| pod.component == *component;
            if !plan.affected.iter().any(is_known) {
                plan.affected.push(AffectedPod {
                    component: component.clone(),
                    manifest: manifest.clone(),
                    certificates: Vec::new(),
                });
            }
        }
        if settings.mode != RestartMode::None {
            plan.restarts = restart_groups(inventory, &affected(&plan));
        }
        plan
    }

    /// Ends them; `successor` has them in its journal by now.
    ///
    /// # Errors
    /// [`OperationError`].
    pub(super) fn end(self, context: &Context, successor: &str) -> Result<(), OperationError> {
        for recovery in self.recoveries {
            let (report, _) = so_far(context, &recovery);
            let told = format!("what it owed is left to operation {successor}");
            let outcome = match recovery.reason {
                Some(reason) => Outcome::RolledBack(format!("{reason}; {told}")),
                None => Outcome::Failed(told),
            };
            let receipt = receipt(&recovery.operation, outcome, &report);
            end(context, recovery.operation, &receipt, Ending::with(None))?;
        }
        Ok(())
    }
}

/// Whether everything that an operation put in place is to be renewed by now. What somebody put back by hand is not: it stays
/// for a while, however soon it ends.
fn is_overtaken(context: &Context, recovery: &Recovery<'_>) -> bool {
    let by_hand = matches!(recovery.operation.trigger(), Trigger::Command(command) if command.starts_with(ROLLBACK));
    if by_hand || !recovery.rolled_forward {
        return false;
    }
    let plan = context.plan_due(&context.observe(), crate::host::now());
    let is_due = |name: &str| {
        plan.items
            .iter()
            .any(|item| item.name == name && matches!(item.action, Action::Renew(_)))
    };
    let (so_far, _) = so_far(context, recovery);
    !so_far.renewed.is_empty() && so_far.renewed.iter().all(|one| is_due(&one.name))
}
