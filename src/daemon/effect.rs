//! What the daemon decides to do.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::Level;

use super::signal::Look;

/// What the event loop has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Look(Look),
    /// Clear old private keys away.
    Tidy,
    /// Begin the operation that the pass asks for.
    Act,
    /// Ask the operation to come to an end.
    Cancel,
    /// Log what the operation's receipt says.
    Summarise(String),
    /// Log what is wrong on the node and was not logged yet.
    Complain,
    /// Write the status file and tell systemd.
    Publish,
    /// Tell systemd that the daemon is ready, and the log what it watches.
    Announce,
    Log(Level, String),
    /// Give whatever changed files time for more.
    Settle,
    /// Read the configuration because an administrator asked for it.
    Reload,
    /// Read the configuration because it may have changed.
    ReloadIfChanged,
    /// Do nothing until something happens.
    Rest(Rest),
    /// Tell systemd that the daemon is about to end.
    NotifyStopping,
    End,
}

/// For how long nothing has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    /// When something is due, or the whole node is read again.
    pub(super) until: Timestamp,
    /// When to look again although nothing changed. A moment and not a duration: a look at others does not begin it anew.
    pub(super) again: Option<Instant>,
    /// How often to look whether another process is done.
    pub(super) others: Option<Duration>,
}

impl Effect {
    /// Whether a signal comes of it, before which no other effect of this kind begins. With [`Effect::End`] comes none.
    #[cfg(test)]
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::Look(_)
            | Self::Tidy
            | Self::Act
            | Self::Settle
            | Self::Reload
            | Self::ReloadIfChanged
            | Self::Rest(_)
            | Self::End => true,
            Self::Cancel
            | Self::Summarise(_)
            | Self::Complain
            | Self::Publish
            | Self::Announce
            | Self::Log(..)
            | Self::NotifyStopping => false,
        }
    }
}
