//! `serverTLSBootstrap` in the text of a KubeletConfiguration, nothing else touched.

use serde_json::Value;

use super::written::Written;
use crate::node::yaml;

const KEY: &str = "serverTLSBootstrap";

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapEdit {
    /// The whole new text.
    pub text: String,
    /// The line that goes away, if one does.
    pub removed: Option<String>,
    /// The line that comes, if one does.
    pub added: Option<String>,
}

/// Switches it on or off; `None` where it is so already.
///
/// # Errors
/// Why it cannot be edited in place, and what to do.
pub fn with_serving_bootstrap(text: &str, wanted: bool) -> Result<Option<BootstrapEdit>, String> {
    let unusual = |what: &str| format!("{what}; set {KEY}: {wanted} there by hand");
    let before = Written::parse(text)?.server_tls_bootstrap;
    if before.unwrap_or_default() == wanted {
        return Ok(None);
    }
    if yaml::looks_like_json(text) {
        return Err(unusual("it is JSON"));
    }
    let mut begun = false;
    for line in text.lines() {
        let ends = line.starts_with("...") || (begun && line.starts_with("---"));
        if ends {
            return Err(unusual("it has more than one document"));
        }
        begun |= !line.trim().is_empty() && !line.starts_with(['#', '%']);
    }
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut places = lines.iter().enumerate().filter(|(_, line)| is_of_key(line));
    let place = places.next().map(|(at, _)| at);
    if places.next().is_some() || place.is_some() != before.is_some() {
        return Err(unusual(&format!("{KEY} is written in an unusual way")));
    }
    let (added, removed) = match (place, wanted) {
        (Some(at), true) => {
            let old = lines[at];
            let new = switched_on(old).ok_or_else(|| {
                unusual(&format!("the value of {KEY} is written in an unusual way"))
            })?;
            (Some((at, new)), Some(old))
        }
        (Some(at), false) => (None, Some(lines.remove(at))),
        (None, _) => (
            Some((lines.len(), format!("{KEY}: true{}", line_break(text)))),
            None,
        ),
    };
    let removed = removed.map(shown);
    let edited = match &added {
        Some((at, new)) if removed.is_some() => {
            [lines[..*at].concat(), new.clone(), lines[at + 1..].concat()].concat()
        }
        Some((_, new)) => {
            let separator = match text {
                "" => "",
                text if text.ends_with('\n') => "",
                _ => line_break(text),
            };
            [text, separator, new].concat()
        }
        None => lines.concat(),
    };
    let reads = Written::parse(&edited)?
        .server_tls_bootstrap
        .unwrap_or_default();
    if reads != wanted || !differs_only_in_it(text, &edited) {
        return Err(unusual("the result would not be read as it is meant"));
    }
    Ok(Some(BootstrapEdit {
        text: edited,
        removed,
        added: added.map(|(_, new)| shown(&new)),
    }))
}

/// Whether a line has the key at its beginning, as a plain word.
fn is_of_key(line: &str) -> bool {
    line.strip_prefix(KEY)
        .is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(':'))
}

/// The line with `true` in the place of `false`; `None` where it does not say `false` plainly.
fn switched_on(line: &str) -> Option<String> {
    let (key, rest) = line.split_once(':')?;
    let value = rest.trim_start_matches([' ', '\t']);
    let (space, after) = (
        rest.get(..rest.len() - value.len())?,
        value.strip_prefix("false")?,
    );
    let ends = after.trim_start_matches([' ', '\t']);
    let is_plain = ends.trim().is_empty() || (ends.starts_with('#') && ends.len() < after.len());
    is_plain.then(|| format!("{key}:{space}true{after}"))
}

fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn shown(line: &str) -> String {
    line.trim_end_matches(['\r', '\n']).to_owned()
}

fn differs_only_in_it(before: &str, after: &str) -> bool {
    let read = |text: &str| {
        yaml::read::<Value>(text)
            .ok()
            .map(Option::unwrap_or_default)
    };
    let (Some(mut before), Some(mut after)) = (read(before), read(after)) else {
        return false;
    };
    // A text in which nothing is stands for an empty one.
    for value in [&mut before, &mut after] {
        if value.is_null() {
            *value = Value::Object(serde_json::Map::new());
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove(KEY);
        }
    }
    before == after
}

#[cfg(test)]
mod tests;
