//! Files and manifests as one transaction changes them.

mod admin_copies;
mod backups;
mod bad_input;
mod links;
mod manifests;
mod model;
mod mounted;
mod replaced;
