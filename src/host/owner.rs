//! Whose files are trusted.

/// Whether an owner is one that this program trusts: root, or itself where an ordinary user runs it on a copy of a node.
#[must_use]
pub fn is_trusted_owner(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}
