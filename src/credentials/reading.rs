//! Files of the trees that are given, which others may have filled.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::CredentialError;
use super::places::{OTHERS_WRITE, check_directory};
use crate::host::{
    Attributes, Found, LinkOnTheWay, Place, Root, is_trusted_owner, open_regular, read_within,
};

/// More than any request, certificate, key or kubeconfig with all its authorities: bytes.
const LIMIT: u64 = 256 * 1024;

/// The contents of a file that may be relied on, and what else it has.
pub(super) struct Relied {
    pub(super) contents: Zeroizing<Vec<u8>>,
    pub(super) attributes: Attributes,
}

/// A file that is there and may be relied on; `None` where there is none. A link, a file of another user or in a directory that
/// others write, one that others write, or one that is larger than any of its kind is refused.
pub(super) fn find(
    root: &Root,
    path: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialError> {
    Ok(find_all(root, path)?.map(|relied| relied.contents))
}

/// The same with its attributes. It is opened once, and judged by what was opened.
pub(super) fn find_all(root: &Root, path: &Path) -> Result<Option<Relied>, CredentialError> {
    let refused = |reason: String| CredentialError::CredentialRefused {
        path: root.node_path(path),
        reason,
    };
    if let Some(directory) = path.parent() {
        check_directory(root, directory)?;
    }
    let (file, length) = match open_regular(path, LIMIT) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if LinkOnTheWay::is_cause_of(&error) => {
            return Err(refused(
                "is a symbolic link, or one is on the way to it; put the file itself there"
                    .to_owned(),
            ));
        }
        Err(error) => return Err(refused(error.to_string())),
    };
    let unread = |error: io::Error| refused(error.to_string());
    let attributes = Attributes::of(&file).map_err(unread)?;
    if !is_trusted_owner(attributes.uid) {
        return Err(refused(format!(
            "belongs to user {}, who could have put anything into it; look at it, and give it to root (chown)",
            attributes.uid
        )));
    }
    if attributes.mode & OTHERS_WRITE != 0 {
        return Err(refused(format!(
            "can be written to by others (mode {:04o}), who could have put anything into it; look at it, and take that from them \
             (chmod go-w)",
            attributes.mode
        )));
    }
    // One more than its length: then reading to the end never moves a key to a second buffer.
    let room = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    let contents = read_within(file, LIMIT, room).map_err(unread)?;
    Ok(Some(Relied {
        contents: Zeroizing::new(contents),
        attributes,
    }))
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
