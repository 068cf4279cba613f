//! Tests that cannot be run everywhere.

use std::io::Write as _;

/// Says that a test, or a part of it, is left out because the machine lacks what it needs. Where `CI` is set and not empty
/// the test fails instead: there, everything that tests need is installed.
///
/// # Panics
/// Under `CI`.
pub fn skipped(why: &str) {
    let must_run = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!must_run, "left out, but CI is set: {why}");
    say(why);
}

/// Says that a test does not apply to this machine, which lacks nothing: it is only another kind of machine than the one that
/// the test is about. This is no failure anywhere.
pub fn not_on_this_machine(why: &str) {
    say(why);
}

/// Past the test harness, which keeps what passing tests print to itself.
fn say(why: &str) {
    let _ = writeln!(std::io::stderr(), "!!! SKIPPED: {why}");
}
