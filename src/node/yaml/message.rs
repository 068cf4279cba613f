//! What is wrong with a text, in words of our own where the crate's show what is in the file or speak to programmers.

use serde_saphyr::Error;

/// The longest key that is shown: more than any of Kubernetes' fields, less than a key in base64.
const LONGEST_KEY: usize = 40;

/// What is wrong and where.
pub(super) fn of(error: &Error) -> String {
    let error = error.without_snippet();
    if let Error::AliasError { error, .. } = error {
        return of(error);
    }
    let what = what(error);
    match error.location() {
        Some(at) => format!("{what} at line {}, column {}", at.line(), at.column()),
        None => what,
    }
}

fn what(error: &Error) -> String {
    match error {
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "larger, deeper or with more aliases than any file of Kubernetes".to_owned()
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias (*) inside of what it stands for".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "an alias (*) for an anchor (&) that is not there".to_owned()
        }
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            "a merge key (<<) whose value is no mapping".to_owned()
        }
        Error::UnsupportedTag { .. }
        | Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }
        | Error::TaggedStructFieldName { .. }
        | Error::TaggedEnumMismatch { .. } => {
            "a tag (!) that is not known here or does not fit its value".to_owned()
        }
        Error::SerdeInvalidType { .. }
        | Error::SerdeInvalidValue { .. }
        | Error::SerdeInvalidLength { .. }
        | Error::InvalidScalar { .. }
        | Error::NullIntoString { .. }
        | Error::InvalidBooleanStrict { .. } => "a value of the wrong type".to_owned(),
        Error::NonFiniteFloat { .. } => "a number that is too large".to_owned(),
        Error::FoldedBlockScalarMustIndentContent { .. } => {
            "a folded text (>) that is not indented".to_owned()
        }
        Error::IndentationError { .. } => "a line that is not indented as it should be".to_owned(),
        Error::DuplicateMappingKey { key: Some(key), .. } if key.len() <= LONGEST_KEY => {
            format!("duplicate mapping key: {key}")
        }
        Error::DuplicateMappingKey { .. } => "a duplicate mapping key".to_owned(),
        Error::Eof { .. } => "the end of the file, where more is expected".to_owned(),
        Error::Unexpected { expected, .. } => format!("expected {expected}"),
        // The parser's own words: they are about signs of YAML.
        Error::ExternalMessage { msg, .. } => msg.clone(),
        _ => "something that cannot be read".to_owned(),
    }
}
