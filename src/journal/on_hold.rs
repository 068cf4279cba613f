//! An administrator's word that the daemon is to begin nothing by itself for a while.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use jiff::Timestamp;

use super::error::TransactionError;
use super::store::Store;
use crate::host::{
    FileError, durable, is_trusted_owner, open_regular, read_within, write_atomically,
};

/// The largest such file.
const LIMIT: u64 = 16 * 1024;

/// Operations by schedule wait while it is there and not over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OnHold {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; without, until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Store {
    /// `journal/hold.json`, in the directory that the daemon watches.
    #[must_use]
    pub fn hold_file(&self) -> PathBuf {
        self.journal().join("hold.json")
    }

    /// The hold that is in force at `now`.
    ///
    /// # Errors
    /// The file cannot be read within bounds, is not this program's, or makes no sense: then nothing is held.
    pub fn on_hold(&self, now: Timestamp) -> io::Result<Option<OnHold>> {
        let (file, length) = match open_regular(&self.hold_file(), LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if !is_trusted_owner(metadata.uid()) || metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other(
                "another user may have written it, so it holds nothing; remove it",
            ));
        }
        let capacity = usize::try_from(length).unwrap_or(0);
        let content = read_within(file, LIMIT, Vec::with_capacity(capacity))?;
        let hold: OnHold = serde_json::from_slice(&content).map_err(|error| {
            io::Error::other(format!(
                "it makes no sense ({error}), so it holds nothing; run `kubecertd unhold`"
            ))
        })?;
        Ok(Some(hold).filter(|hold| hold.until.is_none_or(|until| now < until)))
    }

    /// Holds operations by schedule back from now on, whatever held them back before.
    ///
    /// # Errors
    /// [`TransactionError::File`].
    pub fn hold(&self, hold: &OnHold) -> Result<(), TransactionError> {
        self.prepare()?;
        let path = self.hold_file();
        let content = serde_json::to_vec(hold)
            .map_err(|source| FileError::of(&path, "could not be written")(source.into()))?;
        Ok(write_atomically(&path, &content, 0o600)?)
    }

    /// Holds nothing back any more. Whether there was something to lift.
    ///
    /// # Errors
    /// [`TransactionError::File`].
    pub fn lift_hold(&self) -> Result<bool, TransactionError> {
        Ok(durable::remove_if_there(&self.hold_file())?)
    }
}
