//! The second half of every operation that changes files: install, restart, prove, record, and back where that does not
//! end well.

use std::time::Instant;

use tokio::sync::watch;

use super::ending::{Ending, end};
use super::expired::{expect_ready, provable_names};
use super::hand_over::Inherited;
use super::restarts::{Restarts, affected, healthy, rungs};
use super::waiting::told;
use super::{Context, Event, OperationError, Options, RenewalReport};
use crate::files::Operation;
use crate::host::stopped;
use crate::issuer::Replacement;
use crate::journal::{Lock, Outcome, Record, TransactionError};
use crate::node::Replaceable;
use crate::plan::Plan;
use crate::probe::{Proof, prove};
use crate::report::{Receipt, RenewedCertificate};
use crate::restart::RestartError;

/// Why no pod is restarted, if none is.
pub(super) fn unwanted(options: &Options, may_restart: bool) -> Option<&'static str> {
    if !options.restart {
        Some("--no-restart")
    } else if !may_restart {
        Some("a pod has more than one manifest")
    } else {
        None
    }
}

/// What is to be put in place, and what follows from it.
pub(super) struct Change<'a> {
    /// The restarts.
    pub(super) plan: &'a Plan,
    pub(super) files: Vec<Replacement>,
    /// Which files may be replaced at all.
    pub(super) replaceable: Replaceable,
    pub(super) certificates: Vec<RenewedCertificate>,
    /// Whether there is nothing useful to go back to.
    pub(super) had_expired: bool,
    /// Whether the kubelet's own certificate is among them.
    pub(super) kubelet_changed: bool,
    /// Whether these are earlier files, not new ones.
    pub(super) put_back: bool,
    /// Why no pod is restarted, if none is.
    pub(super) unwanted: Option<&'static str>,
    /// What earlier operations owe; the plan has their restarts.
    pub(super) inherited: Inherited<'a>,
    pub(super) begun: Instant,
}

/// Carries a change out: in place or not at all, and used.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub(super) async fn carry_out(
    context: &Context,
    lock: &Lock,
    change: Change<'_>,
    options: &Options,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
    mut report: RenewalReport,
) -> Result<RenewalReport, OperationError> {
    let Change {
        plan,
        begun,
        inherited,
        ..
    } = change;
    let stopped = options.stopped || inherited.had_stopped();
    let kubelet_changed = change.kubelet_changed || inherited.concern_kubelet();
    // What is owed is not undone by putting other files back.
    let can_go_back = !change.had_expired && inherited.is_none();
    let mut operation = Operation::begin_after(
        &context.store(),
        lock,
        options.trigger.clone(),
        &inherited.ids(),
        context.history_head(),
    )?;
    let id = operation.id().to_owned();
    report.operation = Some(id.clone());
    events(Event::Begun {
        operation: id.clone(),
    });
    let restart = change.unwanted.is_none();
    let installed = Restarts::announce(context, plan, restart, stopped, &mut operation)
        .and_then(|()| operation.install_replaceable(change.files, &change.replaceable));
    if let Err(error) = installed {
        let (outcome, ending) = not_installed(&mut operation, error);
        let receipt = receipt(&operation, outcome, &report);
        return end(context, operation, &receipt, ending).map(|()| report);
    }
    for one in &change.certificates {
        events(Event::Renewed {
            operation: id.clone(),
            certificate: one.name.clone(),
            path: one.path.clone(),
            serial: one.new_serial.clone(),
            not_after: one.new_not_after,
            old_not_after: one.old_not_after,
            put_back: change.put_back,
        });
    }
    events(Event::Installed {
        operation: id,
        certificates: change.certificates.len(),
        put_back: change.put_back,
        after: begun.elapsed(),
    });
    report.renewed = change.certificates;
    let mut names: Vec<String> = report.renewed.iter().map(|one| one.name.clone()).collect();
    let others = inherited.proofs().filter(|name| !names.contains(name));
    let others: Vec<String> = others.cloned().collect();
    names.extend(others);
    if let Err(error) = inherited.end(context, operation.id()) {
        events(Event::Warning(error.to_string()));
    }

    let mut restarts = if stopped {
        Restarts::of_stopped(context, &affected(plan), kubelet_changed)
    } else {
        Restarts::choose(context, plan, change.unwanted, stop, events).await
    };
    report.not_restarted.clone_from(&restarts.left_out);
    let ended = restart_and_prove(
        context,
        &mut operation,
        &mut restarts,
        &names,
        stop,
        events,
        &mut report,
    )
    .await;
    report.duration = begun.elapsed();
    let (outcome, ending) = match ended {
        Ok(()) => (Outcome::Done, Ending::with(None)),
        Err(RestartError::Stopped) => return Err(OperationError::Stopped),
        Err(error) if !can_go_back => still_owed(&error),
        Err(error) => {
            let reason = error.to_string();
            let undone = restarts
                .undo(context, &mut operation, &names, &reason, stop, events)
                .await?;
            report.warnings.extend(undone.warnings);
            (undone.outcome, undone.ending)
        }
    };
    let receipt = receipt(&operation, outcome, &report);
    end(context, operation, &receipt, ending).map(|()| report)
}

