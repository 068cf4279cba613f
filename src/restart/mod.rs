//! Restarting static pods: out, gone, back, running, healthy, and what is tried for one that does not come back.

mod containers;
mod drain;
mod error;
mod in_place;
mod member;
mod parked;
mod progress;
mod remedy;
mod restarter;
mod returning;
mod sequence;
mod watch;

pub use error::RestartError;
pub use progress::{Progress, RestartReport};
pub use remedy::Remedy;
pub use restarter::Restarter;
