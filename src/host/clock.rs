//! The clock.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// The moment it is, by this machine's clock. One that lies beyond what a [`Timestamp`] can say, which ends with the year 9999,
/// is the last or the first that it can.
#[must_use]
pub fn now() -> Timestamp {
    clamped(SystemTime::now())
}

/// Time since this machine was started, asleep or not (`CLOCK_BOOTTIME`); nobody can set it.
#[must_use]
pub fn uptime() -> Duration {
    // Linux has this clock since 2.6.39, so reading it does not fail.
    let read = clock_gettime(ClockId::CLOCK_BOOTTIME);
    read.map_or(Duration::ZERO, Duration::from)
}

/// The moment so much later, or earlier where that is negative; the last or the first there is where it lies beyond.
#[must_use]
pub fn shifted(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap_or(if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn clamped(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(if time < SystemTime::UNIX_EPOCH {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_beyond_the_year_9999_is_at_its_end() {
        let centuries = Duration::from_secs(10_000 * 366 * 86_400);
        let (later, earlier) = (
            SystemTime::UNIX_EPOCH + centuries,
            SystemTime::UNIX_EPOCH - 2 * centuries,
        );
        assert_eq!(clamped(later), Timestamp::MAX);
        assert_eq!(clamped(earlier), Timestamp::MIN);
        assert_eq!(clamped(SystemTime::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
        let hour = SignedDuration::from_hours(1);
        assert_eq!(shifted(Timestamp::MAX, hour), Timestamp::MAX);
        assert_eq!(shifted(Timestamp::MIN, -hour), Timestamp::MIN);
        assert_eq!(shifted(Timestamp::UNIX_EPOCH, hour).as_second(), 3600);
    }

    /// `Timestamp::now()` panics beyond the year 9999.
    #[test]
    fn the_clock_is_read_here_only() {
        let mut waiting = vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src"
        ))];
        let mut read_elsewhere = Vec::new();
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).unwrap();
                waiting.extend(entries.map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !path.ends_with("host/clock.rs")
                && !path.ends_with("tests.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                if program.contains("Timestamp::now") {
                    read_elsewhere.push(path);
                }
            }
        }
        assert!(read_elsewhere.is_empty(), "{read_elsewhere:?}");
    }
}
