//! Giving up what operations in flight left.

use tokio::sync::watch;

use super::ending::{Ending, end};
use super::in_flight::{announce, so_far};
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use super::users::user_names;
use super::{Context, Event, OperationError};
use crate::files::{Recovery, recover};
use crate::journal::{Lock, Outcome};
use crate::node::{CertificateId, components};

/// What is not done any more of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its id.
    pub operation: String,
    /// Whether the new files are in place.
    pub forward: bool,
    /// Components that were not restarted and may run with other files than those on the disk.
    pub not_restarted: Vec<String>,
    /// Units and commands that were not told of the files in place.
    pub not_told: Vec<String>,
    /// Certificates that were not proved to be in use.
    pub not_proved: Vec<CertificateId>,
}

/// Puts files and manifests of every operation in flight where they belong, and ends it there: no pod is restarted, and
/// no component asked. For a node on which that cannot work until an administrator has done something else.
///
/// # Errors
/// [`OperationError`], where files cannot be put where they belong.
pub fn give_up(
    context: &Context,
    lock: &Lock,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<GivenUp>, OperationError> {
    let (_never, stop) = watch::channel(false);
    let mut run = Run::new(context, lock, &stop, events);
    let mut all = Vec::new();
    for recovery in recover(&context.store(), lock)? {
        announce(&mut run, &recovery);
        all.push(give_up_one(&mut run, recovery)?);
    }
    Ok(all)
}

fn give_up_one(run: &mut Run<'_>, recovery: Recovery<'_>) -> Result<GivenUp, OperationError> {
    let so_far = so_far(run, &recovery);
    let given_up = GivenUp {
        operation: recovery.id,
        forward: recovery.rolled_forward,
        not_restarted: components(&recovery.restarts_left),
        not_told: user_names(&run.node(), &recovery.operation.users_left()),
        not_proved: recovery.proofs_left,
    };
    let report = RenewalReport {
        not_restarted: given_up.not_restarted.clone(),
        not_told: given_up.not_told.clone(),
        unproved: given_up
            .not_proved
            .iter()
            .map(|id| Remark::NotProved {
                certificate: id.clone(),
                reason: "not proved to be in use".to_owned(),
            })
            .collect(),
        ..so_far
    };
    let why = "its pending restarts and proofs were given up by an administrator";
    let outcome = match recovery.reason {
        Some(reason) => Outcome::RolledBack(format!("{}; {why}", reason.text)),
        None => Outcome::Failed(why.to_owned()),
    };
    let ending = Ending::left(outcome).with_news();
    end(run, recovery.operation, ending, &report)?;
    Ok(given_up)
}
