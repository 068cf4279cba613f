//! What a successor of a certificate is asked for by request.

use super::extension::{self, Extension};
use super::issue_error::IssueError;
use super::reissue::of_a_leaf;
use super::{Certificate, PrivateKey, request};
use crate::host::digest;

/// What is asked for: the rest is the CA's own affair.
const ASKED_FOR: [&[u64]; 4] = [
    extension::SUBJECT_ALT_NAME,
    extension::KEY_USAGE,
    extension::EXTENDED_KEY_USAGE,
    extension::BASIC_CONSTRAINTS,
];

/// A request (PEM) for a successor of `old` for `key`: its subject byte for byte, its names, key usages and extended key usages;
/// and never for a CA.
///
/// # Errors
/// [`IssueError::Signing`].
pub fn request_successor(old: &Certificate, key: &PrivateKey) -> Result<String, IssueError> {
    request::encode(&old.subject_der, &asked_for(old), key)
}

/// A digest of what [`request_successor`] asks for: it changes only with that.
#[must_use]
pub fn digest_of_request(old: &Certificate) -> String {
    let mut all = old.subject_der.clone();
    for extension in asked_for(old) {
        all.extend(extension.der);
    }
    digest(&all)
}

fn asked_for(old: &Certificate) -> Vec<Extension> {
    of_a_leaf(old)
        .into_iter()
        .filter(|extension| ASKED_FOR.iter().any(|oid| extension.is(oid)))
        .collect()
}
