//! Putting new files in place, all or none: stage beside the target, check, back up by copy, journal, fsync, rename.

mod admin_copies;
mod backup;
mod backup_index;
mod contents;
mod install;
mod manifest;
mod parking;
mod recover;
mod rename;
mod retention;
mod secrets;
mod stage;
mod staged_file;
mod survey;
mod transaction;

pub use admin_copies::{
    CopyFault, CopyFile, CopyPlace, CopyState, FoundCopies, Holder, Original, SeenCopy, copy_places,
};
pub use backup_index::{BackedUpContents, BackedUpFile};
pub use contents::{Kept, contents};
pub use recover::{Recovery, recover, return_parked};
pub use retention::{Generation, generations, remove_old_keys};
pub use survey::{Targets, make_directory};
pub use transaction::Operation;
