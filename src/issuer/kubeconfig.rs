//! Kubeconfigs as places where a certificate and its key lie.

use std::path::Path;

use zeroize::{Zeroize as _, Zeroizing};

use crate::node::{Entry, EntryKind, read_bounded};
use crate::pki::Catalogued;

/// Whether the entry's file is a kubeconfig.
pub(super) fn is_kubeconfig(entry: &Entry) -> bool {
    matches!(
        entry.kind,
        EntryKind::Catalogued(Catalogued::Kubeconfig(_)) | EntryKind::KubeletConfig
    )
}

/// The text of a kubeconfig, which may hold a key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let bytes = read_bounded(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|error| {
            let reason = format!("not text: {error}");
            error.into_bytes().zeroize();
            reason
        })
}
