//! Maintenance windows: overlapping, across midnight, across changes of time, and for every moment.
#![allow(clippy::unwrap_used, clippy::panic)] // what these tests are built from, too

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Window;
use kubecertd::plan::{Opening, next_opening};
use proptest::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn window(days: &[Weekday], start: (i8, i8), length: Duration, zone: &str) -> Window {
    let all = Window::default();
    Window {
        days: if days.is_empty() {
            all.days
        } else {
            days.to_vec()
        },
        start: time(start.0, start.1, 0, 0),
        length,
        time_zone: TimeZone::get(zone).unwrap(),
    }
}

fn named(windows: &[Window]) -> BTreeMap<String, Window> {
    let names = ["a", "b", "c", "d"].map(str::to_owned);
    names.into_iter().zip(windows.iter().cloned()).collect()
}

fn opening(windows: &[Window], needed: Duration, now: &str) -> Option<Opening> {
    next_opening(&named(windows), needed, at(now))
}

fn opens(windows: &[Window], now: &str) -> Timestamp {
    opening(windows, Duration::ZERO, now).unwrap().opens
}

#[test]
fn without_windows_nothing_has_to_be_waited_for() {
    assert_eq!(opening(&[], HOUR, "2026-06-01T00:00:00Z"), None);
}

#[test]
fn a_window_across_midnight_belongs_to_the_day_on_which_it_opens() {
    // Monday.
    let night = [window(&[Weekday::Monday], (23, 0), 3 * HOUR, "UTC")];
    let opened = at("2026-06-01T23:00:00Z");
    assert_eq!(opens(&night, "2026-06-01T12:00:00Z"), opened);
    assert_eq!(opens(&night, "2026-06-02T01:59:00Z"), opened);
    // The closing moment is not in it.
    let next = at("2026-06-08T23:00:00Z");
    assert_eq!(opens(&night, "2026-06-02T02:00:00Z"), next);
}

#[test]
fn enough_has_to_be_left_of_it() {
    let night = [window(&[], (2, 0), 3 * HOUR, "UTC")];
    let begins = |needed, now| opening(&night, needed, now).unwrap().opens;
    let today = at("2026-06-01T02:00:00Z");
    let tomorrow = at("2026-06-02T02:00:00Z");
    assert_eq!(begins(HOUR, "2026-06-01T04:00:00Z"), today);
    assert_eq!(begins(HOUR, "2026-06-01T04:00:01Z"), tomorrow);
    // One that is too short for all of it is of use for its first half.
    assert_eq!(begins(9 * HOUR, "2026-06-01T03:30:00Z"), today);
    assert_eq!(begins(9 * HOUR, "2026-06-01T03:30:01Z"), tomorrow);
}

#[test]
fn windows_that_overlap_or_touch_are_one() {
    let all = [
        window(&[], (1, 0), HOUR, "UTC"),
        window(&[], (2, 0), 2 * HOUR, "UTC"),
        window(&[], (3, 30), HOUR, "UTC"),
        window(&[Weekday::Sunday], (12, 0), HOUR, "UTC"),
    ];
    let found = opening(&all, 3 * HOUR, "2026-06-01T00:00:00Z").unwrap();
    assert_eq!(
        found,
        Opening {
            window: "a".to_owned(),
            opens: at("2026-06-01T01:00:00Z"),
            closes: at("2026-06-01T04:30:00Z"),
        }
    );
    let found = opening(&all, Duration::ZERO, "2026-06-07T05:00:00Z").unwrap();
    assert_eq!(
        (found.window.as_str(), found.opens),
        ("d", at("2026-06-07T12:00:00Z"))
    );
}

