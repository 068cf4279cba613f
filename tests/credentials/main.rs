//! Credentials made from kubeadm's configuration, as processes: requests, signing, putting in place, further users.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod generate;
mod hostile;
mod init;
mod install;
mod page;
mod place;
mod serials;
mod sign;
mod user;
