//! Whether a node may act that cannot ask for its turn, because the API does not answer.
//!
//! With time left it waits. Shortly before the end it acts without a turn: at once where no other control plane answers either,
//! since there is nothing left to protect; otherwise in slots of time of which each control plane has its own.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::host::shifted;
use crate::plan::Share;

/// Long enough to restart one control plane, and to see that another one is away.
const SLOT: i64 = 300;
/// Nothing begins in the rest of a slot.
const BEGINS_WITHIN: i64 = SLOT / 3;

/// What is seen of the other control planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peers {
    /// This one's place among all that are known.
    pub share: Share,
    /// How many of the others answer, by their API server or their etcd.
    pub answering: usize,
}

/// What a node does that cannot ask for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It waits for the API to come back, or for the emergency, whichever is first.
    Waits {
        /// When the emergency begins.
        emergency: Timestamp,
    },
    /// Its slot comes.
    Slot {
        /// When it begins.
        begins: Timestamp,
    },
    /// It acts.
    Acts,
}

/// What a node may do whose certificates end at `ends` and whose emergency begins `emergency` before that. Pure.
#[must_use]
pub fn permission(
    peers: Peers,
    ends: Timestamp,
    emergency: Duration,
    now: Timestamp,
) -> Permission {
    let before = SignedDuration::try_from(emergency).unwrap_or(SignedDuration::MAX);
    let emergency = shifted(ends, -before);
    if now < emergency {
        return Permission::Waits { emergency };
    }
    if peers.answering == 0 {
        return Permission::Acts;
    }
    let begins = peers.share.next_slot(now.as_second(), SLOT, BEGINS_WITHIN);
    match Timestamp::from_second(begins) {
        Ok(begins) if begins > now => Permission::Slot { begins },
        _ => Permission::Acts,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn peers(place: usize, answering: usize) -> Peers {
        Peers {
            share: Share::ranked(place, 3),
            answering,
        }
    }

    #[test]
    fn with_time_left_it_waits_until_the_emergency() {
        let ends = at("2026-06-03T00:00:00Z");
        let now = at("2026-06-01T00:00:00Z");
        assert_eq!(
            permission(peers(0, 0), ends, DAY, now),
            Permission::Waits {
                emergency: at("2026-06-02T00:00:00Z")
            }
        );
    }

    #[test]
    fn where_no_other_answers_all_act_at_once() {
        let ends = at("2026-06-01T00:00:00Z");
        for place in 0..3 {
            for now in ["2026-05-31T00:00:00Z", "2026-06-05T01:02:03Z"] {
                assert_eq!(
                    permission(peers(place, 0), ends, DAY, at(now)),
                    Permission::Acts
                );
            }
        }
    }

    #[test]
    fn where_others_answer_one_acts_at_a_time_and_each_gets_its_slot() {
        let ends = at("2026-06-01T00:00:00Z");
        let begin = at("2026-05-31T12:34:00Z");
        let mut acted = [0; 3];
        for second in 0..3600 {
            let now = shifted(begin, SignedDuration::from_secs(second));
            let acting: Vec<usize> = (0..3)
                .filter(|place| permission(peers(*place, 1), ends, DAY, now) == Permission::Acts)
                .collect();
            assert!(acting.len() <= 1, "{acting:?} at {now}");
            for place in acting {
                acted[place] += 1;
            }
            for place in 0..3 {
                if let Permission::Slot { begins } = permission(peers(place, 1), ends, DAY, now) {
                    assert_eq!(
                        permission(peers(place, 1), ends, DAY, begins),
                        Permission::Acts
                    );
                }
            }
        }
        assert!(acted.iter().all(|times| *times == 400), "{acted:?}");
    }
}
