//! Durations in kubectl's words and in a sentence's.

use jiff::SignedDuration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// kubectl's `HumanDuration` (apimachinery `pkg/util/duration`), as in the column RESIDUAL TIME: `364d`, `9y`, `<invalid>`.
#[must_use]
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two_units(seconds, MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two_units(seconds, HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two_units(seconds, DAY, "d", HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two_units(seconds, YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// For a sentence: `in 12 days`, `3 hours ago`, `now`.
#[must_use]
pub fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let size = seconds.saturating_abs();
    let (count, unit) = match size {
        0 => return "now".to_owned(),
        1..120 => (size, "second"),
        120..7_200 => (size / MINUTE, "minute"),
        7_200..172_800 => (size / HOUR, "hour"),
        172_800..63_072_000 => (size / DAY, "day"),
        _ => (size / YEAR, "year"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if seconds > 0 {
        format!("in {count} {unit}{plural}")
    } else {
        format!("{count} {unit}{plural} ago")
    }
}

/// `3h20m`, or `3h` when nothing is left over.
fn two_units(seconds: i64, large: i64, large_sign: &str, small: i64, small_sign: &str) -> String {
    let rest = seconds % large / small;
    if rest == 0 {
        format!("{}{large_sign}", seconds / large)
    } else {
        format!("{}{large_sign}{rest}{small_sign}", seconds / large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn human_durations_are_kubectls() {
        for (seconds, expected) in [
            (i64::MIN, "<invalid>"),
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_799, "7h59m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_199, "7d23h"),
            (691_200, "8d"),
            (364 * DAY + 86_399, "364d"),
            (2 * YEAR - 1, "729d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + DAY, "2y1d"),
            (8 * YEAR - 1, "7y364d"),
            (8 * YEAR, "8y"),
            (10 * YEAR - 1, "9y"),
        ] {
            assert_eq!(
                human_duration(SignedDuration::from_secs(seconds)),
                expected,
                "{seconds}"
            );
        }
        assert_eq!(human_duration(SignedDuration::from_millis(-1_500)), "0s");
    }

    #[test]
    fn sentences_say_past_and_future() {
        for (seconds, expected) in [
            (0, "now"),
            (1, "in 1 second"),
            (45, "in 45 seconds"),
            (3 * HOUR, "in 3 hours"),
            (12 * DAY + HOUR, "in 12 days"),
            (5 * YEAR, "in 5 years"),
            (-2 * DAY, "2 days ago"),
            (-600, "10 minutes ago"),
            (i64::MIN, "292471208677 years ago"),
        ] {
            assert_eq!(
                in_words(SignedDuration::from_secs(seconds)),
                expected,
                "{seconds}"
            );
        }
    }
}
