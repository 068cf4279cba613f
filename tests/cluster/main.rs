//! The other nodes, as far as they bear on what is done here: etcd's members, and the lock that reboots share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod approver;
mod cluster_api;
mod etcd_gate;
mod fleet;
mod fleet_lock;
mod lease_api;
mod maintenance;
mod node_events;
mod own_configuration;
mod real_etcd;
mod request_api;
mod requests;
mod serving_bootstrap;
mod turn;
