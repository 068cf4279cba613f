//! The turn: the right to disturb the cluster, which one node has at a time.

mod lease;
mod message;
mod node_report;
mod protocol;
mod publish;
mod record;
mod seat;
mod take;

pub use lease::{APPROVER_LEASE, LEASE, NAMESPACE};
pub use message::{Draft, Effect, Input, Mark, Timing, Uptime, Waiting};
pub use node_report::{Fleet, NodeReport, is_name};
pub use protocol::Turn;
pub use publish::{make_lease, publish};
pub use record::{Halt, Identity, Record, Token};
pub use seat::Seat;
pub use take::{AsyncWell, Held, Lost, NotTaken, Sight, clear, look, take};
