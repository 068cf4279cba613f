//! The machine that this process runs on, whatever root it works on: its clock, its journal, and what started this process.

mod actor;
mod clock;
mod journald;

pub use actor::Actor;
pub use clock::now;
pub use journald::{Entry, Journald, JournaldError};
