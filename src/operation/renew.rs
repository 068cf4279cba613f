//! Renewing: the whole line once, with the way back where it does not end well.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::expired::{expect_ready, make_for_kubelet, provable_names};
use super::preflight::{permit, preflight, take_lock};
use super::recover::finish_recovery;
use super::restart::{Restarts, affected, healthy, rungs};
use super::{Context, Event, OperationError};
use crate::issuer::{Issued, Replacement, Wanted, issue, replacements};
use crate::node::Inventory;
use crate::plan::{Action, Obstacle, Plan, Request};
use crate::preflight::Asked;
use crate::report::{History, Receipt, RenewedCertificate};
use crate::restart::{Proof, RestartError, RestartReport, prove, stopped};
use crate::transaction::{Lock, Operation, Outcome, Trigger};

/// How long the components have, all together, to show that they use the new certificates.
pub(super) const PROOF_BOUND: Duration = Duration::from_secs(90);

/// What the caller wants besides the certificates.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who asked.
    pub trigger: Trigger,
    /// Whether pods are restarted at all.
    pub restart: bool,
    /// Whether expired certificates have stopped the node: then the kubelet's client certificate is renewed as well where
    /// it has expired, and the kubelet and the pods are restarted without moving manifests.
    pub stopped: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct RenewalReport {
    /// The operation's id; `None` when there was nothing to do.
    pub operation: Option<String>,
    /// What was renewed.
    pub renewed: Vec<RenewedCertificate>,
    /// What should have been renewed and was not: name and reason.
    pub failed: Vec<(String, String)>,
    /// What was asked for or due and is left alone, and why.
    pub left: Vec<(String, Obstacle)>,
    /// How long each restart took.
    pub restarts: Vec<RestartReport>,
    /// What was proved.
    pub proofs: Vec<Proof>,
    /// What could not be proved, one sentence each.
    pub unproved: Vec<String>,
    /// Components that use a new file and were not restarted.
    pub not_restarted: Vec<String>,
    /// From begin to end.
    pub duration: Duration,
}

/// Renews what `request` asks for. Finishes an operation that was cut off first.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn renew(
    context: &Context,
    request: &Request,
    options: &Options,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RenewalReport, OperationError> {
    let lock = take_lock(context)?;
    finish_recovery(context, &lock, stop, events).await?;
    let begun = Instant::now();
    let started = Timestamp::now();
    let inventory = context.observe();
    let plan = context.plan(&inventory, request, started)?;
    let mut report = RenewalReport {
        left: left_alone(&plan, request),
        ..RenewalReport::default()
    };
    let wants_restart = options.restart && context.is_live();
    let found = preflight(
        context,
        &inventory,
        &plan,
        wants_restart,
        asked(request, options),
    );
    let unwanted = unwanted(options, permit(found, events)?);
    let mut made = issue_planned(context, &inventory, &plan, request, events, &mut report)?;
    let mut kubelet_changed = false;
    if options.stopped {
        let kubelet = make_for_kubelet(context, &inventory, started, events, &mut report);
        kubelet_changed = kubelet.is_some();
        made = Made::joined(made, kubelet);
    }
    let Some(Made { issued, files }) = made else {
        return Ok(report);
    };
    let change = Change {
        plan: &plan,
        files,
        certificates: issued
            .iter()
            .map(|one| receipt_line(&inventory, one))
            .collect(),
        had_expired: options.stopped || issued.iter().any(|one| one.old.not_after < started),
        kubelet_changed,
        put_back: false,
        unwanted,
        started,
        begun,
    };
    drop(issued);
    carry_out(context, &lock, change, options, stop, events, report).await
}

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
pub(super) struct Change<'plan> {
    /// The restarts.
    pub(super) plan: &'plan Plan,
    pub(super) files: Vec<Replacement>,
    pub(super) certificates: Vec<RenewedCertificate>,
    /// Whether there is nothing useful to go back to.
    pub(super) had_expired: bool,
    /// Whether the kubelet's own certificate is among them.
    pub(super) kubelet_changed: bool,
    /// Whether these are earlier files, not new ones.
    pub(super) put_back: bool,
    /// Why no pod is restarted, if none is.
    pub(super) unwanted: Option<&'static str>,
    pub(super) started: Timestamp,
    pub(super) begun: Instant,
}

