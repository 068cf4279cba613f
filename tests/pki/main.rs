//! Certificates as values: what a renewal keeps of the old one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout
)]

mod certificates;
mod extended;
mod leaves;
mod renewal;
