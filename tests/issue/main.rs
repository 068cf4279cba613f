//! New certificates, signed with the keys on disk.

mod away;
mod certificates_api;
mod client_trust;
mod commands;
mod elsewhere;
mod on_disk;
mod signer;
