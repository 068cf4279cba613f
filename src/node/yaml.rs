//! YAML and JSON into typed values, with errors that show a position and nothing of the content.

use serde::de::DeserializeOwned;
use serde_saphyr::Error;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

/// What a repeated key of a mapping means.
#[derive(Debug, Clone, Copy)]
pub(super) enum RepeatedKeys {
    /// The last one counts, as for the kubelet.
    LastWins,
    /// An error: nobody can edit such a file safely.
    Refused,
}

/// More than in any manifest or kubeconfig, few enough for a hostile one to stay within the unit's memory.
const MOST_NODES: usize = 50_000;

/// Reads a document. An empty one is the type's default.
///
/// # Errors
/// `what is wrong at line 3, column 5`. No snippet: the file may hold keys and tokens.
pub(super) fn parse<T: DeserializeOwned + Default>(
    text: &str,
    repeated: RepeatedKeys,
) -> Result<T, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: match repeated {
            RepeatedKeys::LastWins => DuplicateKeyPolicy::LastWins,
            RepeatedKeys::Refused => DuplicateKeyPolicy::Error,
        },
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: MOST_NODES },
        // A token such as 12e3456 is a number to YAML, and larger than any.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_str_with_options::<Option<T>>(text, options)
        .map(Option::unwrap_or_default)
        .map_err(|error| message(&error))
}

/// What is wrong, in words of our own where the crate's show what is in the file or speak to programmers.
fn message(error: &Error) -> String {
    let what = match error.without_snippet() {
        Error::AliasError { error, .. } => return message(error),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            "larger, deeper or with more aliases than any file of Kubernetes"
        }
        Error::MultipleDocuments { .. } => "more than one YAML document; keep one",
        Error::UnsupportedTag { .. } => "a tag (!) that is not known here",
        Error::SerdeInvalidType { .. } | Error::SerdeInvalidValue { .. } => {
            "a value of the wrong type"
        }
        Error::NonFiniteFloat { .. } => "a number that is too large",
        Error::DuplicateMappingKey { key: Some(key), .. } if key.len() <= LONGEST_KEY => {
            &format!("duplicate mapping key: {key}")
        }
        Error::DuplicateMappingKey { .. } => "a duplicate mapping key",
        _ => return error.to_string(),
    };
    match error.location() {
        Some(at) => format!("{what} at line {}, column {}", at.line(), at.column()),
        None => what.to_owned(),
    }
}

/// The longest key that is shown: more than any of Kubernetes' fields, less than a key in base64.
const LONGEST_KEY: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    struct Sample {
        name: Option<String>,
        count: Option<u32>,
    }

    #[test]
    fn errors_have_a_position_and_no_content() {
        for text in [
            "count: topsecret",
            "name: {topsecret: 1}",
            "name: \"topsecret",
            "topsecret",
            "name: topsecret: [",
            "name: *topsecret",
            "name: !!binary topsecret%%",
            "count: 'topsecret'",
            "name: [topsecret, }",
            "name: 'topsecret' topsecret",
            "@topsecret",
            "name: %topsecret",
            "name: `topsecret",
            "name: |topsecret",
            "name: &topsecret *topsecret",
        ] {
            let error = match parse::<Sample>(text, RepeatedKeys::Refused) {
                Err(error) => error,
                Ok(sample) => panic!("{text} is read as {sample:?}"),
            };
            assert!(error.contains("line 1, column"), "{text}: {error}");
            assert!(!error.contains("topsecret"), "{text}: {error}");
        }
    }

    #[test]
    fn repeated_keys_are_refused_or_the_last_counts() {
        let text = "name: a\nname: b\ncount: 3\n";
        assert_eq!(
            parse::<Sample>(text, RepeatedKeys::Refused).unwrap_err(),
            "duplicate mapping key: name at line 2, column 1"
        );
        let sample: Sample = parse(text, RepeatedKeys::LastWins).unwrap();
        assert_eq!((sample.name.as_deref(), sample.count), (Some("b"), Some(3)));
    }

    #[test]
    fn a_token_that_looks_like_a_huge_number_is_a_text_and_never_shown() {
        let value: serde_json::Value =
            parse("token: 12e3456\nname: .inf\n", RepeatedKeys::Refused).unwrap();
        assert!(value["token"].is_string() && value["name"].is_string());
        for (text, name) in [("name: 12e3456", "12e3456"), ("name: 0777", "0777")] {
            let sample: Sample = parse(text, RepeatedKeys::Refused).unwrap();
            assert_eq!(sample.name.as_deref(), Some(name));
        }
        let digits = "7".repeat(1_000_000);
        let error =
            parse::<Sample>(&format!("count: {digits}"), RepeatedKeys::Refused).unwrap_err();
        assert!(
            error.len() < 200 && !error.contains("777"),
            "{}",
            error.len()
        );
    }

    #[test]
    fn a_file_that_grows_when_it_is_read_is_refused() {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (letter, before) in ('b'..='i').zip('a'..) {
            let aliases = vec![format!("*{before}"); 10].join(", ");
            text.push_str(&format!("{letter}: &{letter} [{aliases}]\n"));
        }
        for text in [
            text,
            format!("a: {}", "[".repeat(5_000_000)),
            "- ".repeat(5_000_000),
        ] {
            let begun = std::time::Instant::now();
            let error = parse::<serde_json::Value>(&text, RepeatedKeys::Refused).unwrap_err();
            assert!(error.len() < 200, "{error}");
            assert!(
                begun.elapsed() < std::time::Duration::from_secs(10),
                "{:?}",
                begun.elapsed()
            );
        }
    }
}
