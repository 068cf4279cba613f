//! The file that a control plane made for a node, on that node.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::CredentialError;
use super::places::real;
use super::reading;
use crate::host::{FileError, Place, Root};

/// Mode bits of anybody but the owner.
const OTHERS: u32 = 0o077;

/// A file that only root could read and write, and what was in it.
pub struct NodeFile {
    path: PathBuf,
    shown: PathBuf,
    /// All of it.
    pub contents: Zeroizing<Vec<u8>>,
}

/// Without the contents, which have a key in them.
impl std::fmt::Debug for NodeFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NodeFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl NodeFile {
    /// Reads one as it was given on the command line. A link, another user's file, one that others may read or write, one in a directory
    /// that others write, and one that is larger than any of its kind is refused.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn read(root: &Root, given: &Path) -> Result<Self, CredentialError> {
        // A link in the file's own place is not followed: who made it decides what is read, and what is removed.
        let path = match (given.parent(), given.file_name()) {
            (Some(directory), Some(name)) => {
                let directory = if directory.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    directory
                };
                real(root, directory)?.join(name)
            }
            _ => real(root, given)?,
        };
        let shown = root.node_path(&path);
        let refused = |reason: String| CredentialError::CredentialRefused {
            path: shown.clone(),
            reason,
        };
        let found = reading::find_all(root, &path)?
            .ok_or_else(|| refused("is not there; nothing was changed".to_owned()))?;
        if found.attributes.mode & OTHERS != 0 {
            return Err(refused(format!(
                "has the key of a kubelet in it, and others may read it (mode {:04o}); whoever did acts as this node. Have another \
                 issued, and keep it from them (chmod 600)",
                found.attributes.mode
            )));
        }
        Ok(Self {
            path,
            shown,
            contents: found.contents,
        })
    }

    /// As the administrator knows it.
    #[must_use]
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Removes it: what it held lies elsewhere now.
    ///
    /// # Errors
    /// [`CredentialError::CredentialFile`].
    pub fn remove(self) -> Result<(), CredentialError> {
        let removed = Place::at(&self.path).and_then(|place| place.remove());
        Ok(removed.map_err(FileError::of(
            &self.shown,
            "has a key in it and could not be removed; remove it by hand",
        ))?)
    }
}
