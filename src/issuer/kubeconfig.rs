//! Kubeconfigs as places where a certificate and its key lie.

use std::path::Path;

use zeroize::Zeroizing;

use crate::node::{Entry, EntryKind, read_bounded};
use crate::pki::Catalogued;

/// Whether the entry's file is a kubeconfig.
pub(super) fn is_kubeconfig(entry: &Entry) -> bool {
    matches!(
        entry.kind,
        EntryKind::Catalogued(Catalogued::Kubeconfig(_)) | EntryKind::KubeletConfig
    )
}

/// A kubeconfig, which may hold a key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read_bounded(path)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}
