//! YAML and JSON into typed values, with errors that show a position and nothing of the content.

use serde::de::DeserializeOwned;
use serde_saphyr::options::DuplicateKeyPolicy;

/// What a repeated key of a mapping means.
#[derive(Debug, Clone, Copy)]
pub(super) enum RepeatedKeys {
    /// The last one counts, as for the kubelet.
    LastWins,
    /// An error: nobody can edit such a file safely.
    Refused,
}

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
    };
    serde_saphyr::from_str_with_options::<Option<T>>(text, options)
        .map(Option::unwrap_or_default)
        .map_err(|error| {
            error
                .to_string()
                .replace(", set DuplicateKeyPolicy in Options if acceptable", "")
        })
}

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
        ] {
            let error = parse::<Sample>(text, RepeatedKeys::Refused).unwrap_err();
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
}
