//! YAML and JSON into typed values as Kubernetes' own readers take them, with errors that show a position and nothing of
//! the content.

mod document;
mod documents;
mod merges;
mod message;
#[cfg(test)]
mod tests;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use document::{first_document, options};

/// Reads the first document, as Kubernetes' YAML reader (sigs.k8s.io/yaml) does: what comes after it is not looked at, and
/// of a key that is repeated the last one counts. `None` for a document in which nothing is.
///
/// # Errors
/// `what is wrong at line 3, column 5`. No snippet: the file may hold keys and tokens.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<Option<T>, String> {
    no_armour(text)?;
    refused_letter(text)?;
    refused_directive(text)?;
    let merges = text.contains("<<");
    if merges {
        merges::check(text)?;
    }
    if !merges && !text.contains('&') && !text.contains('*') {
        // Nearly always nothing is repeated, and then what comes last need not be sought, which takes as long as all the rest.
        let without_repetition = options(DuplicateKeyPolicy::Error, MergeKeyPolicy::AsOrdinary);
        if let Ok(read) = first_document(text, without_repetition) {
            return Ok(read);
        }
    }
    first_document(
        text,
        options(DuplicateKeyPolicy::LastWins, MergeKeyPolicy::Merge),
    )
    .map_err(|error| message::of(&error))
}

/// Reads every document in which something is, in order.
///
/// # Errors
/// As [`read`], with the position in the whole text.
pub(super) fn read_all<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for document in documents::documents(text)? {
        if document.trim().is_empty() {
            continue;
        }
        all.extend(read(&document)?);
    }
    Ok(all)
}

/// Reads JSON. A repeated key is an error: Go merges the two, so no other reader can tell what counts.
///
/// # Errors
/// As [`read`].
pub(super) fn read_json<T: DeserializeOwned>(text: &str) -> Result<Option<T>, String> {
    // Only that it is JSON: a number is a text where one is wanted, as in YAML.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    first_document(
        text,
        options(DuplicateKeyPolicy::Error, MergeKeyPolicy::AsOrdinary),
    )
    .map_err(|error| message::of(&error))
}

/// Whether the kubelet takes a manifest for JSON, which it then has to be, and not for YAML.
pub(super) fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Kubernetes' reader refuses control characters wherever they are.
fn refused_letter(text: &str) -> Result<(), String> {
    let unwanted = |letter: &char| {
        (letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    let Some(at) = text.find(|letter| unwanted(&letter)) else {
        return Ok(());
    };
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    Err(format!(
        "a control character at line {}, column {}",
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1
    ))
}

/// A PEM file is no YAML, and must not be tried: what the reader makes of a private key on the way to its error is not wiped.
fn no_armour(text: &str) -> Result<(), String> {
    let mut has_begun = false;
    for (index, line) in text.lines().enumerate() {
        let is_boundary = line == "---" || line == "..." || line.starts_with("--- ");
        if is_boundary && has_begun {
            break;
        }
        has_begun |= !is_boundary && !line.trim().is_empty() && !line.starts_with('#');
        if line.starts_with("-----BEGIN ") {
            return Err(format!(
                "a PEM block, as of a certificate or key, which is not YAML, at line {}, column 1",
                index + 1
            ));
        }
    }
    Ok(())
}

/// The directives before the first document: Kubernetes' reader knows `%TAG` and `%YAML 1.1` only.
fn refused_directive(text: &str) -> Result<(), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if let Some(directive) = line.strip_prefix('%') {
            let mut words = directive.split_whitespace();
            match (words.next(), words.next()) {
                (Some("TAG"), _) | (Some("YAML"), Some("1.1")) => {}
                (Some("YAML"), _) => {
                    return Err(format!(
                        "a directive (%YAML) of another version than 1.1 at line {}, column 1",
                        index + 1
                    ));
                }
                _ => {
                    return Err(format!(
                        "a directive (%) that is not known at line {}, column 1",
                        index + 1
                    ));
                }
            }
        } else if !(line.is_empty() || line.trim_start().starts_with('#')) {
            break;
        }
    }
    Ok(())
}
