//! Operations of other processes: a command that is killed leaves a manifest out and an operation to be finished.

use std::time::Duration;

use crate::node::Inventory;
use crate::operation::Context;
use crate::transaction::{Lock, TransactionError, return_parked};

/// How often to look whether another process is still at work.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Operations in flight that the daemon itself has tried to finish, and may not be able to.
    tried: Vec<String>,
    at_work: bool,
}

impl Others {
    /// Looks at the operations in flight. Manifests that a dead process left out are brought back at once: that must not
    /// wait until the next attempt is due. Gives whether one of these operations was never tried to be finished, and
    /// could be now.
    pub(super) fn look(
        &mut self,
        context: &Context,
        inventory: &Inventory,
        in_flight: &[String],
    ) -> bool {
        self.tried.retain(|id| in_flight.contains(id));
        let was_at_work = std::mem::take(&mut self.at_work);
        if in_flight.is_empty() {
            return false;
        }
        let untried = in_flight.iter().any(|id| !self.tried.contains(id));
        let store = context.store();
        let lock = match Lock::take(&store) {
            Ok(lock) => lock,
            Err(TransactionError::Busy { holder }) => {
                if !was_at_work {
                    tracing::info!(
                        "another kubecertd is at work{}",
                        holder
                            .map(|pid| format!(" (process {pid})"))
                            .unwrap_or_default()
                    );
                }
                self.at_work = true;
                return false;
            }
            // Whoever tries to finish the operation meets it as well and says so.
            Err(error) => {
                tracing::debug!(%error, "the lock cannot be taken");
                return untried;
            }
        };
        match return_parked(
            &store,
            Some(&lock),
            std::slice::from_ref(&inventory.directories.manifests),
        ) {
            Ok(returned) => {
                for manifest in returned {
                    tracing::warn!(
                        path = %manifest.display(),
                        "{}: was left out by a kubecertd that is gone, and is back",
                        manifest.display()
                    );
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
        untried
    }

    /// Whether one of them holds the lock, as far as is known.
    pub(super) fn at_work(&self) -> bool {
        self.at_work
    }

    /// How long to wait before looking whether the other process is done; `None` where there is none.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.at_work.then_some(PAUSE)
    }

    /// Whether the process that was at work still is.
    pub(super) fn are_still_at_work(&self, context: &Context) -> bool {
        matches!(
            Lock::take(&context.store()),
            Err(TransactionError::Busy { .. })
        )
    }

    /// The daemon has tried to finish these.
    pub(super) fn tried(&mut self, in_flight: Vec<String>) {
        self.tried = in_flight;
    }
}
