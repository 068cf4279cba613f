//! Finishing what was cut off.

use jiff::Timestamp;
use tokio::sync::watch;

use super::expired::provable_names;
use super::renew::{finish, prove_in_use};
use super::restart::{Restarts, rungs};
use super::{Context, Event, OperationError};
use crate::report::{History, Receipt};
use crate::restart::RestartError;
use crate::transaction::{Lock, Outcome, recover};

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
        let mut tried = Vec::new();
        let stopped = recovery.stopped && recovery.rolled_forward;
        if context.is_live() && (stopped || !components.is_empty()) {
            let mut restarts = if stopped {
                Restarts::of_stopped(context, &components, true)
            } else {
                Restarts::of(&context.observe(), &components)
            };
            let restarted = restarts.run(context, &mut operation, stop, events).await;
            let proved = match restarted {
                Ok(reports) if recovery.rolled_forward => {
                    tried = rungs(&reports);
                    prove_in_use(
                        context,
                        &mut operation,
                        &provable_names(&recovery.certificates, false),
                        stop,
                        events,
                    )
                    .await
                    .map(|_| ())
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            match proved {
                Ok(()) => {}
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
            certificates: Vec::new(),
            restarts: Vec::new(),
            rungs: tried,
            proofs: Vec::new(),
            warnings,
        };
        History::new(&context.store()).append(&receipt)?;
        finish(context, operation, outcome)?;
        reports.push(RecoveryReport {
            operation: recovery.id,
            forward: recovery.rolled_forward,
            restarted: components,
        });
    }
    Ok(reports)
}
