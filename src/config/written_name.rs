//! A name of a table as TOML writes it.

/// The name as it stands in `[certificate.NAME]`: bare where TOML allows that, else in quotes. On one line, whatever is in it.
pub(super) fn written_name(name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare {
        return name.to_owned();
    }
    let mut written = String::from("\"");
    for letter in name.chars() {
        match letter {
            '"' | '\\' => written.extend(['\\', letter]),
            letter if letter.is_control() => {
                written.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => written.push(letter),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may

    use super::*;

    #[test]
    fn toml_reads_every_name_back() {
        for name in [
            "apiserver",
            "admin.conf",
            "a/b c.crt",
            "\"",
            "\\",
            "",
            "\n\u{7f}\u{9b}\0",
            "\u{202e}é",
        ] {
            let text = format!("[{}]\n", written_name(name));
            assert_eq!(text.lines().count(), 1, "{text:?}");
            let read: toml::Table = text.parse().unwrap();
            assert_eq!(read.keys().collect::<Vec<_>>(), [name], "{text}");
        }
    }
}
