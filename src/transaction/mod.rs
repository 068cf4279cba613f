//! Putting new files in place, all or none: stage beside the target, check, back up by copy, journal, fsync, rename.
//!
//! Everything that changes a file of the cluster goes through here: certificates, keys, kubeconfigs, and manifests on
//! their way out of the manifest directory and back. What a crash leaves behind is decided from the journal alone.

mod attributes;
mod backup;
mod contents;
mod durable;
mod error;
mod inspect;
mod journal;
mod link;
mod lock;
mod manifest;
mod operation;
mod parking;
mod recover;
mod retention;
mod secrets;
mod stage;
mod state;
mod step;
mod store;
mod write;

pub use attributes::{Attributes, is_immutable};
pub use backup::{BackedUpContents, BackedUpFile};
pub use contents::{Kept, contents};
pub(crate) use durable::digest;
pub use error::TransactionError;
pub use inspect::{JournalReading, read_journal};
pub use lock::Lock;
pub use operation::Operation;
pub use recover::{Recovery, recover, return_parked};
pub use retention::{Generation, generations, remove_old_keys};
pub use stage::{check_targets, make_directory};
pub use step::{Head, Outcome, Record, Trigger};
pub use store::Store;
pub use write::write_atomically;
