//! Durations and sizes as an administrator writes them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

const DAY: u64 = 86_400;

/// `30d`, `2w`, `8760h0m0s` (kubeadm's spelling), `90m`, `P30D`. A day is 24 hours; years and months are ambiguous.
///
/// # Errors
/// What is wrong, and what would be right.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let Ok(span) = text.parse::<Span>() else {
        return Err(not_a_duration(text));
    };
    if span.get_years() != 0 {
        let days = span.get_years().unsigned_abs() as u64 * 365;
        return Err(ambiguous("years are", days));
    }
    if span.get_months() != 0 {
        let days = span.get_months().unsigned_abs() as u64 * 30;
        return Err(ambiguous("months are", days));
    }
    if span.is_negative() {
        return Err("a duration cannot be negative".to_owned());
    }
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "this is longer than can be reckoned with".to_owned())?;
    if duration.subsec_nanos() != 0 {
        return Err("whole seconds are the smallest unit".to_owned());
    }
    Ok(duration)
}

/// The shortest spelling that [`parse_duration`] reads back: `30d`, `1d12h`, `5m`, `90s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    // Nobody says 1m30s where 90s will do.
    if rest < 120 {
        return format!("{rest}s");
    }
    let mut text = String::new();
    for (unit, seconds) in [("d", DAY), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            text.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    text
}

fn not_a_duration(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!(
            "the unit is missing; write {text:?} with one, as in \"{text}d\" or \"{text}h\""
        );
    }
    if let Some(number) = text
        .strip_suffix('M')
        .filter(|number| number.parse::<u64>().is_ok())
    {
        return format!(
            "M could be months or minutes; write \"{number}m\" for minutes, or days as in \"30d\""
        );
    }
    "not a duration; write one such as \"30d\", \"8760h\" or \"90m\"".to_owned()
}

fn ambiguous(what: &str, days: u64) -> String {
    format!("{what} ambiguous; write \"{days}d\" or \"{}h\"", days * 24)
}

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// `64MiB`, `100 MB`, `65536B`.
///
/// # Errors
/// What is wrong, and what would be right.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = (&text[..digits], text[digits..].trim());
    let Ok(number) = number.parse::<u64>() else {
        return Err("not a size; write one such as \"64MiB\"".to_owned());
    };
    let Some((_, bytes)) = SIZES.iter().find(|(name, _)| *name == unit) else {
        let letter = unit.chars().next().unwrap_or('M').to_ascii_uppercase();
        let meant = SIZES
            .iter()
            .find(|(name, _)| name.len() == 3 && name.starts_with(letter))
            .map_or("MiB", |(name, _)| name);
        return Err(format!(
            "the unit is missing or unknown; write \"{number}{meant}\""
        ));
    };
    number
        .checked_mul(*bytes)
        .ok_or_else(|| "this is larger than any disk".to_owned())
}

/// The shortest exact spelling: `64MiB`.
pub(super) fn show_size(bytes: u64) -> String {
    SIZES
        .iter()
        .filter(|(name, _)| name.len() != 2)
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes}B"),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_of_a_duration_is_read() {
        for (text, seconds) in [
            ("30d", 30 * DAY),
            ("2w", 14 * DAY),
            ("8760h0m0s", 365 * DAY),
            ("8760h", 365 * DAY),
            ("90m", 5400),
            ("P30D", 30 * DAY),
            ("PT1H30M", 5400),
            ("1d 12h", 36 * 3600),
            ("30 days", 30 * DAY),
            (" 30d ", 30 * DAY),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_duration_is_answered_with_the_right_one() {
        for (text, answer) in [
            ("1y", "years are ambiguous; write \"365d\" or \"8760h\""),
            ("P1Y", "years are ambiguous; write \"365d\" or \"8760h\""),
            ("2mo", "months are ambiguous; write \"60d\" or \"1440h\""),
            ("-30d", "a duration cannot be negative"),
            ("1.5s", "whole seconds are the smallest unit"),
        ] {
            assert_eq!(parse_duration(text), Err(answer.to_owned()), "{text}");
        }
        assert!(parse_duration("30").unwrap_err().contains("\"30d\""));
        assert!(parse_duration("5M").unwrap_err().contains("\"5m\""));
        for text in ["", "soon", "d", "30x", "🙂"] {
            assert!(
                parse_duration(text)
                    .unwrap_err()
                    .starts_with("not a duration"),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_and_sizes_survive_being_shown() {
        for seconds in [
            1,
            59,
            90,
            300,
            3600,
            5400,
            DAY,
            36 * 3600,
            365 * DAY,
            100_001,
        ] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        for bytes in [1, 1000, 1024, 65_536, 64 << 20, (64 << 20) + 1, 5 << 40] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_duration(Duration::from_secs(30 * DAY)), "30d");
        assert_eq!(show_size(64 << 20), "64MiB");
    }

    #[test]
    fn a_wrong_size_is_answered_with_the_right_one() {
        assert_eq!(parse_size("100 MB"), Ok(100_000_000));
        assert!(parse_size("64").unwrap_err().contains("\"64MiB\""));
        assert!(parse_size("64k").unwrap_err().contains("\"64KiB\""));
        assert!(parse_size("64G").unwrap_err().contains("\"64GiB\""));
        assert!(parse_size("much").unwrap_err().contains("\"64MiB\""));
        assert!(parse_size("99999999TiB").unwrap_err().contains("larger"));
    }
}
