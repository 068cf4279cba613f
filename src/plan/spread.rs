//! When a control plane's turn is, so that several that fall due together do not restart together.
//!
//! They do not talk about it: each reckons its own turns from what all of them know. Time is cut into windows of some hours,
//! the same for all, and each control plane has its place in every window.

use jiff::Timestamp;

/// No wait is longer: by then every control plane has had its turn.
const LONGEST_WINDOW: i64 = 8 * 3600;
/// Below this there is nothing to spread over.
const SHORTEST_WINDOW: i64 = 16;
/// A turn is open for this part of the window: long enough for a second attempt, and over before the next one's of seven.
const OPEN_PART: i64 = 8;
/// Of a place that was reckoned from a name there are more than there are control planes.
const MOST_SLOTS: u32 = 8;

/// A control plane's place among several: `place` of `of`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    place: u32,
    of: u32,
}

impl Share {
    /// Its place where all are known.
    #[must_use]
    pub fn ranked(place: usize, of: usize) -> Self {
        let of = u32::try_from(of).unwrap_or(u32::MAX).max(1);
        Self {
            place: u32::try_from(place).unwrap_or(0) % of,
            of,
        }
    }

    /// A place by a name that no other one has, where they are not known: always the same, and likely not another's.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        // FNV-1a, and splitmix64's end, without which names that differ in their last letter come to neighbouring places. Every
        // release has to come to the same place, which the standard library's own does not promise.
        let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self {
            place: u32::try_from(hash >> 48).unwrap_or(0),
            of: 0x1_0000,
        }
    }

    /// When its next slot begins, in seconds, at or after `now`; `now` itself in the first `open` seconds of one. Time is cut
    /// into slots of `length` seconds, the same for all, of which each has every n-th.
    #[must_use]
    pub fn next_slot(self, now: i64, length: i64, open: i64) -> i64 {
        let round = length * i64::from(self.of.min(MOST_SLOTS));
        let place = i64::from(self.place % self.of.min(MOST_SLOTS)) * length;
        let since = (now - place).rem_euclid(round);
        if since < open {
            now
        } else {
            now - since + round
        }
    }
}

/// When the next turn begins; `None` where it is this one's turn, or where nothing is spread any more. `due` and `ends`: of the
/// certificate that is due first. The window is a third of the time between the two, and hours at most. When only the last
/// third is left, the same goes for that third, and so on, until there is nothing left to spread over: control planes on which
/// all is found near its end (a first installation, say) do not restart together either.
#[must_use]
pub fn next_turn(
    share: Share,
    due: Timestamp,
    ends: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let (ends, now) = (ends.as_second(), now.as_second());
    let mut begins = due.as_second();
    let mut moment = now;
    let turn = loop {
        let third = ends.saturating_sub(begins) / 3;
        let window = third.min(LONGEST_WINDOW);
        if window < SHORTEST_WINDOW || moment >= ends {
            break moment;
        }
        let shorter = ends - third;
        if moment < shorter {
            let turn = turn_in(share, begins, window, moment);
            if turn < shorter {
                break turn;
            }
            moment = shorter;
        }
        begins = shorter;
    };
    (turn > now)
        .then(|| Timestamp::from_second(turn).ok())
        .flatten()
}

/// When its turn is, at or after `moment`, in windows of that length; `moment` itself where the turn has begun and is open.
fn turn_in(share: Share, begins: i64, window: i64, moment: i64) -> i64 {
    let place = window * i64::from(share.place) / i64::from(share.of);
    let since = (moment - place).rem_euclid(window);
    let began = moment - since;
    if began >= begins && since < window / OPEN_PART {
        moment
    } else {
        began + window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn due() -> Timestamp {
        "2026-06-01T00:10:00Z".parse().unwrap()
    }

    /// The first moment at which it may act. What is said to be its turn is one.
    fn acts(share: Share, ends: Timestamp, from: Timestamp) -> Timestamp {
        let Some(turn) = next_turn(share, due(), ends, from) else {
            return from;
        };
        assert!(turn > from, "{turn} at {from}");
        assert_eq!(
            next_turn(share, due(), ends, turn),
            None,
            "{turn} at {from}"
        );
        turn
    }

    #[test]
    fn ranked_control_planes_never_have_their_turn_together() {
        for (life, count) in [
            (600_i64, 3_usize),
            (600, 5),
            (30 * 24 * 3600, 3),
            (86_400, 7),
        ] {
            let ends = due() + SignedDuration::from_secs(life / 3);
            let window = SignedDuration::from_secs((life / 9).min(8 * 3600));
            for place in 0..count {
                let first = acts(Share::ranked(place, count), ends, due());
                assert!(first <= due() + window, "{first}");
            }
            let step = (life / 9 / 600).max(1);
            for second in (0..life * 2 / 9 - 1).step_by(usize::try_from(step).unwrap()) {
                let now = due() + SignedDuration::from_secs(second);
                let open = (0..count)
                    .filter(|place| {
                        next_turn(Share::ranked(*place, count), due(), ends, now).is_none()
                    })
                    .count();
                assert!(open <= 1, "{open} at {second} of {life}");
            }
        }
    }

    #[test]
    fn a_missed_turn_comes_again_sooner_and_sooner_and_at_the_end_all_act() {
        let ends = due() + SignedDuration::from_hours(24 * 30);
        let share = Share::ranked(1, 3);
        let first = acts(share, ends, due());
        let missed = first + SignedDuration::from_hours(2);
        assert_eq!(
            acts(share, ends, missed),
            first + SignedDuration::from_hours(8)
        );
        // Five days before the end each still has a turn of its own, an hour before it as well.
        for (left, within) in [(120, 8 * 3600), (1, 20 * 60)] {
            let late = ends - SignedDuration::from_hours(left);
            let first: Vec<Timestamp> = (0..3)
                .map(|place| acts(Share::ranked(place, 3), ends, late))
                .collect();
            for (index, one) in first.iter().enumerate() {
                assert!(
                    one.duration_since(late) <= SignedDuration::from_secs(within),
                    "{one}"
                );
                for other in first.iter().skip(index + 1) {
                    let apart = one.duration_since(*other).abs();
                    assert!(apart >= SignedDuration::from_secs(within / 4), "{first:?}");
                }
            }
        }
        for place in 0..3 {
            let share = Share::ranked(place, 3);
            let last = ends - SignedDuration::from_secs(20);
            assert_eq!(next_turn(share, due(), ends, last), None);
            let after = ends + SignedDuration::from_hours(1);
            assert_eq!(next_turn(share, due(), ends, after), None);
        }
        // A life of seconds.
        assert_eq!(
            next_turn(share, due(), due() + SignedDuration::from_secs(40), due()),
            None
        );
    }

    #[test]
    fn names_come_to_places_that_stay() {
        let places: Vec<u32> = ["cp1", "cp2", "cp3"]
            .map(|name| Share::of_name(name).place)
            .into();
        assert_eq!(places, [63475, 35376, 36121]);
    }
}