/// The second half of every operation that changes files: install, restart, prove, and back where that does not end well.
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
        started,
        begun,
        ..
    } = change;
    let mut operation = Operation::begin(&context.store(), lock, options.trigger.clone())?;
    let id = operation.id().to_owned();
    report.operation = Some(id.clone());
    events(Event::Begun {
        operation: id.clone(),
    });
    let restart = change.unwanted.is_none();
    let installed = Restarts::announce(context, plan, restart, options.stopped, &mut operation)
        .and_then(|()| operation.install(change.files));
    if let Err(error) = installed {
        let error = OperationError::Install(error);
        finish(context, operation, Outcome::Failed(error.to_string()))?;
        return Err(error);
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
        after: begun.elapsed(),
    });
    report.renewed = change.certificates;

    let mut restarts = if options.stopped {
        Restarts::of_stopped(context, &affected(plan), change.kubelet_changed)
    } else {
        Restarts::choose(context, plan, change.unwanted, events).await
    };
    report.not_restarted.clone_from(&restarts.left_out);
    let ended = restart_and_prove(
        context,
        &mut operation,
        &mut restarts,
        stop,
        events,
        &mut report,
    )
    .await;
    report.duration = begun.elapsed();
    let (outcome, result) = match ended {
        Ok(()) => (Outcome::Done, Ok(())),
        Err(RestartError::Stopped) => return Err(OperationError::Stopped),
        // Expired certificates are of no use to anybody, so there is nothing to go back to.
        Err(error) if change.had_expired => {
            let reason = format!(
                "{error}; the new certificates stay in place, because among the old ones some had expired"
            );
            (
                Outcome::Failed(reason.clone()),
                Err(OperationError::Failed(reason)),
            )
        }
        Err(error) => {
            let names: Vec<String> = report.renewed.iter().map(|one| one.name.clone()).collect();
            let reason = error.to_string();
            restarts
                .undo(context, &mut operation, &names, &reason, stop, events)
                .await?
        }
    };
    record(
        context,
        &operation,
        started,
        &outcome,
        &options.trigger,
        &report,
    )?;
    finish(context, operation, outcome)?;
    result.map(|()| report)
}

/// Only the daemon can come back later by itself.
fn asked(request: &Request, options: &Options) -> Asked {
    match (&options.trigger, request) {
        (Trigger::Schedule, _) => Asked::BySchedule,
        (Trigger::Command(_), Request::All { force } | Request::Named { force, .. }) => {
            Asked::ByHand { force: *force }
        }
        (Trigger::Command(_), Request::Due | Request::DueByHand) => Asked::ByHand { force: false },
    }
}

/// What somebody may wonder about: named explicitly, or due and not possible.
fn left_alone(plan: &Plan, request: &Request) -> Vec<(String, Obstacle)> {
    plan.items
        .iter()
        .filter_map(|item| match &item.action {
            Action::Leave(obstacle) => Some((item, obstacle)),
            Action::Renew(_) | Action::Wait => None,
        })
        .filter(|(item, obstacle)| match request {
            Request::Named { names, .. } => names.contains(&item.name),
            Request::All { .. } => !matches!(obstacle, Obstacle::NotManaged),
            Request::Due | Request::DueByHand => {
                item.due_at.is_some_and(|due| due <= plan.at)
                    && !matches!(obstacle, Obstacle::NotManaged)
            }
        })
        .map(|(item, obstacle)| (item.name.clone(), obstacle.clone()))
        .collect()
}

/// New certificates, and the contents of the files they go into.
pub(super) struct Made {
    pub(super) issued: Vec<Issued>,
    pub(super) files: Vec<Replacement>,
}

impl Made {
    fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.issued.extend(other.issued);
                one.files.extend(other.files);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }
}

/// Issues what the plan renews; `None` when that is nothing.
fn issue_planned(
    context: &Context,
    inventory: &Inventory,
    plan: &Plan,
    request: &Request,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) -> Result<Option<Made>, OperationError> {
    let wanted = wanted(plan, request);
    if wanted.is_empty() {
        return Ok(None);
    }
    events(Event::Issuing {
        count: wanted.len(),
    });
    let results = issue(inventory, &context.config.renewal, &wanted, plan.at);
    let mut issued = Vec::new();
    let mut files = Vec::new();
    for (want, result) in wanted.iter().zip(results) {
        let made = result.and_then(|one| replacements(inventory, &one).map(|files| (one, files)));
        match made {
            Ok((one, new_files)) => {
                files.extend(new_files);
                issued.push(one);
            }
            Err(error) => {
                events(Event::IssueFailed {
                    certificate: want.name.clone(),
                    reason: error.to_string(),
                });
                report.failed.push((want.name.clone(), error.to_string()));
            }
        }
    }
    if issued.is_empty() {
        let reasons: Vec<&str> = report.failed.iter().map(|(_, why)| why.as_str()).collect();
        return Err(OperationError::NothingIssued(reasons.join("; ")));
    }
    Ok(Some(Made { issued, files }))
}

