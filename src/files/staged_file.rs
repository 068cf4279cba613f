//! Where a file of an operation is, and how it compares with what the journal says.

use std::path::PathBuf;

use crate::host::durable;
use crate::journal::{StagedFile, Store, TransactionError};

/// How a target compares with what the journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    /// As before the operation.
    Old,
    /// As the operation wants it.
    New,
    /// There is no file although there was one.
    Gone,
    /// Somebody else wrote it.
    Foreign,
}

impl StagedFile {
    pub(crate) fn target(&self, store: &Store) -> PathBuf {
        store.root().join(&self.target)
    }

    pub(crate) fn staged(&self, store: &Store) -> PathBuf {
        store.root().join(&self.staged)
    }

    /// Where the old file is staged on its way back.
    pub(super) fn restored(&self, store: &Store) -> PathBuf {
        let mut name = self.staged(store).into_os_string();
        name.push("-old");
        PathBuf::from(name)
    }

    pub(super) fn contents(&self, store: &Store) -> Result<Contents, TransactionError> {
        let now = durable::digest_of(&self.target(store))?;
        Ok(match now {
            Some(now) if now == self.new_digest => Contents::New,
            now if now == self.old_digest => Contents::Old,
            None => Contents::Gone,
            Some(_) => Contents::Foreign,
        })
    }
}
