//! Files of the trees that are given, which others may have filled.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::CredentialError;
use crate::host::{Found, Place, Root, is_trusted_owner, read_at_most};

/// More than any request, certificate, key or kubeconfig with all its authorities: bytes.
const LIMIT: u64 = 256 * 1024;

/// A file that is there and may be relied on; `None` where there is none. A link, a file of another user, or one that is larger
/// than any of its kind is refused.
pub(super) fn find(
    root: &Root,
    path: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialError> {
    let refused = |reason: String| CredentialError::CredentialRefused {
        path: root.node_path(path),
        reason,
    };
    let Some(found) = look(root, path)? else {
        return Ok(None);
    };
    if found.is_link() {
        return Err(refused(
            "is a symbolic link; put the file itself there".to_owned(),
        ));
    }
    if !is_trusted_owner(found.uid) {
        return Err(refused(format!(
            "belongs to user {}, who could have put anything into it; look at it, and give it to root (chown)",
            found.uid
        )));
    }
    read_at_most(path, LIMIT)
        .map(|bytes| Some(Zeroizing::new(bytes)))
        .map_err(|error| refused(error.to_string()))
}

/// What is under a name, links not followed.
pub(super) fn look(root: &Root, path: &Path) -> Result<Option<Found>, CredentialError> {
    match Place::at(path).and_then(|place| place.look()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map_err(|error| CredentialError::CredentialRefused {
            path: root.node_path(path),
            reason: error.to_string(),
        }),
    }
}

/// Those of the paths at which anything is.
pub(super) fn those_there(
    root: &Root,
    paths: impl IntoIterator<Item = PathBuf>,
) -> Result<Vec<PathBuf>, CredentialError> {
    let mut there = Vec::new();
    for path in paths {
        if look(root, &path)?.is_some() {
            there.push(root.node_path(&path));
        }
    }
    Ok(there)
}
