//! Finishing what was cut off.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::carry_out::{receipt, restart_and_prove, still_owed};
use super::ending::{Ending, end};
use super::expired::concern_kubelet;
use super::preflight::kubeadm_at_work;
use super::restarts::Restarts;
use super::restored::{Restored, restored};
use super::{Context, Event, OperationError, RenewalReport};
use crate::files::{Operation, Recovery, contents, recover};
use crate::host::shifted;
use crate::journal::{Lock, Outcome};
use crate::plan::date;
use crate::report::RenewedCertificate;
use crate::restart::RestartError;

/// So long before a certificate that may still be in use ends, its pods are restarted beside a kubeadm at work, too.
const LAST_DAY: SignedDuration = SignedDuration::from_hours(24);

/// What became of one operation that had been cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Its id.
    pub operation: String,
    /// Whether the new files are in place.
    pub forward: bool,
    /// Components restarted now.
    pub restarted: Vec<String>,
    /// What it owed and could not be done, one sentence each: pods without a manifest, proofs that nobody could give.
    pub left: Vec<String>,
}

/// Finishes or undoes every operation in flight: manifests first, then files, then the restarts and proofs that are
/// still owed. What cannot be restarted or proved is rolled back, or tried again by the next recovery where there is
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
    finish_all(context, recover(&context.store(), lock)?, stop, events).await
}

/// The same of operations whose files and manifests are where they belong.
pub(super) async fn finish_all(
    context: &Context,
    recoveries: Vec<Recovery<'_>>,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<RecoveryReport>, OperationError> {
    let mut reports = Vec::new();
    let mut first = None;
    for recovery in recoveries {
        let id = recovery.id.clone();
        match finish_one(context, recovery, stop, events).await {
            Ok(report) => reports.push(report),
            Err(OperationError::Stopped) => return Err(OperationError::Stopped),
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => tracing::error!(operation_id = id.as_str(), "{error}"),
        }
    }
    first.map_or(Ok(reports), Err)
}

async fn finish_one(
    context: &Context,
    recovery: Recovery<'_>,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RecoveryReport, OperationError> {
    tell(&recovery, events);
    let (mut report, old_are_valid) = so_far(context, &recovery);
    let owed = Owed {
        can_go_back: !recovery.stopped && old_are_valid,
        stopped: recovery.stopped && recovery.rolled_forward,
        forward: recovery.rolled_forward,
        reason: recovery.reason,
        certificates: recovery.certificates,
        components: recovery
            .restarts_left
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        proofs: recovery.proofs_left,
    };
    let mut operation = recovery.operation;
    let (outcome, ending) = owed
        .settle(context, &mut operation, &mut report, stop, events)
        .await?;
    let receipt = receipt(&operation, outcome, &report);
    end(context, operation, &receipt, ending)?;
    Ok(RecoveryReport {
        operation: recovery.id,
        forward: recovery.rolled_forward,
        restarted: report
            .restarts
            .into_iter()
            .map(|one| one.component)
            .collect(),
        left: report.unproved,
    })
}

/// Says what recovery found and did with files and manifests.
pub(super) fn tell(recovery: &Recovery<'_>, events: &mut (dyn FnMut(Event) + Send)) {
    events(Event::Recovered {
        operation: recovery.id.clone(),
        forward: recovery.rolled_forward,
        returned: recovery.returned.len(),
    });
    for warning in warnings(recovery) {
        events(Event::Warning(warning));
    }
}

/// What its receipt will say already, and whether the old certificates are worth putting back.
pub(super) fn so_far(context: &Context, recovery: &Recovery<'_>) -> (RenewalReport, bool) {
    let replaced = replaced(context, &recovery.id, crate::host::now());
    let old_are_valid = replaced.as_ref().is_some_and(|all| all.old_are_valid);
    let renewed = replaced.filter(|_| recovery.rolled_forward);
    let report = RenewalReport {
        operation: Some(recovery.id.clone()),
        renewed: renewed.map_or_else(Vec::new, |all| all.certificates),
        warnings: warnings(recovery),
        ..RenewalReport::default()
    };
    (report, old_are_valid)
}

/// What is left to be done once files and manifests are where they belong.
struct Owed {
    /// Whether what was replaced is still of use.
    can_go_back: bool,
    /// Expired certificates had stopped the node.
    stopped: bool,
    /// Whether the new files are in place.
    forward: bool,
    /// Why they are not.
    reason: Option<String>,
    certificates: Vec<String>,
    components: Vec<String>,
    proofs: Vec<String>,
}

