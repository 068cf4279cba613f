//! The right to disturb the node, as an operation has it.

use std::time::Duration;

use super::Context;
use crate::cluster::Held;
use crate::journal::TurnTaken;
use crate::restart::RestartError;

/// The right to disturb the node, and where it comes from.
#[derive(Debug, Default)]
pub(super) enum Turn {
    /// Nobody else could be disturbed, or nothing is restarted.
    #[default]
    NotNeeded,
    /// The configuration wants none.
    Off,
    /// The Lease.
    Held(Held),
    /// It could not be asked for, and there was no time left to wait.
    Alone(String),
}

impl Turn {
    /// Whether what etcd's members say is to be heeded: not where there is no time left to.
    pub(super) fn binds_to_etcd(&self) -> bool {
        matches!(self, Self::Held(_) | Self::Off)
    }

    /// As the journal and the receipt have it; `None` where none was needed.
    pub(super) fn taken(&self) -> Option<TurnTaken> {
        match self {
            Self::NotNeeded => None,
            Self::Off => Some(TurnTaken::Off),
            Self::Held(held) => Some(TurnTaken::Held {
                lease: held.token().lease.clone(),
                transitions: held.token().transitions,
            }),
            Self::Alone(reason) => Some(TurnTaken::Alone {
                reason: reason.clone(),
            }),
        }
    }
}

/// Makes sure just before a group of pods is restarted that this node still has its turn.
///
/// # Errors
/// [`RestartError::TurnLost`].
pub(super) async fn before_step(turn: &Turn, context: &Context) -> Result<(), RestartError> {
    match turn {
        Turn::Held(held) => {
            let worst = step_bound(context) * 2;
            held.confirm(worst)
                .await
                .map_err(|_| RestartError::TurnLost)
        }
        Turn::NotNeeded | Turn::Off | Turn::Alone(_) => Ok(()),
    }
}

/// How long one pod may take to go, or to come back.
pub(super) fn step_bound(context: &Context) -> Duration {
    context.config.restart.timeout
}
