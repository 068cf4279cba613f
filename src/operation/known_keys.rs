//! Keeping what a signing found out about the authorities' keys, so that nobody opens them to know it.

use super::Context;
use crate::host::write_atomically;
use crate::issuer::ReadKey;
use crate::node::{KnownKey, known_keys, known_keys_file};

/// Keeps it beside what was known before. A failure only means that a key which is not the CA's is noticed when it is to sign.
pub(super) fn keep(context: &Context, read: &[ReadKey]) {
    let before = known_keys(&context.root);
    let mut known = before.clone();
    for key in read {
        let key = KnownKey::new(&context.root, &key.path, key.file, &key.own, &key.others);
        known.retain(|other| other.path != key.path);
        known.push(key);
    }
    known.sort_by(|one, other| one.path.cmp(&other.path));
    if known == before {
        return;
    }
    let kept = serde_json::to_vec_pretty(&known)
        .map_err(|error| error.to_string())
        .and_then(|text| {
            let path = context
                .root
                .resolve(&known_keys_file(&context.root))
                .map_err(|error| error.to_string())?;
            write_atomically(&path, &text, 0o600).map_err(|error| error.to_string())
        });
    if let Err(error) = kept {
        tracing::debug!(%error, "what was found out about the authorities' keys is not kept");
    }
}
