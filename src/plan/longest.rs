//! How long an operation may take at most, as far as that is known before it begins.

use std::time::Duration;

use super::order::RestartGroup;
use super::reload::LONGEST;
use crate::config::{Restart, RestartMode};

/// New keys on a slow machine, and the proof that they are in use.
const KEYS_AND_PROOF: Duration = Duration::from_secs(300);

/// The longest time: each wave of pods goes, and comes back healthy, within `restart.timeout`. An operation that fails at its
/// end takes the same time once more to put everything back.
#[must_use]
pub fn longest(restarts: &[RestartGroup], restart: &Restart) -> Duration {
    let waves: usize = restarts
        .iter()
        .map(|group| group.out.len() + group.back.len())
        .sum();
    let waves = u32::try_from(waves).unwrap_or(u32::MAX);
    let reload = match restart.mode {
        RestartMode::WhenNeeded => restart.reload_timeout.max(LONGEST),
        // Of two members etcd is asked first.
        RestartMode::Affected if restarts.iter().any(has_etcd) => {
            restart.reload_timeout.max(LONGEST)
        }
        RestartMode::Affected | RestartMode::None => Duration::ZERO,
    };
    restart
        .timeout
        .saturating_mul(waves)
        .saturating_mul(2)
        .saturating_add(reload)
        .saturating_add(KEYS_AND_PROOF)
}

fn has_etcd(group: &RestartGroup) -> bool {
    group.pods().any(|pod| pod.component == "etcd")
}
