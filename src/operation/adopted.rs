//! Operations that another one adopts: it does what they left, and ends them.

use super::OperationError;
use super::ending::{Ending, end};
use super::in_flight::so_far;
use super::run::Run;
use crate::files::Recovery;
use crate::journal::Outcome;

/// Operations whose restarts and proofs the next one has in its plan, if there is a next one.
#[derive(Default)]
pub(super) struct Adopted<'lock>(pub(super) Vec<Recovery<'lock>>);

impl Adopted<'_> {
    pub(super) fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|one| one.id.as_str()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends them; `successor` has their restarts and proofs in its journal by now.
    ///
    /// # Errors
    /// [`OperationError`].
    pub(super) fn end(self, run: &mut Run<'_>, successor: &str) -> Result<(), OperationError> {
        for recovery in self.0 {
            let report = so_far(run, &recovery);
            let left = format!("its restarts and proofs are left to operation {successor}");
            let outcome = match recovery.reason {
                Some(reason) => Outcome::RolledBack(format!("{}; {left}", reason.text)),
                None => Outcome::Failed(left),
            };
            end(run, recovery.operation, Ending::left(outcome), &report)?;
        }
        Ok(())
    }
}
