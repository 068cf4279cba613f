//! New files beside old ones.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::survey::attributes_of;
use crate::host::{ACCESS_LIST, Attributes, durable, link};
use crate::issuer::{Given, Replacement};
use crate::journal::{StagedFile, Store, TransactionError};

/// Of a mode, what a file with a private key may have of it.
const PRIVATE: u32 = 0o640;

/// Whether the contents are, or hold, a private key: then nobody but its owner and, at most, its group may read them.
fn is_secret(replacement: &Replacement) -> bool {
    let contents = &replacement.contents;
    let holds = |text: &[u8]| contents.windows(text.len()).any(|window| window == text);
    replacement.mode_if_new & 0o077 == 0 || holds(b"PRIVATE KEY-----") || holds(b"client-key-data")
}

/// Writes the new files beside the old ones, with the attributes of those. Gives the paths to be flushed.
pub(super) fn stage(
    store: &Store,
    files: &[StagedFile],
    replacements: &[Replacement],
) -> Result<Vec<PathBuf>, TransactionError> {
    let mut written = Vec::with_capacity(files.len());
    let mut changed = Vec::with_capacity(files.len());
    let root = store.root().holding();
    for (file, replacement) in files.iter().zip(replacements) {
        let staged = file.staged(store);
        changed.push(staged.clone());
        if let Some(target) = replacement.link_target() {
            link::make(target, &staged, None).map_err(TransactionError::file(
                &file.target(store),
                "its successor could not be staged",
            ))?;
            continue;
        }
        let mut attributes = attributes_of(&root, &file.target(store))?;
        if let Some(attributes) = &mut attributes
            && is_secret(replacement)
        {
            attributes.mode &= PRIVATE;
        }
        if let Some(attributes) = &mut attributes {
            give(attributes, &replacement.given);
        }
        root.place(&staged)
            .and_then(|place| place.create(0o600))
            .and_then(|mut new| {
                new.write_all(&replacement.contents)?;
                durable::begin_flush(&new);
                match &attributes {
                    Some(attributes) => attributes.give_to(&new),
                    None => new
                        .set_permissions(Permissions::from_mode(replacement.mode_if_new & 0o7777)),
                }
            })
            .map_err(TransactionError::file(
                &file.target(store),
                "its successor could not be staged",
            ))?;
        written.push(staged);
    }
    written.extend(directories(&changed));
    Ok(written)
}

/// What the configuration says wins over what the old file has.
fn give(attributes: &mut Attributes, given: &Given) {
    attributes.uid = given.owner.unwrap_or(attributes.uid);
    attributes.gid = given.group.unwrap_or(attributes.gid);
    if let Some(mode) = given.mode {
        attributes.mode = mode;
        // A list beside it would say otherwise.
        attributes.xattrs.remove(ACCESS_LIST);
    }
}

/// Removes what was staged for either way. All of it is tried; the first error is returned.
pub(super) fn unstage(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    let mut result = Ok(());
    let mut changed = Vec::new();
    for file in files {
        for path in [file.staged(store), file.restored(store)] {
            match durable::remove_if_there(&path) {
                Ok(true) => changed.push(path),
                Ok(false) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
    }
    Ok(result.and_then(|()| durable::sync_all(&directories(&changed)))?)
}

/// The directories of these paths, each once.
pub(crate) fn directories(paths: &[PathBuf]) -> Vec<PathBuf> {
    let unique: BTreeSet<&OsStr> = paths
        .iter()
        .filter_map(|path| path.parent().map(Path::as_os_str))
        .collect();
    unique.into_iter().map(PathBuf::from).collect()
}