fn wanted(plan: &Plan, request: &Request) -> Vec<Wanted> {
    let forced = matches!(
        request,
        Request::All { force: true } | Request::Named { force: true, .. }
    );
    plan.items
        .iter()
        .filter_map(|item| match item.action {
            Action::Renew(reason) => Some(Wanted {
                name: item.name.clone(),
                // A certificate without its key is of no use, however long it still lasts.
                may_end_sooner: forced || reason.allows_earlier_end(),
            }),
            Action::Wait | Action::Leave(_) => None,
        })
        .collect()
}

async fn restart_and_prove(
    context: &Context,
    operation: &mut Operation<'_>,
    restarts: &mut Restarts,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) -> Result<(), RestartError> {
    report.restarts = restarts.run(context, operation, stop, events).await?;
    if !restarts.provable {
        return Ok(());
    }
    let names: Vec<String> = report.renewed.iter().map(|one| one.name.clone()).collect();
    let names = provable_names(&names, restarts.concern_kubelet());
    let (proofs, unproved) = prove_in_use(context, operation, &names, stop, events).await?;
    report.proofs = proofs;
    report.unproved = unproved;
    if restarts.is_for_stopped() {
        expect_ready(context, events, report).await;
    }
    Ok(())
}

/// Asks the components about the named certificates. What they refuse is an error; what could not be asked is a
/// sentence in the second list.
pub(super) async fn prove_in_use(
    context: &Context,
    operation: &mut Operation<'_>,
    names: &[String],
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<(Vec<Proof>, Vec<String>), RestartError> {
    if names.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    events(Event::Proving { count: names.len() });
    let inventory = context.observe();
    let mut proofs = Vec::new();
    let mut unproved = Vec::new();
    let mut refused = Vec::new();
    let results = tokio::select! {
        biased;
        () = stopped(stop) => return Err(RestartError::Stopped),
        results = prove(&inventory, &context.config.restart, names, PROOF_BOUND) => results,
    };
    for result in results {
        match result {
            Ok(proof) => {
                events(Event::Proved {
                    certificate: proof.name.clone(),
                    evidence: proof.evidence.clone(),
                });
                proofs.push(proof);
            }
            Err(error) if error.refused => refused.push(error.to_string()),
            Err(error) => {
                events(Event::Warning(format!("not proved: {error}")));
                unproved.push(error.to_string());
            }
        }
    }
    if !refused.is_empty() {
        return Err(RestartError::NotInUse(refused.join("; ")));
    }
    operation.note(crate::transaction::Record::Proved {
        names: proofs.iter().map(|proof| proof.name.clone()).collect(),
    })?;
    Ok((proofs, unproved))
}

fn receipt_line(inventory: &Inventory, issued: &Issued) -> RenewedCertificate {
    RenewedCertificate {
        name: issued.name.clone(),
        path: inventory
            .entry(&issued.name)
            .map(|entry| entry.path.clone())
            .unwrap_or_default(),
        old_serial: issued.old.serial.clone(),
        new_serial: issued.certificate.serial.clone(),
        old_not_after: issued.old.not_after,
        new_not_after: issued.certificate.not_after,
    }
}

fn record(
    context: &Context,
    operation: &Operation<'_>,
    started: Timestamp,
    outcome: &Outcome,
    trigger: &Trigger,
    report: &RenewalReport,
) -> Result<(), OperationError> {
    let failed = report.failed.iter().map(|(_, reason)| reason.clone());
    let receipt = Receipt {
        id: operation.id().to_owned(),
        started,
        finished: Timestamp::now(),
        trigger: trigger.clone(),
        outcome: outcome.clone(),
        certificates: report.renewed.clone(),
        restarts: healthy(&report.restarts),
        rungs: rungs(&report.restarts),
        proofs: report.proofs.iter().map(sentence).collect(),
        warnings: failed.chain(report.unproved.iter().cloned()).collect(),
    };
    History::new(&context.store()).append(&receipt)?;
    Ok(())
}

/// A proof as receipts have it.
pub(super) fn sentence(proof: &Proof) -> String {
    format!("{}: {}", proof.name, proof.evidence)
}

pub(super) fn finish(
    context: &Context,
    operation: Operation<'_>,
    outcome: Outcome,
) -> Result<(), OperationError> {
    let backup = &context.config.backup;
    operation.finish(outcome, backup.keep, backup.max_bytes)?;
    Ok(())
}
