//! Text of others on its way to a terminal or log: names of files and pods, subjects, what a server answered.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serializer;

/// The text with everything escaped that a terminal or a log takes for more than a letter: control characters, line breaks
/// included, and those that change the direction of the text or are not seen. The escapes are JSON's, so JSON stays JSON.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for a text of several lines, whose line breaks stay.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter != '\n' && is_harmful(letter))
}

/// Whether there is anything in the text to be escaped.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    !text.contains(is_harmful)
}

/// A path in a document: what of it is no text is replaced, since a document that cannot be written says nothing at all.
///
/// # Errors
/// The serializer's own.
pub fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Several of them.
///
/// # Errors
/// The serializer's own.
pub fn serialize_paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            letter if !is_escaped(letter) => escaped.push(letter),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(escaped)
}

fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            // Directions (bidi), line and paragraph separators.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Not seen: no width, joiners, tags, annotations.
            | '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_a_letter_is_escaped() {
        for (text, expected) in [
            ("kube-apiserver ü 漢 \\x1b", "kube-apiserver ü 漢 \\x1b"),
            ("\x1b[2J\x07", "\\u001b[2J\\u0007"),
            ("a\nerror: b\r\tc", "a\\nerror: b\\r\\tc"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
            ("\u{202e}txt.\u{2066}", "\\u202etxt.\\u2066"),
            ("a\u{200b}b\u{2028}", "a\\u200bb\\u2028"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(printable(text), expected);
            assert_eq!(is_printable(text), text == expected);
        }
        assert_eq!(printable_lines("a\x1b\nb\n"), "a\\u001b\nb\n");
    }

    #[test]
    fn json_says_the_same_afterwards() {
        let value = serde_json::json!({ "name": "a\n\x1b\u{7f}\u{9b}\u{202e}\u{e0041}\"\\" });
        for text in [
            value.to_string(),
            serde_json::to_string_pretty(&value).unwrap_or_default(),
        ] {
            let shown = printable_lines(&text);
            assert!(is_printable(&shown.replace('\n', "")), "{shown}");
            assert_eq!(serde_json::from_str(&shown).ok(), Some(value.clone()));
        }
    }
}
