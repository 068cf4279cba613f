//! Operations of other processes: a command that is killed leaves a manifest out and an operation to be finished.

use std::path::Path;
use std::time::Duration;

use super::aside::aside;
use super::unkept::Unkept;
use crate::files::return_parked;
use crate::journal::{Lock, Store, TransactionError};
use crate::node::Inventory;
use crate::operation::Context;

/// How often to look whether another process is still at work.
const PAUSE: Duration = Duration::from_secs(1);
/// How often to try again to bring manifests back.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// What is known of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Others {
    /// Operations in flight that the daemon itself has tried to finish, and may not be able to.
    tried: Vec<String>,
    at_work: bool,
    /// Whether one was left behind that the daemon has never tried to finish, and could now.
    is_new: bool,
    /// Whether manifests were looked for that no journal knows of: after a lost journal they are out for good else.
    looked_for_strays: bool,
    /// Why manifests could not be brought back.
    pub(super) problem: Option<String>,
    /// What programs that sign answered and could not be kept, perhaps for another operation.
    pub(super) unkept: Unkept,
}

impl Others {
    /// Looks at the operations in flight. Manifests that a dead process left out are brought back at once: that must not
    /// wait until the next attempt is due, nor for a state directory that can be used.
    pub(super) fn look(&mut self, context: &Context, inventory: &Inventory, in_flight: &[String]) {
        self.tried.retain(|id| in_flight.contains(id));
        self.is_new = false;
        let was_at_work = std::mem::take(&mut self.at_work);
        if in_flight.is_empty() && self.looked_for_strays && self.problem.is_none() {
            return;
        }
        let store = context.store();
        let lock = match Lock::take_at_once(&store) {
            Ok(lock) => Some(lock),
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
                return;
            }
            // Whoever tries to finish the operation meets it as well and says so.
            Err(error) => {
                tracing::debug!(%error, "the lock cannot be taken");
                None
            }
        };
        self.looked_for_strays = true;
        self.bring_back(&store, lock.as_ref(), &inventory.directories.manifests);
        self.is_new = in_flight.iter().any(|id| !self.tried.contains(id));
    }

    fn bring_back(&mut self, store: &Store, lock: Option<&Lock>, directory: &Path) {
        let returned = return_parked(store, lock, &[directory.to_path_buf()]);
        let problem = returned.as_ref().err().map(ToString::to_string);
        if let Some(reason) = &problem
            && problem != self.problem
        {
            tracing::error!("{reason}");
        }
        self.problem = problem;
        for manifest in returned.unwrap_or_default() {
            tracing::warn!(
                path = %manifest.display(),
                "{}: was left out by a kubecertd that is gone, and is back",
                manifest.display()
            );
        }
    }

    /// Whether one of them holds the lock, as far as is known.
    pub(super) fn at_work(&self) -> bool {
        self.at_work
    }

    /// Whether an operation was left behind that the daemon has never tried to finish, and could now.
    pub(super) fn left_something_new(&self) -> bool {
        self.is_new
    }

    /// How long to wait before looking whether the other process is done, or whether manifests can be brought back now;
    /// `None` where there is none.
    pub(super) fn pause(&self) -> Option<Duration> {
        if self.at_work {
            Some(PAUSE)
        } else {
            self.problem.as_ref().map(|_| LONG_PAUSE)
        }
    }

    /// The daemon has tried to finish these.
    pub(super) fn tried(&mut self, in_flight: Vec<String>) {
        self.tried = in_flight;
    }
}

#[cfg(test)]
impl Others {
    /// What a look that found this would have kept.
    pub(super) fn found(at_work: bool, is_new: bool, problem: Option<&str>) -> Self {
        Self {
            at_work,
            is_new,
            problem: problem.map(str::to_owned),
            ..Self::default()
        }
    }
}

/// Waits, looking at each `pause`, until no other process is at work.
pub(super) async fn until_nobody_is_at_work(context: &Context, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let store = context.store();
        if !aside("look at others", || async move { Lock::is_taken(&store) }).await {
            return;
        }
    }
}
