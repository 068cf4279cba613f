//! Whether this is a good moment.

use jiff::Timestamp;

use super::error::Fault;
use super::hooks::longest;
use super::run::Run;
use super::table::Wish;
use super::turn_ahead::look_at_turn;
use super::twins::conflict;
use super::{Context, OperationError, users};
use crate::checks::{
    Asked, Cause, Check, Finding, Intent, Readings, Unread, blocking, judge, judge_outlook,
    outlook, read, read_places, running_kubeadm, unfit_users,
};
use crate::config::{OtherRenewer, RestartMode};
use crate::files::{Targets, make_directory};
use crate::issuer::{Issued, Replacement};
use crate::journal::{Lock, TransactionError};
use crate::node::{Inventory, Replaceable};
use crate::plan::Plan;
use crate::report::{History, HistoryError};

/// What is found before a plan is carried out. `restart`: whether pods are restarted.
#[must_use]
pub fn preflight(
    context: &Context,
    inventory: &Inventory,
    plan: &Plan,
    restart: bool,
    asked: Asked,
) -> Vec<Finding> {
    let mut intent = Intent::of(inventory, plan, &context.config, restart);
    intent.longest += longest(context, restart);
    if restart {
        intent.longest += users::longest(context, inventory, plan);
    }
    preflight_for(context, inventory, &intent, asked, plan.at)
}

/// What is found before an operation that follows from no plan.
#[must_use]
pub fn preflight_for(
    context: &Context,
    inventory: &Inventory,
    intent: &Intent,
    asked: Asked,
    now: Timestamp,
) -> Vec<Finding> {
    let history = History::new(&context.store());
    let (last_receipt, unread) = match history.receipts() {
        Ok(receipts) => (receipts.last().map(|receipt| receipt.finished), None),
        Err(error) => (
            None,
            Some(Unread {
                check: Check::Clock,
                path: context.store().history(),
                reason: why(error),
            }),
        ),
    };
    let mut readings = read(&context.store(), inventory, intent, last_receipt);
    readings.unread.extend(unread);
    if context.config.renewal.other_renewer == OtherRenewer::Ignore {
        readings.renewers.clear();
    }
    // None is run on a copy of a node.
    if !context.is_live() {
        readings.hooks.clear();
    }
    readings.windows = context.config.windows.clone();
    match context.store().on_hold(now) {
        Ok(hold) => readings.on_hold = hold,
        Err(error) => readings.unread.push(Unread {
            check: Check::Hold,
            path: context.store().hold_file(),
            reason: error.to_string(),
        }),
    }
    judge(&readings, intent, asked, now)
}

/// What a running node lacks for the restarts of `intent`; nothing where there are none. Takes some seconds at most.
pub async fn look_ahead(
    context: &Context,
    inventory: &Inventory,
    intent: &Intent,
    asked: Asked,
) -> Vec<Finding> {
    let Some(machine) = &context.machine else {
        return Vec::new();
    };
    if context.config.restart.mode == RestartMode::None {
        return Vec::new();
    }
    let users = unfit_users(&machine.kubelet, intent, asked);
    if intent.manifests.is_empty() {
        return users.await;
    }
    // Side by side: each may have to wait for somebody who does not answer.
    let (found, turn, unfit) = tokio::join!(
        outlook(inventory, &context.config.restart, &machine.kubelet, intent),
        look_at_turn(context, inventory, Wish { intent, asked }),
        users,
    );
    // The time of the answers.
    let mut findings = judge_outlook(&found, intent, asked, crate::host::now());
    if turn.is_occupied {
        // Whoever is being restarted need not answer: this node waits in line, and asks again when its turn has come.
        findings.retain(|finding| !matches!(finding.cause, Cause::ControlPlaneSilent { .. }));
    }
    findings.extend(turn.findings);
    findings.extend(unfit);
    findings
}

