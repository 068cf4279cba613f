//! The turn: the right to disturb the cluster, which one node has at a time.

mod lease;
mod message;
mod protocol;
mod record;
mod seat;
mod take;

pub use lease::{LEASE, NAMESPACE};
pub use message::{Draft, Effect, Input, Mark, Timing, Uptime, Waiting};
pub use protocol::Turn;
pub use record::{Halt, Identity, Record, Token};
pub use seat::Seat;
pub use take::{AsyncWell, Held, Lost, NotTaken, Sight, clear, look, take};
