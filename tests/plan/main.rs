//! What is decided, from values alone.

mod authorities;
mod decisions;
mod elsewhere;
mod expired;
mod holds;
mod properties;
mod restarts;
mod rotation;
mod windows;
