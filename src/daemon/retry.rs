//! When a failed attempt is made again: later each time, and not by all nodes at the same moment.

use std::time::{Duration, Instant};

/// First delay after a failure that changed nothing.
const FIRST: Duration = Duration::from_secs(60);
/// Longest delay after a failure that changed nothing.
const LONGEST: Duration = Duration::from_secs(3600);
/// First delay after pods were restarted in vain: the cluster needs rest more than new certificates.
const FIRST_DISTURBED: Duration = Duration::from_secs(15 * 60);
/// Longest delay after pods were restarted in vain.
const LONGEST_DISTURBED: Duration = Duration::from_secs(6 * 3600);

/// Rest after an operation that went well: whatever the plan says, nothing is renewed twice in a breath.
const REST: Duration = Duration::from_secs(30);

/// Counts failures in a row and says when the next attempt may be made. Uses the monotonic clock, so that setting the
/// clock neither hurries nor delays it.
#[derive(Debug, Clone, Default)]
pub(super) struct Retry {
    attempts: u32,
    not_before: Option<Instant>,
}

impl Retry {
    /// Whether an attempt may be made at `now`.
    pub(super) fn permits(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|moment| moment <= now)
    }

    /// How long until then; zero when it may be made.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |moment| {
            moment.saturating_duration_since(now)
        })
    }

    /// Failures in a row.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Notes a failure. `jitter` is a number from 0 to 1.
    pub(super) fn failed(&mut self, now: Instant, disturbed: bool, jitter: f64) {
        let delay = delay(self.attempts, disturbed, jitter);
        self.attempts = self.attempts.saturating_add(1);
        self.not_before = Some(now + delay);
    }

    /// Notes a success.
    pub(super) fn succeeded(&mut self, now: Instant) {
        *self = Self {
            attempts: 0,
            not_before: Some(now + REST),
        };
    }

    /// Waits for another process without counting that as a failure.
    pub(super) fn postpone(&mut self, now: Instant, delay: Duration) {
        self.not_before = Some(now + delay);
    }

    /// Lets the next attempt be made at once, without forgetting how many failed: somebody changed the configuration.
    pub(super) fn permit_now(&mut self) {
        self.not_before = None;
    }
}

/// Doubles with each failure up to a bound, then is stretched by up to a quarter.
fn delay(attempts: u32, disturbed: bool, jitter: f64) -> Duration {
    let (first, longest) = if disturbed {
        (FIRST_DISTURBED, LONGEST_DISTURBED)
    } else {
        (FIRST, LONGEST)
    };
    let doubled = first
        .checked_mul(2u32.saturating_pow(attempts.min(16)))
        .unwrap_or(longest)
        .min(longest);
    doubled.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound() {
        let delays: Vec<u64> = (0..10).map(|n| delay(n, false, 0.0).as_secs()).collect();
        assert_eq!(delays[..4], [60, 120, 240, 480]);
        assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(delays[9], 3600);
        assert!(delay(40, true, 1.0) <= LONGEST_DISTURBED.mul_f64(1.25));
    }

    #[test]
    fn nothing_is_permitted_before_the_delay_is_over() {
        let now = Instant::now();
        let mut retry = Retry::default();
        assert!(retry.permits(now));
        retry.failed(now, false, 0.5);
        assert!(!retry.permits(now + Duration::from_secs(59)));
        assert!(retry.permits(now + Duration::from_secs(76)));
        retry.succeeded(now);
        assert_eq!(retry.attempts(), 0);
        assert!(!retry.permits(now) && retry.permits(now + REST));
    }
}
