//! Reading one written value: the right type, within bounds, or a sentence that says what would be right.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeValue;

use super::Mistake;
use super::nearest::nearest;
use super::quantity::{parse_duration, parse_size, show_duration, show_size};
use super::{
    ApproverMode, Discover, Drain, KeyPolicy, KubeletRepair, LogFormat, OtherRenewer, RestartBy,
    RestartMode, RestartWait, TurnMode,
};
use crate::pki::{Catalogued, KeyAlgorithm};

const DAY: u64 = 86_400;

/// No path is longer.
const LONGEST_NAME: usize = 4096;

pub(super) type Written<'text> = Spanned<DeValue<'text>>;

/// What is wrong with a value, and where in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) mistake: Mistake,
    /// Continues the key's name: ` = "1y": years are ambiguous …`.
    pub(super) message: String,
}

/// The least and the most that a quantity may be, in seconds or bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: u64,
    pub(super) most: u64,
}

/// `renewal.other-renewer`
pub(super) const OTHER_RENEWERS: [(&str, OtherRenewer); 2] = [
    ("wait", OtherRenewer::Wait),
    ("ignore", OtherRenewer::Ignore),
];

/// `kubelet.repair`
pub(super) const REPAIRS: [(&str, KubeletRepair); 3] = [
    ("off", KubeletRepair::Off),
    ("expired", KubeletRepair::Expired),
    ("overdue", KubeletRepair::Overdue),
];

/// `admin-copies.discover`
pub(super) const DISCOVERIES: [(&str, Discover); 3] = [
    ("none", Discover::None),
    ("root", Discover::Root),
    ("users", Discover::Users),
];

/// `restart.mode`
pub(super) const MODES: [(&str, RestartMode); 3] = [
    ("affected", RestartMode::Affected),
    ("when-needed", RestartMode::WhenNeeded),
    ("none", RestartMode::None),
];

/// `restart.method`
pub(super) const METHODS: [(&str, RestartBy); 2] = [
    ("manifest", RestartBy::Manifest),
    ("container", RestartBy::Container),
];

/// `restart.wait`
pub(super) const WAITS: [(&str, RestartWait); 2] = [
    ("observed", RestartWait::Observed),
    ("interval", RestartWait::Interval),
];

/// `turn.mode`
pub(super) const TURN_MODES: [(&str, TurnMode); 2] =
    [("auto", TurnMode::Auto), ("off", TurnMode::Off)];

/// `approver.mode`
pub(super) const APPROVER_MODES: [(&str, ApproverMode); 3] = [
    ("off", ApproverMode::Off),
    ("observe", ApproverMode::Observe),
    ("approve", ApproverMode::Approve),
];

/// `log.format`
pub(super) const FORMATS: [(&str, LogFormat); 3] = [
    ("auto", LogFormat::Auto),
    ("journald", LogFormat::Journald),
    ("text", LogFormat::Text),
];

/// `renewal.key-algorithm`, with kubeadm's names
pub(super) const ALGORITHMS: [(&str, KeyPolicy); 6] = [
    ("keep", KeyPolicy::Keep),
    ("RSA-2048", KeyPolicy::Always(KeyAlgorithm::Rsa2048)),
    ("RSA-3072", KeyPolicy::Always(KeyAlgorithm::Rsa3072)),
    ("RSA-4096", KeyPolicy::Always(KeyAlgorithm::Rsa4096)),
    ("ECDSA-P256", KeyPolicy::Always(KeyAlgorithm::EcdsaP256)),
    ("ECDSA-P384", KeyPolicy::Always(KeyAlgorithm::EcdsaP384)),
];

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The word for a value of one of the tables above.
pub(super) fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| *known == value)
        .map_or("", |(name, _)| name)
}

pub(super) fn boolean(written: &Written<'_>) -> Result<bool, Vec<Wrong>> {
    written
        .get_ref()
        .as_bool()
        .ok_or_else(|| expects(written, "true or false, without quotes"))
}

