//! A control plane's place among all, which each of them reckons by itself: slots of time follow from it where they cannot
//! talk to each other.

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
        let began = self.slot_began(now, length);
        if now - began < open {
            now
        } else {
            began + self.round(length)
        }
    }

    /// When its slot began that is now, or was last.
    #[must_use]
    pub fn slot_began(self, now: i64, length: i64) -> i64 {
        let place = i64::from(self.place % self.of.min(MOST_SLOTS)) * length;
        now - (now - place).rem_euclid(self.round(length))
    }

    fn round(self, length: i64) -> i64 {
        length * i64::from(self.of.min(MOST_SLOTS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn names_come_to_places_that_stay() {
        let places: Vec<u32> = ["cp1", "cp2", "cp3"]
            .map(|name| Share::of_name(name).place)
            .into();
        assert_eq!(places, [63475, 35376, 36121]);
    }
}