/// What became of an installation that failed. One that could not be undone is tried to be undone once more, and is left to
/// recovery if that fails.
fn not_installed(operation: &mut Operation<'_>, error: TransactionError) -> (Outcome, Ending) {
    let error = match error {
        TransactionError::NotUndone { cause, undo } => {
            match operation.roll_back(&cause.to_string()) {
                Ok(()) if matches!(*undo, TransactionError::LeftAlone { .. }) => {
                    OperationError::RolledBack {
                        reason: cause.to_string(),
                        aftermath: Some(undo.to_string()),
                    }
                }
                Ok(()) => OperationError::Install(*cause),
                Err(undo) => {
                    let undo = Box::new(undo);
                    let error = TransactionError::NotUndone { cause, undo };
                    let ending = Ending::owing(OperationError::Transaction(error));
                    return (Outcome::Failed(ending.reason()), ending);
                }
            }
        }
        other => OperationError::Install(other),
    };
    let ending = Ending::with(Some(error));
    (Outcome::RolledBack(ending.reason()), ending)
}

/// Expired certificates are of no use to anybody, and what an earlier operation owes is not done by going back: what is owed
/// is tried again.
pub(super) fn still_owed(error: &RestartError) -> (Outcome, Ending) {
    let reason = format!(
        "{error}; the files that were put in place stay, since there is nothing of use to go back to. The daemon goes on trying; `kubecertd recover` tries at once, and `kubecertd recover --give-up` ends it"
    );
    let ending = Ending::owing(OperationError::Failed(reason.clone()));
    (Outcome::Failed(reason), ending)
}

/// Does the restarts, then asks the components about the named certificates.
pub(super) async fn restart_and_prove(
    context: &Context,
    operation: &mut Operation<'_>,
    restarts: &mut Restarts,
    names: &[String],
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) -> Result<(), RestartError> {
    for sentence in restarts.sentences_of_missing() {
        events(Event::Warning(sentence.clone()));
        report.unproved.push(sentence);
    }
    report.restarts = restarts.run(context, operation, stop, events).await?;
    if !restarts.provable {
        return Ok(());
    }
    let names = provable_names(names, restarts.concern_kubelet());
    let answers = prove_in_use(context, operation, &names, stop, events).await?;
    report.proofs = answers.proofs;
    report.unproved.extend(answers.unproved);
    report.warnings.extend(answers.unverified);
    if restarts.is_for_stopped() {
        tokio::select! {
            biased;
            // All is done; what the API server shows can be looked up later.
            () = stopped(stop) => {}
            () = expect_ready(context, events, report) => {}
        }
    }
    Ok(())
}

/// What the components said that did not refuse a certificate.
#[derive(Default)]
pub(super) struct Answers {
    proofs: Vec<Proof>,
    /// What could not be asked, one sentence each.
    unproved: Vec<String>,
    /// What answered but cannot be verified by anything on this node, one sentence each: no proof, and no fault either.
    unverified: Vec<String>,
}

/// Asks the components about the named certificates. What they refuse is an error.
pub(super) async fn prove_in_use(
    context: &Context,
    operation: &mut Operation<'_>,
    names: &[String],
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Answers, RestartError> {
    let mut answers = Answers::default();
    if names.is_empty() {
        return Ok(answers);
    }
    events(Event::Proving { count: names.len() });
    let inventory = context.observe();
    let mut refused = Vec::new();
    let bound = context.proof_bound;
    let proving = prove(&inventory, &context.config.restart, names, bound);
    let results = tokio::select! {
        biased;
        () = stopped(stop) => return Err(RestartError::Stopped),
        results = told(proving, ("proof", "every component's answer"), bound, events) => results,
    };
    for result in results {
        match result {
            Ok(proof) => {
                events(Event::Proved {
                    certificate: proof.name.clone(),
                    evidence: proof.evidence.clone(),
                });
                answers.proofs.push(proof);
            }
            Err(error) if error.refused => refused.push(error.to_string()),
            Err(error) if error.unverified => {
                answers.unverified.push(error.to_string());
                events(Event::Unverified {
                    certificate: error.name,
                    said: error.reason,
                });
            }
            Err(error) => {
                events(Event::Warning(format!("not proved: {error}")));
                answers.unproved.push(error.to_string());
            }
        }
    }
    if !refused.is_empty() {
        return Err(RestartError::NotInUse(refused.join("; ")));
    }
    operation.note(Record::Proved {
        names: answers
            .proofs
            .iter()
            .map(|proof| proof.name.clone())
            .collect(),
    })?;
    Ok(answers)
}

/// What the history keeps of an operation.
pub(super) fn receipt(
    operation: &Operation<'_>,
    outcome: Outcome,
    report: &RenewalReport,
) -> Receipt {
    let failed = report.failed.iter().map(|(_, reason)| reason.clone());
    let not_restarted = (!report.not_restarted.is_empty()).then(|| {
        format!(
            "not restarted, and with the files from before until then: {}",
            report.not_restarted.join(", ")
        )
    });
    Receipt {
        id: operation.id().to_owned(),
        started: operation.started(),
        finished: crate::host::now(),
        trigger: operation.trigger().clone(),
        by: operation.by().cloned(),
        history_before: operation.history().cloned(),
        outcome,
        certificates: report.renewed.clone(),
        restarts: healthy(&report.restarts),
        rungs: rungs(&report.restarts),
        proofs: report.proofs.iter().map(sentence).collect(),
        warnings: failed
            .chain(report.unproved.iter().cloned())
            .chain(report.warnings.iter().cloned())
            .chain(not_restarted)
            .collect(),
    }
}

/// A proof as receipts have it.
fn sentence(proof: &Proof) -> String {
    format!("{}: {}", proof.name, proof.evidence)
}
