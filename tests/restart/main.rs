//! Restarts and proofs, against listeners and a container runtime that are real ones seen from outside.

mod drain;
mod impostors;
mod in_memory;
mod intervals;
mod ladder;
mod picked_up;
mod prove;
mod runtime;
mod sequence;
mod tls;
