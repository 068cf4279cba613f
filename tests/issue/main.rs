//! New certificates, signed with the keys on disk.

mod client_trust;
mod on_disk;
