//! The machine itself: its processes.

pub mod process;
