//! What is found on a node, and what `check-expiration` makes of it.

mod bad_input;
mod bad_manifests;
mod certificate_kinds;
mod observed;
mod report;
mod variants;
