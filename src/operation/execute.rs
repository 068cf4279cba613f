//! The second half of every operation that changes files: install, restart, prove, record, and back where that does not
//! end well.

use std::time::Instant;

use super::adopted::Adopted;
use super::copies::update_copies;
use super::ending::{Ending, end};
use super::error::{Fault, OperationError};
use super::event::Event;
use super::hooks::OperationHooks;
use super::kubelet::{KUBELET_UNIT, concern_kubelet, reads_by_itself};
use super::proof::{new_files_stay, restart_and_prove};
use super::remark::Remark;
use super::report::RenewalReport;
use super::restarts::{Restarts, may_restart};
use super::run::Run;
use super::turn::{release_turn, turn_record};
use super::undo::undo;
use super::users::{announce_users, user_names};
use crate::files::Operation;
use crate::issuer::Replacement;
use crate::journal::{OperationKind, Record, TransactionError, Trigger};
use crate::node::{CertificateId, Inventory, Replaceable, components};
use crate::plan::{Plan, RestartGroup, RestartMethod};
use crate::probe::answering;
use crate::report::RenewedCertificate;
use crate::restart::RestartError;
use crate::runtime::Moment;

/// What is to be put in place, and what follows from it.
pub(super) struct Change<'a> {
    pub(super) kind: OperationKind,
    pub(super) trigger: Trigger,
    /// Which pods are restarted, how, and what is to be proved besides.
    pub(super) plan: Plan,
    pub(super) files: Vec<Replacement>,
    /// Which files may be replaced at all.
    pub(super) replaceable: Replaceable,
    pub(super) certificates: Vec<RenewedCertificate>,
    /// Whether there is nothing useful to go back to.
    pub(super) had_expired: bool,
    /// Why no pod is restarted, if none is.
    pub(super) no_restart: Option<&'static str>,
    /// Operations whose restarts and proofs the plan has.
    pub(super) adopted: Adopted<'a>,
    /// Operations in flight that have nothing to do with it, and are recovered.
    pub(super) beside: Vec<String>,
    pub(super) begun: Instant,
}

/// Carries a change out: in place or not at all, and used.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub(super) async fn execute<'a>(
    run: &mut Run<'a>,
    mut change: Change<'a>,
    mut report: RenewalReport,
) -> Result<RenewalReport, OperationError> {
    let Change {
        plan,
        no_restart,
        begun,
        ..
    } = &change;
    let (mut plan, no_restart, begun) = (plan.clone(), *no_restart, *begun);
    // What an earlier operation left is not done by putting other files back.
    let can_go_back = !change.had_expired && change.adopted.is_empty();
    let mut operation = begin(run, &change)?;
    report.operation = Some(operation.id().to_owned());
    let mut hooks = hooks(run, &operation, &change);
    let node = run.node();
    if no_restart.is_none() && may_restart(run.context) {
        let ids: Vec<CertificateId> = change
            .certificates
            .iter()
            .map(|one| one.id.clone())
            .collect();
        run.answering = answering(&node, &ids).await;
    }
    let not_begun = match before(run, &mut operation, &mut hooks, &change, &mut report).await {
        Err(error) => Some(Ending::rolled_back(error)),
        Ok(()) => install(run, &node, &mut operation, &mut change)
            .err()
            .map(|error| not_installed(&mut operation, error)),
    };
    if let Some(ending) = not_begun {
        return finish(run, operation, &hooks, ending, report).await;
    }
    let names = in_place(run, &operation, &change);
    let untold = if operation.users().is_empty() {
        user_names(&node, &names)
    } else {
        Vec::new()
    };
    if let Err(error) = change.adopted.end(run, operation.id()) {
        run.remark(Remark::NotEnded {
            reason: error.to_string(),
        });
    }
    report.renewed = change.certificates;
    run.forget_node();
    if reads_by_itself(run, &names).await {
        plan.method = RestartMethod::Kubelet { restart: false };
    } else if plan.method == RestartMethod::Manifests && concern_kubelet(&names) {
        report.not_told.push(KUBELET_UNIT.to_owned());
    }
    let mut restarts = Restarts::choose(run, &plan, no_restart).await;
    report.not_restarted = components(&restarts.left_out);
    report.not_told.extend(untold);
    let ended = restart_and_prove(run, &mut operation, &mut restarts, &names, &mut report).await;
    report.duration = begun.elapsed();
    let ending = match ended {
        Ok(()) => {
            update_copies(run, &mut report);
            Ending::done()
        }
        Err(RestartError::Stopped) => return Err(OperationError::Stopped),
        Err(error) if error.only_waits() => {
            Ending::failed(OperationError::RestartsPending((&error).into())).retried()
        }
        Err(error) if !can_go_back => new_files_stay(&error, &operation, &names),
        Err(error) => {
            let why = ((&error).into(), plan.method);
            undo(run, &mut operation, &names, why, &mut report).await?
        }
    };
    report.observations = run.observations();
    finish(run, operation, &hooks, ending, report).await
}

