//! New certificates, signed with the keys on disk.

mod away;
mod client_trust;
mod commands;
mod elsewhere;
mod on_disk;
