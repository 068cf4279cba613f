//! What the tests of kubecertd have in common: nodes to build, components to ask, faults to inject, secrets to search for.
//!
//! It is for tests alone, so it panics where something is not as it has to be.
#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

pub mod control_plane;
pub mod cri;
pub mod cut_off;
pub mod daemon;
pub mod etcd;
pub mod files;
pub mod injection;
pub mod inventory;
pub mod kubeadm;
pub mod kubelet;
pub mod live;
pub mod loopback;
pub mod machine;
mod node;
pub mod others;
pub mod pair;
pub mod peer;
pub mod secret_search;
mod skip;
pub mod strace_lines;
pub mod tree;

pub use node::{ELEVEN, Node, PKI, contents, first_certificate, program, said, text};
pub use skip::{not_on_this_machine, skipped};
