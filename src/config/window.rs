//! When the daemon may begin operations.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// `[window.NAME]`: a maintenance window, which opens once on each of its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// `days`: on which it opens, in the time zone; all seven.
    pub days: Vec<Weekday>,
    /// `start`: when it opens, in the time zone.
    pub start: Time,
    /// `length`: how long it is open; hours that pass, whatever the clocks show meanwhile.
    pub length: Duration,
    /// `time-zone`: UTC.
    pub time_zone: TimeZone,
}

/// What an administrator calls the days, from Monday on.
pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Default for Window {
    /// What a table that says nothing yet has. `start` and `length` have to be said.
    fn default() -> Self {
        Self {
            days: DAYS.iter().map(|(_, day)| *day).collect(),
            start: Time::midnight(),
            length: Duration::ZERO,
            time_zone: TimeZone::UTC,
        }
    }
}
