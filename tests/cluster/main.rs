//! The other nodes, as far as they bear on what is done here: etcd's members.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod etcd_gate;
mod real_etcd;