/// A kubeadm at work, beside which no pod is restarted. Where processes cannot be listed, none is known of.
pub(super) fn kubeadm_at_work(context: &Context, inventory: &Inventory) -> Vec<Finding> {
    let found = context
        .machine
        .as_ref()
        .map_or_else(Default::default, |machine| {
            running_kubeadm(&machine.processes, &inventory.directories.kubernetes)
                .unwrap_or_default()
        });
    let readings = Readings {
        kubeadm: found.running,
        ..Readings::default()
    };
    let intent = Intent {
        manifests: inventory
            .static_pods
            .iter()
            .map(|pod| pod.path.clone())
            .collect(),
        ..Intent::default()
    };
    let findings = judge(&readings, &intent, Asked::BySchedule, crate::host::now());
    blocking(&findings)
        .into_iter()
        .filter(|finding| finding.check() == Check::Kubeadm)
        .collect()
}

/// Without the path, which is said anyway.
fn why(error: HistoryError) -> String {
    match error {
        HistoryError::File { source, .. } => source.to_string(),
        HistoryError::Broken { line, reason, .. } => format!("line {line}: {reason}"),
        other => other.to_string(),
    }
}

/// Ends an operation before it begins if something speaks against it; the rest is said. Whether pods may be restarted.
///
/// # Errors
/// [`OperationError::NotNow`].
pub(super) fn permit(run: &mut Run<'_>, findings: Vec<Finding>) -> Result<bool, OperationError> {
    let blocking = blocking(&findings);
    if !blocking.is_empty() {
        return Err(OperationError::NotNow(blocking));
    }
    let may_restart = !findings
        .iter()
        .any(|finding| finding.cause.forbids_restart());
    for finding in findings {
        run.remark(finding);
    }
    Ok(may_restart)
}

/// Why no pod is restarted, if none is.
pub(super) fn no_restart(restart: bool, may_restart: bool) -> Option<&'static str> {
    if !restart {
        Some("--no-restart")
    } else if !may_restart {
        Some("a pod has more than one manifest")
    } else {
        None
    }
}

/// Passes on what can be put in place. The rest fails here and alone: in the installation it would hold up all the others.
pub(super) fn may_be_replaced(
    node: &Inventory,
    targets: &mut Targets<'_>,
    (issued, files): (Issued, Vec<Replacement>),
) -> Result<(Issued, Vec<Replacement>), Fault> {
    targets.check(&files)?;
    match conflict(node, &issued.id, &files) {
        Some(text) => Err(Fault {
            code: "conflict",
            text,
        }),
        None => Ok((issued, files)),
    }
}

/// Makes the kubelet's directory where it is missing, as the kubelet does, and looks whether the files can be put where they
/// belong: in the installation one that cannot would hold up all the others.
pub(super) fn may_be_put_there(
    context: &Context,
    (node, replaceable): (&Inventory, &Replaceable),
    files: &[Replacement],
) -> Result<(), Fault> {
    let store = context.store();
    let directory = &node.directories.kubelet_pki;
    if files.iter().any(|file| file.path.starts_with(directory)) {
        make_directory(&store, directory)?;
    }
    Ok(Targets::new(&store, replaceable).check(files)?)
}

/// The lock; where it cannot be had because of the state directory, what is wrong with that.
///
/// # Errors
/// [`OperationError::NotNow`] or the lock's own.
pub(super) fn take_lock(context: &Context) -> Result<Lock, OperationError> {
    Lock::take(&context.store()).map_err(|error| {
        if matches!(error, TransactionError::Busy { .. }) {
            return error.into();
        }
        let found: Vec<Finding> = state_directory(context);
        if found.is_empty() {
            error.into()
        } else {
            OperationError::NotNow(found)
        }
    })
}

/// What keeps the state directory from being written to.
fn state_directory(context: &Context) -> Vec<Finding> {
    let store = context.store();
    let intent = Intent {
        targets: [store.history()].into(),
        ..Intent::default()
    };
    let readings = read_places(&store, &intent);
    let found = judge(
        &readings,
        &intent,
        Asked::ByHand { force: false },
        crate::host::now(),
    );
    blocking(&found)
        .into_iter()
        .filter(|finding| matches!(finding.check(), Check::Space | Check::Writable))
        .collect()
}
