//! The first document of a text, within bounds.

use serde::de::{Deserialize as _, DeserializeOwned};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Options};

/// More than in any manifest or kubeconfig, few enough for a hostile one to stay within the unit's memory.
const MOST_NODES: usize = 50_000;

pub(super) fn options(duplicate_keys: DuplicateKeyPolicy, merge_keys: MergeKeyPolicy) -> Options {
    serde_saphyr::options! {
        duplicate_keys: duplicate_keys,
        merge_keys: merge_keys,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: MOST_NODES },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_NODES },
        // A token such as 12e3456 is a number to YAML, and larger than any.
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    }
}

pub(super) fn first_document<T: DeserializeOwned>(
    text: &str,
    options: Options,
) -> Result<Option<T>, Error> {
    let mut first = None;
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |document| {
        first = Some(Option::<T>::deserialize(document)?);
        Ok(())
    });
    match (first, read) {
        // An error after the first document is of what nobody reads.
        (Some(value), _) => Ok(value),
        (None, Ok(()) | Err(Error::Eof { .. })) => Ok(None),
        (None, Err(error)) => Err(error),
    }
}