#[test]
fn a_start_that_the_clocks_leave_out_comes_as_much_later_and_one_that_comes_twice_counts_once() {
    // Berlin: on Mar 29, 2026 02:00 is followed by 03:00; on Oct 25, 2026 03:00 by 02:00.
    let night = [window(&[], (2, 30), 2 * HOUR, "Europe/Berlin")];
    let spring = opening(&night, Duration::ZERO, "2026-03-28T12:00:00Z").unwrap();
    assert_eq!(spring.opens, at("2026-03-29T01:30:00Z"));
    assert_eq!(spring.closes, at("2026-03-29T03:30:00Z"));
    assert_eq!(
        opens(&night, "2026-03-29T12:00:00Z"),
        at("2026-03-30T00:30:00Z")
    );
    let autumn = opening(&night, Duration::ZERO, "2026-10-24T12:00:00Z").unwrap();
    assert_eq!(autumn.opens, at("2026-10-25T00:30:00Z"));
    assert_eq!(autumn.closes, at("2026-10-25T02:30:00Z"));
    assert_eq!(
        opens(&night, "2026-10-25T02:30:00Z"),
        at("2026-10-26T01:30:00Z")
    );
    // A night that is an hour longer or shorter does not change how long it is open.
    let across = [window(&[], (23, 0), 5 * HOUR, "Europe/Berlin")];
    for day in ["2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"] {
        let one = opening(&across, Duration::ZERO, day).unwrap();
        assert_eq!(one.closes.duration_since(one.opens).as_hours(), 5);
    }
    // Apia left out a whole day, Dec 30, 2011.
    let apia = [window(&[Weekday::Friday], (2, 0), HOUR, "Pacific/Apia")];
    assert!(opens(&apia, "2011-12-29T20:00:00Z") > at("2011-12-29T20:00:00Z"));
}

#[test]
fn at_the_ends_of_time_nothing_is_found_and_nothing_breaks() {
    let night = [window(&[], (2, 0), HOUR, "Europe/Berlin")];
    for now in [Timestamp::MIN, Timestamp::MAX] {
        let _found = next_opening(&named(&night), HOUR, now);
    }
}

fn some_window() -> impl Strategy<Value = Window> {
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
    ];
    let days = proptest::sample::subsequence(Window::default().days, 1..=7);
    (
        days,
        0..24_i8,
        0..60_i8,
        1..=7 * 24 * 60_u64,
        0..zones.len(),
    )
        .prop_map(move |(days, hour, minute, minutes, zone)| {
            window(
                &days,
                (hour, minute),
                Duration::from_secs(minutes * 60),
                zones[zone],
            )
        })
}

proptest! {
    #[test]
    fn there_is_always_a_window_within_a_fortnight_and_none_before_it_is_missed(
        windows in proptest::collection::vec(some_window(), 1..4),
        now in 1_700_000_000..2_000_000_000_i64,
        needed in 0..20 * 3600_u64,
    ) {
        let now = Timestamp::from_second(now).unwrap();
        let needed = Duration::from_secs(needed);
        let all = named(&windows);
        let found = next_opening(&all, needed, now).unwrap();
        let begins = found.opens.max(now);
        prop_assert!(begins.duration_since(now) <= SignedDuration::from_hours(24 * 14));
        prop_assert!(found.closes > begins);
        // It stays the same until it begins, and is open then.
        let half_way = now + begins.duration_since(now) / 2;
        for later in [half_way, begins] {
            prop_assert_eq!(next_opening(&all, needed, later).unwrap().opens, found.opens);
        }
        // Nothing is open before it that has enough left.
        if found.opens > now {
            let just_before = found.opens - SignedDuration::from_secs(1);
            let then = next_opening(&all, needed, just_before).unwrap();
            prop_assert!(then.opens > just_before);
        }
        // At its first moment one of the windows opens, by the clocks of its zone.
        let opened = windows.iter().any(|window| {
            let shown = window.time_zone.to_datetime(found.opens);
            let asked = shown.date().to_datetime(window.start);
            let real = window.time_zone.to_ambiguous_timestamp(asked).compatible().unwrap();
            real == found.opens && window.days.contains(&shown.weekday())
        });
        prop_assert!(opened || windows.iter().any(|window| window.length > HOUR * 24));
    }
}
