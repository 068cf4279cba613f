//! The journal of the operation in flight: its steps, what they amount to, where it is kept, and the lock.

mod change;
mod error;
pub(crate) mod file;
mod id;
mod inspect;
mod lock;
mod on_hold;
mod state;
mod step;
mod store;
mod tellings;

pub use change::{Described, RenewedCertificate};
pub use error::TransactionError;
pub(crate) use file::{Journal, Reading};
pub(crate) use id::is_id;
pub use inspect::{JournalReading, read_journal};
pub use lock::Lock;
pub use on_hold::OnHold;
pub(crate) use state::{Files, OutManifest, State, Way, manifests_out, replay};
pub(crate) use step::{Beginning, ParkedManifest, StagedFile, Step};
pub use step::{Head, OperationKind, Outcome, Record, Trigger, TurnTaken, UndoReason};
pub use store::Store;