/// Runs the hooks that come afterwards, writes the receipt and gives the turn back.
async fn finish(
    run: &mut Run<'_>,
    operation: Operation<'_>,
    hooks: &OperationHooks,
    ending: Ending,
    mut report: RenewalReport,
) -> Result<RenewalReport, OperationError> {
    hooks.after(run, &ending, &mut report).await;
    let id = operation.id().to_owned();
    let ended = end(run, operation, ending, &report);
    release_turn(run, &id, &ended).await;
    ended.map(|()| report)
}

fn hooks(run: &mut Run<'_>, operation: &Operation<'_>, change: &Change<'_>) -> OperationHooks {
    let certificates = change.certificates.iter().map(|one| &one.id);
    let components = components(change.plan.restarts.iter().flat_map(RestartGroup::pods));
    OperationHooks::of(run, operation, certificates, &components).binding(!matches!(
        change.plan.method,
        RestartMethod::Containers { .. }
    ))
}

/// Runs the hooks that come before: all of them before the first file is changed, so that one that fails leaves everything as it is.
async fn before(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    hooks: &mut OperationHooks,
    change: &Change<'_>,
    report: &mut RenewalReport,
) -> Result<(), OperationError> {
    let restarts =
        change.no_restart.is_none() && may_restart(run.context) && !change.plan.restarts.is_empty();
    let moments = [(Moment::PreRenew, true), (Moment::PreRestart, restarts)];
    for (moment, is_due) in moments {
        if is_due {
            hooks.announce(run.context, operation, moment)?;
            let ready = hooks.before(run, moment, report).await;
            ready.map_err(|finding| OperationError::HookFailed(Box::new(finding)))?;
        }
    }
    Ok(())
}

fn begin<'a>(run: &mut Run<'a>, change: &Change<'a>) -> Result<Operation<'a>, OperationError> {
    let context = run.context;
    let mut recovered = change.adopted.ids();
    recovered.extend(change.beside.iter().map(String::as_str));
    let operation = Operation::begin_after(
        &context.store(),
        run.lock,
        (change.kind, change.trigger.clone()),
        &recovered,
        context.history_head(),
    )?;
    run.emit(Event::Begun {
        operation: operation.id().to_owned(),
    });
    Ok(operation)
}

/// Journals what follows from the installation, and installs.
fn install(
    run: &Run<'_>,
    node: &Inventory,
    operation: &mut Operation<'_>,
    change: &mut Change<'_>,
) -> Result<(), TransactionError> {
    if let Some(turn) = turn_record(run) {
        operation.note(turn)?;
    }
    operation.note(Record::Changes {
        certificates: change.certificates.clone(),
    })?;
    let restart = change.no_restart.is_none();
    Restarts::announce(run.context, &change.plan, restart, operation)?;
    if restart {
        let ids = change.certificates.iter().map(|one| &one.id);
        let adopted = &change.plan.adopted_users;
        announce_users(run.context, node, ids, adopted, operation)?;
    }
    let files = std::mem::take(&mut change.files);
    operation.install_replaceable(files, &change.replaceable)
}

/// Says what is in place now. The certificates that are to be proved in use.
fn in_place(
    run: &mut Run<'_>,
    operation: &Operation<'_>,
    change: &Change<'_>,
) -> Vec<CertificateId> {
    let put_back = change.kind == OperationKind::RollBack;
    for one in &change.certificates {
        run.emit(Event::Renewed {
            operation: operation.id().to_owned(),
            certificate: one.id.clone(),
            path: one.path.clone(),
            serial: one.new_serial.clone(),
            not_after: one.new_not_after,
            old_not_after: one.old_not_after,
            put_back,
        });
    }
    run.emit(Event::Installed {
        operation: operation.id().to_owned(),
        certificates: change.certificates.len(),
        put_back,
        after: change.begun.elapsed(),
    });
    let mut names: Vec<CertificateId> = change
        .certificates
        .iter()
        .map(|one| one.id.clone())
        .collect();
    for name in &change.plan.adopted_proofs {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// How an installation that failed ends. One that could not be undone is tried to be undone once more, and is left to
/// recovery if that fails.
fn not_installed(operation: &mut Operation<'_>, error: TransactionError) -> Ending {
    let TransactionError::NotUndone { cause, undo } = error else {
        return Ending::rolled_back(OperationError::Install(error));
    };
    match operation.roll_back(&*cause) {
        Ok(()) if matches!(*undo, TransactionError::LeftAlone { .. }) => {
            Ending::rolled_back(OperationError::RolledBack {
                reason: Fault {
                    code: cause.code(),
                    text: cause.to_string(),
                },
                aftermath: Some(undo.to_string()),
            })
        }
        Ok(()) => Ending::rolled_back(OperationError::Install(*cause)),
        Err(undo) => {
            let undo = Box::new(undo);
            let error = TransactionError::NotUndone { cause, undo };
            Ending::failed(OperationError::Transaction(error)).retried()
        }
    }
}
