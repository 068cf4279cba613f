//! When maintenance windows are open. Pure: the time zones are values of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::config::Window;

/// No window is open for longer.
const LONGEST_DAYS: i32 = 8;
/// Each opens within a week, and one that a change of time shortens is followed by another.
const AHEAD_DAYS: i32 = 15;

/// A time in which operations may begin: one window, or several that overlap or follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The window that opens first.
    pub window: String,
    /// When it opens, or opened.
    pub opens: Timestamp,
    /// When the last of them closes.
    pub closes: Timestamp,
}

/// The first opening, of those that are open at `now` or open later, in which an operation that takes up to `needed` may
/// still begin; `None` without windows. Enough has to be left of it: `needed`, or half of an opening that is shorter than twice
/// that, so that no window is too short to be of use.
#[must_use]
pub fn next_opening(
    windows: &BTreeMap<String, Window>,
    needed: Duration,
    now: Timestamp,
) -> Option<Opening> {
    let needed = SignedDuration::try_from(needed).unwrap_or(SignedDuration::MAX);
    openings(windows, now)
        .into_iter()
        .find(|opening| may_begin(opening, needed, opening.opens.max(now)))
}

/// Whether enough of it is left at that moment.
fn may_begin(opening: &Opening, needed: SignedDuration, at: Timestamp) -> bool {
    let length = opening.closes.duration_since(opening.opens);
    let left = opening.closes.duration_since(at);
    at >= opening.opens && left > SignedDuration::ZERO && left >= needed.min(length / 2)
}

/// All that may be open at `now` or open within the next weeks, the earliest first; those that touch are one.
fn openings(windows: &BTreeMap<String, Window>, now: Timestamp) -> Vec<Opening> {
    let mut all: Vec<Opening> = windows
        .iter()
        .flat_map(|(name, window)| of_window(name, window, now))
        .collect();
    all.sort_by_key(|opening| opening.opens);
    let mut joined: Vec<Opening> = Vec::new();
    for opening in all {
        match joined.last_mut() {
            Some(last) if opening.opens <= last.closes => {
                last.closes = last.closes.max(opening.closes);
            }
            _ => joined.push(opening),
        }
    }
    joined
}

fn of_window<'window>(
    name: &'window str,
    window: &'window Window,
    now: Timestamp,
) -> impl Iterator<Item = Opening> + 'window {
    let today = window.time_zone.to_datetime(now).date();
    (-LONGEST_DAYS..=AHEAD_DAYS).filter_map(move |day| {
        let date = today.checked_add(day.days()).ok()?;
        let opens = opens_on(window, date)?;
        Some(Opening {
            window: name.to_owned(),
            opens,
            closes: opens.checked_add(window.length).ok()?,
        })
    })
}

/// When it opens on that day. A start that the clocks leave out when they go forward is as much later; of two that they show
/// when they go back, the first counts.
fn opens_on(window: &Window, date: Date) -> Option<Timestamp> {
    if !window.days.contains(&date.weekday()) {
        return None;
    }
    window
        .time_zone
        .to_ambiguous_timestamp(date.to_datetime(window.start))
        .compatible()
        .ok()
}
