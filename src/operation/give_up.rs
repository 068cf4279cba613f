//! Giving up what operations in flight still owe.

use super::carry_out::receipt;
use super::ending::{Ending, end};
use super::recover::{so_far, tell};
use super::{Context, Event, OperationError, RenewalReport};
use crate::files::{Recovery, recover};
use crate::journal::{Lock, Outcome};

/// What nobody does any more about one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its id.
    pub operation: String,
    /// Whether the new files are in place.
    pub forward: bool,
    /// Components that were not restarted and may run with other files than those on the disk.
    pub not_restarted: Vec<String>,
    /// Certificates that were not proved to be in use.
    pub not_proved: Vec<String>,
}

/// Puts files and manifests of every operation in flight where they belong, and ends it there: no pod is restarted, and
/// no component asked. For a node on which that cannot work until somebody has done something else.
///
/// # Errors
/// [`OperationError`], where files cannot be put where they belong.
pub fn give_up(
    context: &Context,
    lock: &Lock,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<GivenUp>, OperationError> {
    let mut all = Vec::new();
    for recovery in recover(&context.store(), lock)? {
        tell(&recovery, events);
        all.push(give_up_one(context, recovery)?);
    }
    Ok(all)
}

fn give_up_one(context: &Context, recovery: Recovery<'_>) -> Result<GivenUp, OperationError> {
    let (so_far, _) = so_far(context, &recovery);
    let components = recovery.restarts_left.into_iter().map(|(name, _)| name);
    let given_up = GivenUp {
        operation: recovery.id,
        forward: recovery.rolled_forward,
        not_restarted: components.collect(),
        not_proved: recovery.proofs_left,
    };
    let report = RenewalReport {
        not_restarted: given_up.not_restarted.clone(),
        unproved: given_up
            .not_proved
            .iter()
            .map(|name| format!("{name}: not proved to be in use"))
            .collect(),
        ..so_far
    };
    let outcome = match recovery.reason {
        Some(reason) => Outcome::RolledBack(format!("{reason}; what it owed was given up by hand")),
        None => Outcome::Failed("what it owed was given up by hand".to_owned()),
    };
    let receipt = receipt(&recovery.operation, outcome, &report);
    end(context, recovery.operation, &receipt, Ending::given_up())?;
    Ok(given_up)
}
