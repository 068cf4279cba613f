//! This machine at its lowest: files and directories by handles, its processes, its clock, its journal, and what started this
//! process.
//!
//! Every file of the node is reached through here. A path that comes in is one without links ([`crate::host::Root::resolve`]
//! gives it); the way to it is gone by handles, and a symbolic link that turns up on the way is refused. So what is opened,
//! made or renamed lies where it was decided to be, below the root, whatever others do with links meanwhile.

mod actor;
mod all_cores;
mod attributes;
mod clock;
mod digest;
mod directory;
pub(crate) mod durable;
mod error;
mod found;
mod in_time;
mod journald;
mod lent;
pub(crate) mod link;
mod listener;
mod lock;
mod machine_id;
mod owner;
mod place;
mod places;
mod printable;
pub mod process;
mod program;
mod read;
mod root;
mod sight;
mod straight;
mod synchronised;
mod unfit;
mod wait;
mod way;
pub(crate) mod write;

pub use actor::Actor;
pub(crate) use all_cores::on_all_cores;
pub(crate) use attributes::ACCESS_LIST;
pub use attributes::{Attributes, is_immutable};
pub use clock::{now, shifted, uptime};
pub(crate) use digest::{copy_hashed, digest, hexadecimal};
pub(crate) use directory::entries;
pub use directory::{is_directory, make_directories, names, some_names};
pub use error::FileError;
pub use found::Found;
pub(crate) use in_time::{Awaited, Whose, in_time};
pub use journald::{Entry, Journald, JournaldError};
pub use lent::{LeftBehind, LentFault, LentFile};
pub use listener::listeners;
pub(crate) use lock::lock_in_time;
pub use machine_id::application_id;
pub use owner::is_trusted_owner;
pub use place::Place;
pub use places::Places;
pub use printable::{is_printable, printable, printable_lines, serialize_path, serialize_paths};
pub(crate) use process::MOST_PROCESSES;
pub use program::{Ended, Manner, OnLine, Program, Stream};
pub(crate) use read::text;
pub use read::{FILE_LIMIT, check_regular, open_regular, read_at_most, read_bounded, read_within};
pub use root::Root;
pub(crate) use root::read_on_machine;
pub use sight::{Seen, Sight};
pub use straight::LinkOnTheWay;
pub use synchronised::{by_kernel_or_mark, by_timedated};
pub use unfit::unfit;
pub(crate) use wait::{Pace, Wait, stopped};
pub use way::{Step, Way};
pub use write::write_atomically;
pub(crate) use write::{discard, remove_temporaries, temporary_beside};
