//! Words and assignments as systemd reads them (systemd.syntax(7), systemd.exec(5)).

/// The words of a line: blanks part them, quotes hold them together, a backslash takes the next sign as it is.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some('"') | None) => {
                word.get_or_insert_default().extend(letters.next());
            }
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// The variables of an environment file. Quotes around a value are not part of it; those within it stay, since the value is
/// parted into words only later.
pub(super) fn assignments(text: &str) -> Vec<(String, String)> {
    text.replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            Some((name.trim().to_owned(), unquoted(value.trim()).to_owned()))
        })
        .collect()
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        for (line, expected) in [
            ("", &[][..]),
            ("  a\tb ", &["a", "b"]),
            ("\"a b\" 'c d'e", &["a b", "c de"]),
            ("a=\"b c\" ''", &["a=b c", ""]),
            (r#"a\ b "c\"d" 'e\f'"#, &["a b", "c\"d", r"e\f"]),
            ("'a b", &["a b"]),
            ("a\\", &["a"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn variables_of_a_file() {
        assert_eq!(
            assignments("# A=no\n; B=no\nA=\"--a=1 \\\n --b='c d'\"\nB='x'\nnothing\n C = d\n"),
            [("A", "--a=1   --b='c d'"), ("B", "x"), ("C", "d")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
