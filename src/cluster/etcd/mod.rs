//! The etcd gate: whether this node's etcd member may be disturbed now, read and judged apart.
//!
//! [`read`] asks every member; [`judge`] decides; [`move_leadership`] gives the leadership away first, so that no client waits for
//! an election; [`caught_up`] says whether the member is back afterwards.
//!
//! # What the gate does not prove
//!
//! - It is a look, not a lock. Between the look and the step another member may go away, by chance or because another process
//!   restarts it: the turn keeps other nodes from that, nothing keeps the kubelet, an upgrade or a power supply from it. Read again just
//!   before each step, and hold the turn.
//! - Each member is asked from here. That the others reach each other is concluded from one leader, one term and applied indexes that
//!   are close together, not seen: two members that have just lost each other still name the same leader until an election.
//! - A member is believed what it says of itself: one that lies about its index can make this node wait, or pass as healthy. It is
//!   not counted for another: each has to answer with its own id, under a certificate of etcd's CA for its own host.
//! - Whether the data of the members are the same is not compared (`HashKV`); a corruption that etcd has found is an alarm.
//! - Releases before 3.6 do not say their quota: that of this node's manifest then stands for all.
//! - Releases before 3.5 do not ask a quorum for the list of members: this member's own memory of it is believed.

mod caught_up;
mod judge;
mod leadership;
mod objection;
mod read;
mod readings;
mod words;

pub use caught_up::caught_up;
pub use judge::{Disturbed, Verdict, judge};
pub use leadership::{Leadership, LeadershipError, move_leadership};
pub use objection::{AlarmKind, Objection, Who};
pub use read::{ReadError, read};
pub use readings::{Alarm, MemberReading, MemberStatus, Readings};
