//! Finishing what was cut off.

use jiff::Timestamp;
use tokio::sync::watch;

use super::carry_out::{finish, prove_in_use, sentence};
use super::expired::provable_names;
use super::restart::{Restarts, healthy, rungs};
use super::restored::{Restored, restored};
use super::{Context, Event, OperationError};
use crate::report::{History, Receipt, RenewedCertificate};
use crate::restart::RestartError;
use crate::transaction::{Lock, Outcome, contents, recover};

/// What became of one operation that had been cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Its id.
    pub operation: String,
    /// Whether the new files are in place.
    pub forward: bool,
    /// Components restarted now.
    pub restarted: Vec<String>,
}

/// Finishes or undoes every operation in flight: manifests first, then files, then the restarts and proofs that are
/// still owed.
///
/// # Errors
/// [`OperationError`].
pub async fn finish_recovery(
    context: &Context,
    lock: &Lock,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<RecoveryReport>, OperationError> {
    let mut reports = Vec::new();
    for recovery in recover(&context.store(), lock)? {
        events(Event::Recovered {
            operation: recovery.id.clone(),
            forward: recovery.rolled_forward,
            returned: recovery.returned.len(),
        });
        let mut warnings = Vec::new();
        for path in &recovery.superseded {
            warnings.push(format!(
                "{}: a newer manifest was put there while it was out; that one stays, the other is in the backup",
                path.display()
            ));
        }
        for path in &recovery.left_alone {
            warnings.push(format!(
                "{}: was changed by somebody else since and was left as it is; its earlier contents are in the backup",
                path.display()
            ));
        }
        for warning in &warnings {
            events(Event::Warning(warning.clone()));
        }
        let mut operation = recovery.operation;
        let components: Vec<String> = recovery
            .restarts_left
            .iter()
            .map(|(component, _)| component.clone())
            .collect();
        let mut outcome = if recovery.rolled_forward {
            Outcome::Done
        } else {
            Outcome::RolledBack("the operation was cut off".to_owned())
        };
        let mut restarted = Vec::new();
        let mut proofs = Vec::new();
        let stopped = recovery.stopped && recovery.rolled_forward;
        if context.is_live() && (stopped || !components.is_empty()) {
            let mut restarts = if stopped {
                Restarts::of_stopped(context, &components, true)
            } else {
                Restarts::of(&context.observe(), &components)
            };
            let ended = restarts.run(context, &mut operation, stop, events).await;
            let proved = match ended {
                Ok(reports) => {
                    restarted = reports;
                    let names = provable_names(&recovery.certificates, false);
                    prove_in_use(context, &mut operation, &names, stop, events).await
                }
                Err(error) => Err(error),
            };
            match proved {
                Ok((proved, unproved)) => {
                    proofs.extend(proved.iter().map(sentence));
                    warnings.extend(unproved);
                }
                Err(RestartError::Stopped) => return Err(OperationError::Stopped),
                Err(error) => {
                    events(Event::Warning(format!(
                        "operation {}: {error}",
                        recovery.id
                    )));
                    outcome = Outcome::Failed(error.to_string());
                }
            }
        }
        let receipt = Receipt {
            id: recovery.id.clone(),
            started: operation.started(),
            finished: Timestamp::now(),
            trigger: operation.trigger().clone(),
            outcome: outcome.clone(),
            certificates: replaced(context, &recovery.id, recovery.rolled_forward),
            restarts: healthy(&restarted),
            rungs: rungs(&restarted),
            proofs,
            warnings,
        };
        let history = History::new(&context.store());
        // Killed between its receipt and the end of its journal, it has one already.
        if !history.has(&recovery.id)? {
            history.append(&receipt)?;
        }
        finish(context, operation, outcome)?;
        reports.push(RecoveryReport {
            operation: recovery.id,
            forward: recovery.rolled_forward,
            restarted: components,
        });
    }
    Ok(reports)
}

/// What an operation that was rolled forward replaced: the journal knows names only, the backup has the old ones.
fn replaced(context: &Context, id: &str, forward: bool) -> Vec<RenewedCertificate> {
    if !forward {
        return Vec::new();
    }
    match contents(&context.store(), id) {
        Ok(kept) => restored(&context.root, &context.observe(), kept)
            .0
            .iter()
            .filter_map(Restored::line)
            .map(|back| RenewedCertificate {
                old_serial: back.new_serial,
                new_serial: back.old_serial,
                old_not_after: back.new_not_after,
                new_not_after: back.old_not_after,
                ..back
            })
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "the receipt of a recovered operation says nothing of certificates");
            Vec::new()
        }
    }
}
