//! What is decided, from values alone.

mod authorities;
mod decisions;
mod expired;
mod holds;
mod properties;
mod restarts;
mod windows;