impl Owed {
    async fn settle(
        self,
        context: &Context,
        operation: &mut Operation<'_>,
        report: &mut RenewalReport,
        stop: &watch::Receiver<bool>,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(Outcome, Ending), OperationError> {
        let mut restarts = self.restarts(context, operation.id(), events)?;
        report.not_restarted.clone_from(&restarts.left_out);
        let ended = restart_and_prove(
            context,
            operation,
            &mut restarts,
            &self.proofs,
            stop,
            events,
            report,
        )
        .await;
        let error = match ended {
            Ok(()) if self.forward => return Ok((Outcome::Done, Ending::with(None))),
            Ok(()) => return Ok((Outcome::RolledBack(self.reason()), Ending::with(None))),
            Err(RestartError::Stopped) => return Err(OperationError::Stopped),
            Err(error) => error,
        };
        if !self.forward {
            let error = OperationError::RolledBack {
                reason: self.reason(),
                aftermath: Some(error.to_string()),
            };
            return Ok((
                Outcome::RolledBack(error.to_string()),
                Ending::with_restarts_left(error, operation),
            ));
        }
        if error.is_the_kubelets() {
            let error = OperationError::Failed(format!(
                "{error}; the restarts that are owed are tried again"
            ));
            return Ok((Outcome::Failed(error.to_string()), Ending::owing(error)));
        }
        let reason = error.to_string();
        if self.certificates.is_empty() {
            let error = OperationError::Failed(reason.clone());
            return Ok((Outcome::Failed(reason), Ending::with(Some(error))));
        }
        if !self.can_go_back {
            return Ok(still_owed(&error));
        }
        let undone = restarts
            .undo(
                context,
                operation,
                &self.certificates,
                &reason,
                stop,
                events,
            )
            .await?;
        report.warnings.extend(undone.warnings);
        Ok((undone.outcome, undone.ending))
    }

    /// The restarts, if this is a moment for them.
    fn restarts(
        &self,
        context: &Context,
        id: &str,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Restarts, OperationError> {
        let inventory = context.observe();
        let kubelet_changed = concern_kubelet(&self.certificates);
        let restarts = Restarts::left(
            context,
            &inventory,
            &self.components,
            self.stopped.then_some(kubelet_changed),
        );
        if restarts.are_none() {
            return Ok(restarts);
        }
        let findings = kubeadm_at_work(context, &inventory);
        if findings.is_empty() {
            return Ok(restarts);
        }
        if let Some((name, ends)) = about_to_end(context, id, crate::host::now()) {
            for finding in findings {
                events(Event::Warning(format!(
                    "{finding}; restarting all the same, because the {name} that was replaced and may be in use until then ends {}",
                    date(ends)
                )));
            }
            return Ok(restarts);
        }
        Err(OperationError::RestartsWait {
            operation: id.to_owned(),
            findings,
        })
    }

    fn reason(&self) -> String {
        let unknown = || "the operation was cut off".to_owned();
        self.reason.clone().unwrap_or_else(unknown)
    }
}

fn warnings(recovery: &Recovery<'_>) -> Vec<String> {
    let superseded = recovery.superseded.iter().map(|path| {
        format!(
            "{}: a newer manifest was put there while it was out; that one stays, the other is in the backup",
            path.display()
        )
    });
    let left_alone = recovery.left_alone.iter().map(|path| left_alone(path));
    superseded.chain(left_alone).collect()
}

pub(super) fn left_alone(path: &Path) -> String {
    format!(
        "{}: was changed by somebody else since and was left as it is; its earlier contents are in the backup",
        path.display()
    )
}

/// What an operation replaced.
struct Replaced {
    certificates: Vec<RenewedCertificate>,
    /// Whether the old ones are worth putting back: none has expired, and none is not valid yet.
    old_are_valid: bool,
}

/// The first of the replaced certificates to end, where its last day has come, or the last third of a shorter life.
fn about_to_end(context: &Context, id: &str, now: Timestamp) -> Option<(String, Timestamp)> {
    let kept = contents(&context.store(), id).ok()?;
    let (old, _) = restored(&context.root, &context.observe(), kept);
    old.iter()
        .filter_map(|one| {
            let (begins, ends) = one.validity()?;
            let last = (ends.duration_since(begins) / 3).min(LAST_DAY);
            (now >= shifted(ends, -last)).then(|| (one.name.clone(), ends))
        })
        .min_by_key(|(_, ends)| *ends)
}

/// The journal knows names only, the backup has the old certificates. `None` if that cannot be read.
fn replaced(context: &Context, id: &str, now: Timestamp) -> Option<Replaced> {
    let kept = match contents(&context.store(), id) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(%error, "what a recovered operation replaced is not known");
            return None;
        }
    };
    let (old, _) = restored(&context.root, &context.observe(), kept);
    let certificates = old
        .iter()
        .filter_map(Restored::line)
        .map(|back| RenewedCertificate {
            old_serial: back.new_serial,
            new_serial: back.old_serial,
            old_not_after: back.new_not_after,
            new_not_after: back.old_not_after,
            old: back.new,
            new: back.old,
            name: back.name,
            path: back.path,
        });
    Some(Replaced {
        certificates: certificates.collect(),
        old_are_valid: old.iter().all(|one| one.is_valid_at(now)),
    })
}
