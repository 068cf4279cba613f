//! Operations from issuing to the receipt, on a node that runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

mod described;
mod described_apart;
mod hooks;
mod kubelet;
mod kubelet_accept;
mod outlook;
mod owed;
mod pending;
mod recovery;
mod restart_due;
mod served;
mod whole;
