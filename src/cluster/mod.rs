//! The cluster around this node: whose turn it is to be disturbed, and what is known of the other control planes, and a
//! lock that reboots share; which machines others reboot or drain; which kubelets may have their serving certificates.

mod approver;
mod cluster_api;
pub mod etcd;
mod fleet_lock;
mod known;
mod maintenance;
mod node_event;
mod own_configuration;
mod permission;
mod turn;

pub use approver::{
    AUTO_APPROVED, ApiServers, Backlog, Case, Check as ApproverCheck, CheckResult, ClusterFacts,
    Judgement, KubeletRequest, Lookup, Lookups, NodeSeen, NodeTable, Reason as ApproverReason,
    RequestDesk, RequestState, RequestText, SERVING, Standing, Verdict, is_request_name, judge,
    look_up, names_to_look_up,
};
pub use cluster_api::{MachineTold, tell_machine};
pub use fleet_lock::{FleetLock, FleetLockError, slot_id};
pub use known::{Known, KnownFleet};
pub use maintenance::{Maintenance, MaintenanceSeen};
pub use node_event::{EventReason, NodeEvent, Subject};
pub use own_configuration::{OwnConfiguration, read_own_configuration};
pub use permission::{Peers, Permission, SlotSeen, permission};
pub use turn::{
    APPROVER_LEASE, AsyncWell, Draft, Effect, Fleet, Halt, Held, Identity, Input, LEASE, Lost,
    Mark, NAMESPACE, NodeReport, NotTaken, Record, Seat, Sight, Timing, Token, Turn, Uptime,
    Waiting, clear, is_name, look, make_lease, publish, take,
};
