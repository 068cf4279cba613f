//! What the Lease says, as far as the turn goes by it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// Another node's word counts for no longer than this: whoever may write the Lease could say "a year". Nor does this node write more.
pub(super) const LONGEST_LEASE: Duration = Duration::from_secs(3 * 3600);
/// Nor for less: a holder that renews it needs some time.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// Who has the turn: a node, in one of its lives. A node that was rebooted knows by it that the turn is its own from before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The node's name.
    pub node: String,
    /// `/proc/sys/kernel/random/boot_id`; empty where a hand wrote the holder.
    pub boot: String,
}

impl Identity {
    /// As in `holderIdentity`: `cp1/6f1d…`. Everything before the last slash is the node.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let (node, boot) = text.rsplit_once('/').unwrap_or((text, ""));
        Some(Self {
            node: node.to_owned(),
            boot: boot.to_owned(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.boot.is_empty() {
            f.write_str(&self.node)
        } else {
            write!(f, "{}/{}", self.node, self.boot)
        }
    }
}

/// What tells one grant of the turn from every other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Token {
    /// The Lease's uid: one that was deleted and made again has another.
    pub lease: String,
    /// Its `leaseTransitions`.
    pub transitions: i32,
}

/// Why no node acts any more: one has failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Halt {
    /// The node that failed.
    pub node: String,
    /// Its operation.
    pub operation: String,
    /// The code of what it failed for.
    pub code: String,
    /// The same in words.
    pub reason: String,
    /// When.
    pub since: Timestamp,
}

/// A Lease that was read or written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.resourceVersion`: a write counts only where nothing was written since.
    pub version: String,
    /// `spec.holderIdentity`
    pub holder: Option<Identity>,
    /// `spec.leaseTransitions`
    pub transitions: i32,
    /// `spec.leaseDurationSeconds`, as it says.
    pub duration: Duration,
    /// `spec.renewTime`, only ever compared with itself: remote clocks are not trusted.
    pub renewed: String,
    /// The annotation of a node that failed.
    pub halt: Option<Halt>,
}

impl Record {
    pub(super) fn token(&self) -> Token {
        Token {
            lease: self.uid.clone(),
            transitions: self.transitions,
        }
    }

    /// For how long it counts without a change.
    pub(super) fn life(&self) -> Duration {
        self.duration.clamp(SHORTEST_LEASE, LONGEST_LEASE)
    }

    /// Whether its holder wrote nothing between the two. What others write beside that, annotations say, renews nothing.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.holder == other.holder
            && self.transitions == other.transitions
            && self.duration == other.duration
            && self.renewed == other.renewed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_holder_is_a_node_and_its_boot() {
        let identity = Identity::parse("cp1/6f1d").unwrap();
        assert_eq!(
            (identity.node.as_str(), identity.boot.as_str()),
            ("cp1", "6f1d")
        );
        assert_eq!(identity.to_string(), "cp1/6f1d");
        let by_hand = Identity::parse("an admin").unwrap();
        assert_eq!(
            (by_hand.node.as_str(), by_hand.boot.as_str()),
            ("an admin", "")
        );
        assert_eq!(by_hand.to_string(), "an admin");
        assert_eq!(Identity::parse(""), None);
    }
}
