//! Asking programs that sign where what they answer cannot be kept: the pauses between are then known in memory only.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// How often in a row nothing could be kept, and until when no program is asked for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Unkept {
    failures: u32,
    until: Option<Instant>,
}

impl Unkept {
    /// How long no program is asked.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        self.until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Once more.
    pub(super) fn failed(&mut self, now: Instant) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + doubled.min(LONGEST_PAUSE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_a_quarter_of_a_day() {
        let now = Instant::now();
        let mut unkept = Unkept::default();
        assert_eq!(unkept.remaining(now), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            unkept.failed(now);
            pauses.push(unkept.remaining(now).as_secs());
        }
        assert_eq!(pauses[..3], [60, 120, 240]);
        assert_eq!(pauses.last(), Some(&21_600));
        assert_eq!(unkept.remaining(now + LONGEST_PAUSE), Duration::ZERO);
    }
}
