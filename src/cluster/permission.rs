//! Whether a node may act that cannot ask for its turn, because the API does not answer.
//!
//! With time left it waits. Shortly before the end it acts without a turn: at once where no other control plane answers either,
//! since there is nothing left to protect; otherwise in slots of time of which each control plane has its own. In its slot it acts
//! only while all that answered when that began still answers: what went away since may be a node that takes this slot for its
//! own, or is being rebooted. That holds in the first half of the emergency only, so that a peer that comes and goes keeps no
//! node from acting before its certificates end.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// It is in its slot, and acts where nothing has gone away since that began ([`SlotSeen`]).
    InSlot {
        /// When it began.
        began: Timestamp,
    },
    /// It acts.
    Acts,
}

/// What of the other control planes did not answer in a slot of this node's, since it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotSeen {
    /// When the slot began.
    pub began: Timestamp,
    /// What has not answered at any look since.
    pub silent: Vec<String>,
}

impl SlotSeen {
    /// What is to be kept after a look in the slot that began at `began`, at which these did not answer, each with what was seen
    /// instead; and the first of them that had answered before in this slot. `kept`: what was kept last. Pure.
    #[must_use]
    pub fn looked(
        kept: Option<Self>,
        began: Timestamp,
        silent: &[(String, String)],
    ) -> (Self, Option<(String, String)>) {
        let Some(mut kept) = kept.filter(|kept| kept.began == began) else {
            let silent = silent.iter().map(|(who, _)| who.clone()).collect();
            return (Self { began, silent }, None);
        };
        let gone = silent.iter().find(|(who, _)| !kept.silent.contains(who));
        kept.silent
            .retain(|who| silent.iter().any(|(other, _)| other == who));
        (kept, gone.cloned())
    }

    /// Whether that slot is still the one of `now`.
    #[must_use]
    pub fn is_of(&self, now: Timestamp) -> bool {
        let since = now.duration_since(self.began);
        since >= SignedDuration::ZERO && since < SignedDuration::from_secs(SLOT)
    }
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
    let hurries_from = shifted(ends, -(before / 2));
    if now < emergency {
        return Permission::Waits { emergency };
    }
    if peers.answering == 0 {
        return Permission::Acts;
    }
    let second = now.as_second();
    let begins = peers.share.next_slot(second, SLOT, BEGINS_WITHIN);
    let began = peers.share.slot_began(second, SLOT);
    match (
        Timestamp::from_second(begins),
        Timestamp::from_second(began),
    ) {
        (Ok(begins), _) if begins > now => Permission::Slot { begins },
        (_, Ok(began)) if now < hurries_from => Permission::InSlot { began },
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
        // In the first half of the emergency, and in the second.
        for (begin, watches) in [
            ("2026-05-31T10:34:00Z", true),
            ("2026-05-31T12:34:00Z", false),
        ] {
            let mut acted = [0; 3];
            for second in 0..3600 {
                let now = shifted(at(begin), SignedDuration::from_secs(second));
                let may = |place, now| match permission(peers(place, 1), ends, DAY, now) {
                    Permission::InSlot { began } => {
                        let since = now.duration_since(began).as_secs();
                        assert!(watches && (0..BEGINS_WITHIN).contains(&since), "{now}");
                        true
                    }
                    Permission::Acts => !watches,
                    _ => false,
                };
                let acting: Vec<usize> = (0..3).filter(|place| may(*place, now)).collect();
                assert!(acting.len() <= 1, "{acting:?} at {now}");
                for place in acting {
                    acted[place] += 1;
                }
                for place in 0..3 {
                    if let Permission::Slot { begins } = permission(peers(place, 1), ends, DAY, now)
                    {
                        assert!(may(place, begins));
                    }
                }
            }
            assert!(acted.iter().all(|times| *times == 400), "{acted:?}");
        }
    }

    fn silent(who: &[&str]) -> Vec<(String, String)> {
        who.iter()
            .map(|who| ((*who).to_owned(), "timed out".to_owned()))
            .collect()
    }

    /// What has gone at each look, all in one slot.
    fn gone(looks: &[&[&str]]) -> Vec<Option<String>> {
        let mut kept = None;
        looks
            .iter()
            .map(|look| {
                let began = at("2026-05-31T10:30:00Z");
                let (seen, gone) = SlotSeen::looked(kept.take(), began, &silent(look));
                kept = Some(seen);
                gone.map(|(who, _)| who)
            })
            .collect()
    }

    #[test]
    fn what_answered_in_the_slot_and_does_not_any_more_is_seen_until_it_answers() {
        let cp2 = || Some("cp2".to_owned());
        assert_eq!(gone(&[&[], &[]]), [None, None]);
        assert_eq!(gone(&[&["cp2"], &["cp2"], &["cp2"]]), [None, None, None]);
        assert_eq!(
            gone(&[&[], &["cp2"], &["cp2"], &[]]),
            [None, cp2(), cp2(), None]
        );
        assert_eq!(gone(&[&["cp3"], &["cp3", "cp2"]]), [None, cp2()]);
        // It came back, and went away again.
        assert_eq!(gone(&[&["cp2"], &[], &["cp2"]]), [None, None, cp2()]);
    }

    #[test]
    fn what_was_seen_in_another_slot_counts_no_more() {
        let began = at("2026-05-31T10:30:00Z");
        let next = at("2026-05-31T10:45:00Z");
        let (kept, _) = SlotSeen::looked(None, began, &[]);
        let (kept, gone) = SlotSeen::looked(Some(kept), next, &silent(&["cp2"]));
        assert_eq!((kept.began, gone), (next, None));
        assert!(kept.is_of(next) && kept.is_of(at("2026-05-31T10:49:59Z")));
        assert!(!kept.is_of(began) && !kept.is_of(at("2026-05-31T10:50:00Z")));
    }
}
