//! What goes in and out of the protocol.

use std::time::Duration;

use super::record::{Halt, Identity, LONGEST_LEASE, Record};

/// Shorter steps are not told from a slow answer.
const SHORTEST: Duration = Duration::from_secs(60);
/// A turn is renewed at least this often.
const RENEWAL: Duration = Duration::from_secs(10);

/// Time since the machine was started, asleep or not (`CLOCK_BOOTTIME`).
pub type Uptime = Duration;

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// What this node writes as the Lease's duration.
    pub lease: Duration,
    /// How long after one renewal the next begins.
    pub renewal: Duration,
}

impl Timing {
    /// For steps that take up to `step` to begin and as long to end: three times that, renewed often.
    #[must_use]
    pub fn of(step: Duration) -> Self {
        let lease = (step * 3).clamp(SHORTEST, LONGEST_LEASE);
        Self {
            lease,
            renewal: (lease / 20).min(RENEWAL),
        }
    }

    /// How long this node acts upon one write.
    pub(super) fn own_use(self) -> Duration {
        self.lease * 4 / 5
    }
}

/// What happens to the turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// This node wants to act.
    Want,
    /// It is done, or wants no more.
    Release(Mark),
    /// Some time has passed. `holder_is_out`: the holder is known to be gone, or done with whatever it did.
    Tick {
        /// Only then may an expired Lease be taken.
        holder_is_out: bool,
    },
    /// The turn must be known to be this node's still.
    Confirm,
    /// What the Lease says; `None` where there is none.
    Read(Option<Record>),
    /// The write was taken, and the Lease says this now.
    Written(Record),
    /// It was not: another one was before it.
    Conflict,
    /// No answer, or none that says whether it was taken.
    Failed,
}

/// What is to be asked of the API server. One thing at a time, and its answer is the next input that is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the Lease.
    Read,
    /// Write it.
    Write(Draft),
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Draft {
    /// The version that it replaces; `None` to make the Lease.
    pub base: Option<String>,
    /// Who has the turn then.
    pub holder: Option<Identity>,
    /// `leaseTransitions`
    pub transitions: i32,
    /// What becomes of the mark of a node that failed.
    pub mark: Mark,
}

/// What becomes of the mark of a node that failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It stays, or stays away.
    Keep,
    /// This node, which made it, is well.
    Clear,
    /// This node has failed.
    Set(Halt),
}

/// Why this node has to wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// The Lease was not read yet, or no answer came.
    Unknown,
    /// Another node acts.
    Held {
        /// Which.
        by: Identity,
        /// When its turn ends where it renews it no more.
        expires: Uptime,
    },
    /// A node has failed, and an administrator has to look.
    Halted(Halt),
    /// The Lease is not the one that this node knew: whoever acted by that one may still do.
    Strange {
        /// When that one has ended for sure.
        until: Uptime,
    },
    /// It can be taken, and that is being done.
    Free,
}
