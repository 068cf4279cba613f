//! What must hold for every file that kubecertd reads, whatever is in it. One module per kind of file; each `check` takes
//! the bytes of one run and panics where something does not hold.
//!
//! `fuzz_targets/` has a program for each. `tests/fuzz-smoke` runs them all for a bounded time; for longer:
//! `cargo fuzz run --sanitizer none TARGET -- -dict=fuzz/dictionaries/…`.

pub mod answers;
pub mod backup_index;
pub mod certificates;
pub mod configuration;
pub mod history;
pub mod journal;
pub mod keys;
pub mod kubeconfig;
pub mod kubelet;
pub mod manifest;
pub mod node;
pub mod status;

mod place;
mod samples;