pub(super) fn integer(
    written: &Written<'_>,
    least: usize,
    most: usize,
) -> Result<usize, Vec<Wrong>> {
    let what = format!("a whole number from {least} to {most}");
    let DeValue::Integer(number) = written.get_ref() else {
        return Err(expects(written, what));
    };
    i64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| expects(written, what))
}

pub(super) fn duration(
    written: &Written<'_>,
    example: &str,
    bounds: Bounds,
) -> Result<Duration, Vec<Wrong>> {
    let text = string(written, format!("a duration such as {example:?}"))?;
    if let Some(meant) = without_unit(text, example, bounds) {
        let reason = format!("the unit is missing; write {text:?} with one, as in {meant}");
        return Err(refuse(written, reason));
    }
    let duration = parse_duration(text).map_err(|reason| refuse(written, reason))?;
    if duration.as_secs() < bounds.least {
        let least = show_duration(Duration::from_secs(bounds.least));
        return Err(refuse(written, format!("too short; at least {least:?}")));
    }
    if duration.as_secs() > bounds.most {
        let most = show_duration(Duration::from_secs(bounds.most));
        return Err(refuse(written, format!("too long; at most {most:?}")));
    }
    Ok(duration)
}

/// The word of `restart.drain` for the pod's own grace.
const OWN_GRACE: &str = "pod";

/// `restart.drain`
pub(super) fn drain(written: &Written<'_>) -> Result<Drain, Vec<Wrong>> {
    let what = format!("a duration such as \"3s\", or {OWN_GRACE:?} for the pod's own grace");
    if string(written, what)?.trim() == OWN_GRACE {
        return Ok(Drain::Pod);
    }
    let bounds = Bounds {
        least: 0,
        most: 600,
    };
    duration(written, "3s", bounds).map(Drain::For)
}

/// As [`drain`] reads it.
pub(super) fn show_drain(drain: Drain) -> String {
    match drain {
        Drain::For(time) => show_duration(time),
        Drain::Pod => OWN_GRACE.to_owned(),
    }
}

/// `before` of all certificates or of one.
pub(super) fn before(written: &Written<'_>) -> Result<Duration, Vec<Wrong>> {
    let bounds = Bounds {
        least: 60,
        most: 3650 * DAY,
    };
    duration(written, "30d", bounds)
}

/// `validity` of all certificates or of one.
pub(super) fn validity(written: &Written<'_>) -> Result<Duration, Vec<Wrong>> {
    let bounds = Bounds {
        least: 600,
        most: 36_500 * DAY,
    };
    duration(written, "8760h", bounds)
}

/// For a bare number, what may be meant by it: with the units that suit the key and lead to something it may be.
fn without_unit(text: &str, example: &str, bounds: Bounds) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let units = match example.chars().last() {
        Some('d') => ["d", "h"],
        Some('h') => ["h", "d"],
        Some('m') => ["m", "s"],
        _ => ["s", "m"],
    };
    let meant: Vec<String> = units
        .iter()
        .map(|unit| format!("{text}{unit}"))
        .filter(|meant| {
            parse_duration(meant)
                .is_ok_and(|meant| (bounds.least..=bounds.most).contains(&meant.as_secs()))
        })
        .map(|meant| format!("{meant:?}"))
        .collect();
    Some(if meant.is_empty() {
        format!("{example:?}")
    } else {
        meant.join(" or ")
    })
}

pub(super) fn size(
    written: &Written<'_>,
    example: &str,
    bounds: Bounds,
) -> Result<u64, Vec<Wrong>> {
    let text = string(written, format!("a size such as {example:?}"))?;
    let bytes = parse_size(text).map_err(|reason| refuse(written, reason))?;
    if bytes < bounds.least {
        return Err(refuse(
            written,
            format!("too small; at least {:?}", show_size(bounds.least)),
        ));
    }
    if bytes > bounds.most {
        return Err(refuse(
            written,
            format!("too large; at most {:?}", show_size(bounds.most)),
        ));
    }
    Ok(bytes)
}

