//! Finishing what was cut off.

use tokio::sync::watch;

use super::checks::kubeadm_at_work;
use super::copies::update_copies;
use super::ending::{Ending, end};
use super::error::{Fault, known_code};
use super::hooks::OperationHooks;
use super::in_flight::{about_to_end, announce, method, old_are_valid, so_far};
use super::proof::{new_files_stay, restart_and_prove};
use super::remark::Remark;
use super::restarts::Restarts;
use super::run::Run;
use super::table::Wish;
use super::turn::{release_turn, take_turn, turn_record};
use super::undo::undo;
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Intent};
use crate::files::{Operation, Recovery, recover};
use crate::journal::{Lock, OperationKind, UndoReason};
use crate::node::{CertificateId, components};
use crate::plan::{RestartGroup, RestartMethod};
use crate::restart::RestartError;
use crate::runtime::Moment;

/// What became of one operation that had been cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Its id.
    pub operation: String,
    /// Whether the new files are in place.
    pub forward: bool,
    /// Components restarted now.
    pub restarted: Vec<String>,
    /// What it left and could not be done, one sentence each: pods without a manifest, proofs that no component could give.
    pub left: Vec<String>,
}

/// Finishes or undoes every operation in flight: manifests first, then files, then the restarts and proofs that are
/// pending. What cannot be restarted or proved is rolled back, or tried again by the next recovery where there is
/// nothing to go back to.
///
/// # Errors
/// [`OperationError`], of the first operation that did not end well.
pub async fn finish_recovery(
    context: &Context,
    lock: &Lock,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<RecoveryReport>, OperationError> {
    finish(&mut Run::new(context, lock, stop, events)).await
}

/// The same in a run that goes on.
pub(super) async fn finish(run: &mut Run<'_>) -> Result<Vec<RecoveryReport>, OperationError> {
    let recoveries = recover(&run.context.store(), run.lock)?;
    let reports = finish_all(run, recoveries).await;
    run.forget_node();
    reports
}

/// The same of operations whose files and manifests are where they belong.
pub(super) async fn finish_all(
    run: &mut Run<'_>,
    recoveries: Vec<Recovery<'_>>,
) -> Result<Vec<RecoveryReport>, OperationError> {
    let mut reports = Vec::new();
    let mut first = None;
    for recovery in recoveries {
        let id = recovery.id.clone();
        match Box::pin(finish_one(run, recovery)).await {
            Ok(report) => reports.push(report),
            Err(OperationError::Stopped) => return Err(OperationError::Stopped),
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => tracing::error!(operation_id = id.as_str(), "{error}"),
        }
    }
    first.map_or(Ok(reports), Err)
}

async fn finish_one(
    run: &mut Run<'_>,
    recovery: Recovery<'_>,
) -> Result<RecoveryReport, OperationError> {
    announce(run, &recovery);
    let mut report = so_far(run, &recovery);
    let can_go_back =
        recovery.only_hooks.is_none() && !recovery.node_down && old_are_valid(run, &recovery);
    let method = method(&recovery);
    let mut restarts = restarts_left(run, &recovery)?;
    if restarts.need_a_turn() {
        Box::pin(take_turn_for(run, &recovery, restarts.groups())).await?;
    }
    report.not_restarted = components(&restarts.left_out);
    let Recovery {
        id,
        rolled_forward,
        reason,
        certificates,
        proofs_left,
        only_hooks,
        mut operation,
        ..
    } = recovery;
    if let Some(turn) = turn_record(run) {
        operation.note(turn)?;
    }
    let begun = moments_begun(&operation, only_hooks.as_deref());
    let mut hooks = hooks(run, &operation, &certificates, &restarts);
    for moment in begun {
        hooks.begun_before(moment);
    }
    let ready = if restarts.groups().is_empty() {
        Ok(())
    } else {
        hooks.before(run, Moment::PreRestart, &mut report).await
    };
    let ended = match ready {
        Err(finding) => Err(RestartError::HookFailed(finding.to_string())),
        Ok(()) => {
            restart_and_prove(
                run,
                &mut operation,
                &mut restarts,
                &proofs_left,
                &mut report,
            )
            .await
        }
    };
    let ending = match ended {
        Ok(()) if rolled_forward => {
            update_copies(run, &mut report);
            Ending::done()
        }
        Ok(()) => Ending::undone(why_undone(reason)),
        Err(RestartError::Stopped) => return Err(OperationError::Stopped),
        Err(error) if !rolled_forward => {
            let error = OperationError::RolledBack {
                reason: why_undone(reason),
                aftermath: Some(error.to_string()),
            };
            Ending::rolled_back(error).retried_for_restarts(&operation)
        }
        Err(error) if error.is_the_kubelets() || error.only_waits() => {
            Ending::failed(OperationError::RestartsPending((&error).into())).retried()
        }
        Err(error) if certificates.is_empty() => {
            Ending::failed(OperationError::Failed((&error).into()))
        }
        Err(error) if !can_go_back => new_files_stay(&error, &operation, &certificates),
        Err(error) => {
            let why = ((&error).into(), method);
            undo(run, &mut operation, &certificates, why, &mut report).await?
        }
    };
    hooks.after(run, &ending, &mut report).await;
    let ended = end(run, operation, ending, &report);
    release_turn(run, &id, &ended).await;
    ended?;
    Ok(RecoveryReport {
        operation: id,
        forward: rolled_forward,
        restarted: report
            .restarts
            .into_iter()
            .map(|one| one.component)
            .collect(),
        left: report.unproved.iter().map(Remark::to_string).collect(),
    })
}

/// Its hooks. Those before it were run by its earlier life, as far as that got, so those after it are run whatever is left to be done.
fn hooks(
    run: &mut Run<'_>,
    operation: &Operation<'_>,
    certificates: &[CertificateId],
    restarts: &Restarts,
) -> OperationHooks {
    let components = components(restarts.groups().iter().flat_map(RestartGroup::pods));
    OperationHooks::of(run, operation, certificates, &components)
        .binding(!matches!(restarts.method, RestartMethod::Containers { .. }))
}

/// The moments before an operation whose hooks its earlier life began: those that it wrote down where it did no more than that, and
/// else all that it has.
fn moments_begun(operation: &Operation<'_>, only_hooks: Option<&[String]>) -> Vec<Moment> {
    let is_begun = |moment: &Moment| match only_hooks {
        Some(names) => names.iter().any(|name| name == moment.name()),
        None => *moment != Moment::PreRenew || operation.kind() != OperationKind::Restart,
    };
    Moment::ALL
        .into_iter()
        .filter(|moment| moment.is_before() && is_begun(moment))
        .collect()
}

/// The restarts that it left, if this is a moment for them.
fn restarts_left(run: &mut Run<'_>, recovery: &Recovery<'_>) -> Result<Restarts, OperationError> {
    let node = run.node();
    // Old files are put back on a node that runs, or not at all.
    let method = if recovery.rolled_forward || recovery.kubelet_alone {
        method(recovery)
    } else {
        RestartMethod::Manifests
    };
    let restarts = Restarts::left(run.context, &node, &recovery.restarts_left, method);
    if restarts.are_none() {
        return Ok(restarts);
    }
    let findings = kubeadm_at_work(run.context, &node);
    if findings.is_empty() {
        return Ok(restarts);
    }
    if let Some((name, ends)) = about_to_end(run, &recovery.id, crate::host::now()) {
        for finding in findings {
            run.remark(Remark::RestartedNevertheless {
                finding: Box::new(finding),
                certificate: name.clone(),
                ends,
            });
        }
        return Ok(restarts);
    }
    Err(OperationError::RestartsWait {
        operation: recovery.id.clone(),
        findings,
    })
}

/// The turn for them. An operation that was cut off had it, so its own node goes on with it at once.
async fn take_turn_for(
    run: &mut Run<'_>,
    recovery: &Recovery<'_>,
    groups: &[RestartGroup],
) -> Result<(), OperationError> {
    let intent = Intent {
        first_end: about_to_end(run, &recovery.id, crate::host::now()),
        ..Intent::default()
    };
    let wish = Wish {
        intent: &intent,
        asked: Asked::BySchedule,
    };
    match take_turn(run, wish, groups).await {
        Err(OperationError::NotNow(findings)) => Err(OperationError::RestartsWait {
            operation: recovery.id.clone(),
            findings,
        }),
        taken => taken,
    }
}

/// The code of an operation that did not get to write down why it failed.
const INTERRUPTED: &str = "interrupted";

/// What it failed for, as it is written down.
fn why_undone(reason: Option<UndoReason>) -> Fault {
    match reason {
        Some(reason) => Fault {
            code: reason
                .code
                .as_deref()
                .and_then(known_code)
                .unwrap_or(INTERRUPTED),
            text: reason.text,
        },
        None => Fault {
            code: INTERRUPTED,
            text: "the operation was interrupted".to_owned(),
        },
    }
}
