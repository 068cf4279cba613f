//! An administrator's own programs, run before and after what an operation does: `/etc/kubecertd/hooks.d/MOMENT/NAME`.
//!
//! A hook has all the rights of this program. So it is run only where root alone can have put it there: every directory from
//! the root of the node down, and the file, is root's, no link, and writable by no other. What lies there and is not run is
//! never passed over: whoever put it there relies on it.

mod hook;
mod moment;
mod survey;

pub use hook::Hook;
pub(crate) use hook::{PATH, succeed};
pub use moment::{Moment, hooks_directory};
pub use survey::{Hooks, UnfitHook};