pub(super) fn choice<T: Copy>(
    written: &Written<'_>,
    table: &[(&'static str, T)],
) -> Result<T, Vec<Wrong>> {
    let words: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    let text = string(written, format!("one of {}", quoted(&words)))?;
    table
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| not_among(written, text, &words))
}

pub(super) fn key_algorithm(written: &Written<'_>) -> Result<KeyPolicy, Vec<Wrong>> {
    choice(written, &ALGORITHMS)
}

/// A time of day: `02:00`.
pub(super) fn time_of_day(written: &Written<'_>) -> Result<Time, Vec<Wrong>> {
    let text = string(written, "a time of day such as \"02:00\"")?;
    let parts = text.split_once(':').filter(|(hour, minute)| {
        [hour, minute]
            .iter()
            .all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    parts
        .and_then(|(hour, minute)| Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok())
        .ok_or_else(|| {
            refuse(
                written,
                "not a time of day; write hours and minutes from \"00:00\" to \"23:59\"",
            )
        })
}

/// A time zone by its IANA name, as this machine knows it.
pub(super) fn time_zone(written: &Written<'_>) -> Result<TimeZone, Vec<Wrong>> {
    let text = string(written, "a time zone such as \"Europe/Berlin\"")?;
    // Known without any database.
    if text == "UTC" {
        return Ok(TimeZone::UTC);
    }
    if let Ok(zone) = TimeZone::get(text)
        && zone.iana_name().is_some()
    {
        return Ok(zone);
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.as_str().to_owned())
        .collect();
    Err(refuse(
        written,
        match nearest(text, known.iter().map(String::as_str)) {
            Some(near) => format!("this machine knows no such time zone; did you mean {near:?}?"),
            None if known.len() < 2 => {
                "this machine knows no time zones; install tzdata, or write \"UTC\"".to_owned()
            }
            None => "this machine knows no such time zone; `timedatectl list-timezones` shows them"
                .to_owned(),
        },
    ))
}

/// What to say of a word that is nearly, and not, the name of a certificate of kubeadm's.
pub(super) fn misspelt_name(name: &str) -> Option<String> {
    let known: Vec<&str> = Catalogued::all()
        .into_iter()
        .map(Catalogued::name)
        .collect();
    let is_word = !name.contains(['.', '/']);
    let is_near = || nearest(name, known.iter().copied()).is_some();
    (is_word && !known.contains(&name) && is_near()).then(|| suggestion(name, &known))
}

/// Whether a table, or a certificate in a list, may be called so.
///
/// # Errors
/// In words.
pub(super) fn check_table_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        Err("a name is missing".to_owned())
    } else if name.len() > LONGEST_NAME {
        Err(format!("longer than {LONGEST_NAME} bytes, so no name"))
    } else if name.chars().any(char::is_control) {
        Err("a name cannot hold control characters".to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn path(written: &Written<'_>, example: &str) -> Result<PathBuf, Vec<Wrong>> {
    let text = string(written, format!("an absolute path such as {example:?}"))?;
    absolute(written, text, example)
}

/// As [`path`], but the empty text means that it is found on the node.
pub(super) fn optional_path(
    written: &Written<'_>,
    example: &str,
) -> Result<Option<PathBuf>, Vec<Wrong>> {
    let what = format!("an absolute path such as {example:?}, or \"\" to find it on the node");
    match string(written, what)? {
        "" => Ok(None),
        text => absolute(written, text, example).map(Some),
    }
}

/// As [`optional_path`], for a unix socket; the kubelet's spelling `unix:///run/…` is understood too.
pub(super) fn socket(written: &Written<'_>, example: &str) -> Result<Option<PathBuf>, Vec<Wrong>> {
    let what = format!("the path of a socket such as {example:?}, or \"\" to find it on the node");
    match string(written, what)? {
        "" => Ok(None),
        text => absolute(
            written,
            text.strip_prefix("unix://").unwrap_or(text),
            example,
        )
        .map(Some),
    }
}

/// A tracing filter: a level, or `target=level`, or several of them between commas.
pub(super) fn filter(written: &Written<'_>) -> Result<String, Vec<Wrong>> {
    let text = string(
        written,
        "a level such as \"info\", or a filter such as \"info,kubecertd::restart=debug\"",
    )?;
    if let Some(word) = no_level(text) {
        return Err(not_among(written, word, &LEVELS));
    }
    match parse_filter(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(reason) => Err(refuse(written, reason)),
    }
}

/// Whether a text is such a filter; if not, what would be right.
///
/// # Errors
/// In words.
pub(crate) fn check_filter(text: &str) -> Result<(), String> {
    match no_level(text) {
        Some(word) => Err(suggestion(word, &LEVELS)),
        None => parse_filter(text),
    }
}

/// The first word that stands where a level should. A bare one would be taken for a target with everything on, and
/// everything else off.
fn no_level(text: &str) -> Option<&str> {
    text.split(',')
        .map(|directive| directive.rsplit('=').next().unwrap_or_default().trim())
        .find(|level| !LEVELS.contains(&level.to_ascii_lowercase().as_str()))
}

fn parse_filter(text: &str) -> Result<(), String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| ())
        .map_err(|error| format!("not a filter: {error}"))
}

pub(super) fn absolute(
    written: &Written<'_>,
    text: &str,
    example: &str,
) -> Result<PathBuf, Vec<Wrong>> {
    if !text.starts_with('/') {
        return Err(refuse(
            written,
            format!("not an absolute path; write it from the root, as in {example:?}"),
        ));
    }
    if text.contains('\0') {
        return Err(refuse(written, "a path cannot hold a NUL character"));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn string<'value>(
    written: &'value Written<'_>,
    what: impl fmt::Display,
) -> Result<&'value str, Vec<Wrong>> {
    written
        .get_ref()
        .as_str()
        .ok_or_else(|| expects(written, what))
}

pub(super) fn expects(written: &Written<'_>, what: impl fmt::Display) -> Vec<Wrong> {
    vec![Wrong {
        span: written.span(),
        mistake: Mistake::WrongType,
        message: format!(" expects {what}, found {}", describe(written.get_ref())),
    }]
}

pub(super) fn refuse(written: &Written<'_>, reason: impl fmt::Display) -> Vec<Wrong> {
    let value = written.get_ref().as_str().unwrap_or_default();
    vec![Wrong {
        span: written.span(),
        mistake: Mistake::WrongValue,
        message: format!(" = {value:?}: {reason}"),
    }]
}

fn not_among(written: &Written<'_>, text: &str, words: &[&str]) -> Vec<Wrong> {
    let reason = suggestion(text, words);
    let value = written.get_ref().as_str().unwrap_or(text);
    vec![Wrong {
        span: written.span(),
        mistake: Mistake::UnknownWord,
        message: format!(" = {value:?}; {reason}"),
    }]
}

fn suggestion(text: &str, words: &[&str]) -> String {
    match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? ({})", words.join(", ")),
        None => format!("not one of {}", words.join(", ")),
    }
}

fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("{word:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `integer 30`, `string "x"`, `array`: the type and, where it is short, the value.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 40 => format!("string {text:?}"),
        DeValue::String(_) => "a long string".to_owned(),
        DeValue::Integer(number) => format!("integer {number}"),
        DeValue::Float(number) => format!("float {number}"),
        DeValue::Boolean(truth) => format!("boolean {truth}"),
        DeValue::Datetime(moment) => format!("date-time {moment}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
