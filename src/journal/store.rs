//! Where kubecertd keeps its own state.

use std::io;
use std::path::{Path, PathBuf};

use super::error::TransactionError;
use crate::host::{self, Root, durable};

/// The state directory and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    directory: PathBuf,
    root: Root,
}

impl Store {
    /// `/var/lib/kubecertd` under the root. Nothing is made yet.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        let directory = root.join("/var/lib/kubecertd");
        Self {
            // A link that cannot be followed is reported by whoever opens a file behind it.
            directory: root.resolve(&directory).unwrap_or(directory),
            root: root.clone(),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The root it lies under. Journal and backups hold the node's own paths, so that they are understood under
    /// another root too: on a rescue system, say.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Follows the symbolic links of a real path as the node would; see [`Root::resolve`].
    ///
    /// # Errors
    /// A loop of links, or what reading a link gives.
    pub fn resolve(&self, real: &Path) -> io::Result<PathBuf> {
        self.root.resolve(real)
    }

    /// Makes the state directories, mode 0700, where they are missing, and takes from others what somebody gave them: who can
    /// write a journal decides over the files of the cluster. One that belongs to another user is not relied on.
    ///
    /// # Errors
    /// [`TransactionError::File`].
    pub fn prepare(&self) -> Result<(), TransactionError> {
        if let Some(parent) = self.directory.parent() {
            host::make_directories(parent, 0o755)
                .map_err(TransactionError::file(parent, "could not be made"))?;
        }
        for directory in [self.directory.clone(), self.journal(), self.backups()] {
            durable::make_private_directory(&directory)?;
            durable::keep_private(&directory)?;
        }
        Ok(())
    }

    /// `journal/`: one file per operation in flight.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    /// `backups/`: one directory per operation.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.directory.join("backups")
    }

    /// `history.jsonl`
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.directory.join("history.jsonl")
    }

    /// `history.end`: how many receipts there are.
    #[must_use]
    pub fn history_end(&self) -> PathBuf {
        self.directory.join("history.end")
    }

    /// `holder`: the process id of who has the lock, or had it last.
    pub(super) fn holder_file(&self) -> PathBuf {
        self.directory.join("holder")
    }

    /// The journal of one operation.
    pub(crate) fn journal_file(&self, id: &str) -> PathBuf {
        self.journal().join(format!("{id}.jsonl"))
    }

    /// Ids of the operations in flight, or cut off, oldest first.
    ///
    /// # Errors
    /// [`TransactionError::File`] when the journal's directory is there but cannot be read.
    pub fn in_flight(&self) -> Result<Vec<String>, TransactionError> {
        let directory = self.journal();
        let mut ids = Vec::new();
        for name in durable::names_in(&directory)? {
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".jsonl"))
                && !id.starts_with('.')
            {
                ids.push(id.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn directories_are_private_and_links_of_the_root_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        std::fs::create_dir_all(root.join("/data")).unwrap();
        symlink("/data", root.join("/var")).unwrap();
        let store = Store::new(&root);
        assert_eq!(store.directory(), root.join("/data/lib/kubecertd"));
        store.prepare().unwrap();
        store.prepare().unwrap();
        for made in [
            store.directory().to_path_buf(),
            store.journal(),
            store.backups(),
        ] {
            let mode = std::fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700);
        }
        let others = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(store.journal(), others).unwrap();
        store.prepare().unwrap();
        let mode = std::fs::metadata(store.journal()).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o700);
    }
}
