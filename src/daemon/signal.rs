//! What wakes the daemon.

use std::time::Instant;

use jiff::Timestamp;

use super::clock::Wake;
use super::ending::Ending;

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) clock: Timestamp,
    /// Neither hurried nor delayed when the clock is set.
    pub(super) steady: Instant,
}

/// The steps of a look at the node, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Files, plan and checks, and what other processes left behind.
    Files,
    /// What is in use, and whether a filter keeps the daemon from what it needs.
    Use,
    /// Whether expired certificates have stopped the node, and what restarts need.
    Needs,
}

/// What woke the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// The pass holds what this look showed.
    Looked(Look),
    /// Old backups were tidied.
    Tidied,
    /// The operation ended.
    Ended(Ending),
    /// Files changed.
    Changed,
    /// They have had time to settle.
    Settled,
    /// The moment of the rest has come, or the clock was set.
    Clock(Wake),
    /// It is time to look again.
    Again,
    /// No other kubecertd is at work any more.
    Alone,
    /// SIGHUP.
    Reload,
    /// The configuration was read again. Whether another one is in force now, or an administrator asked for it.
    Configured { is_new: bool },
    /// SIGTERM or SIGINT.
    Stop,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            clock: crate::host::now(),
            steady: Instant::now(),
        }
    }
}
