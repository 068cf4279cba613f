//! The record of certificates that were issued to users: who has one, until when, under which number.

use std::io::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::error::CredentialError;
use crate::host::{
    Actor, FileError, Place, is_trusted_owner, lock_in_time, read_at_most, read_within,
};
use crate::journal::Store;
use crate::pki::serde_end;

/// More than any record: bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// One certificate that a user got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedToUser {
    /// Common name.
    pub client_name: String,
    /// Organizations, which are the user's groups.
    pub groups: Vec<String>,
    /// Serial number in hexadecimal digits, by which audit logs and revocations name it.
    pub serial: String,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it ends.
    #[serde(with = "serde_end")]
    pub end: Timestamp,
    /// Who issued it.
    pub by: Actor,
    /// The file it was written to; `None` for standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// The file, one line of JSON for each certificate.
#[derive(Debug)]
pub struct IssuedRecord {
    store: Store,
}

impl IssuedRecord {
    /// That of a state directory. Nothing is made yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
        }
    }

    fn path(&self) -> PathBuf {
        self.store.directory().join("issued.jsonl")
    }

    /// Writes one down, fsynced. What a power cut left of a line is removed before.
    ///
    /// # Errors
    /// [`CredentialError`]: then the certificate must not be given to anybody.
    pub fn append(&self, issued: &IssuedToUser) -> Result<(), CredentialError> {
        let path = self.path();
        let failed = || {
            FileError::of(
                &path,
                "could not be written, and nothing is issued that is not recorded",
            )
        };
        self.store
            .prepare()
            .map_err(|error| failed()(std::io::Error::other(error)))?;
        let mut file = Place::at(&path)
            .and_then(|place| place.open_or_create(OFlags::RDWR | OFlags::APPEND, 0o600))
            .map_err(failed())?;
        let text = file
            .metadata()
            .and_then(|metadata| {
                if !metadata.is_file() || metadata.len() > LIMIT {
                    return Err(std::io::Error::other(
                        "is no regular file, or larger than any record",
                    ));
                }
                lock_in_time(&file)?;
                read_within(&file, LIMIT, Vec::new())
            })
            .map_err(failed())?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut line = serde_json::to_string(issued).map_err(|error| failed()(error.into()))?;
        line.push('\n');
        let written = if whole < text.len() {
            file.set_len(whole as u64)
        } else {
            Ok(())
        };
        written
            .and_then(|()| file.write_all(line.as_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(failed())?;
        if text.is_empty() {
            crate::host::durable::sync_directory(self.store.directory())?;
        }
        Ok(())
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// [`CredentialError`]: a record that another user could have written, or with a line that cannot be read.
    pub fn all(&self) -> Result<Vec<IssuedToUser>, CredentialError> {
        let path = self.path();
        let shown = self.store.root().node_path(&path);
        let refused = |reason: String| CredentialError::CredentialRefused {
            path: shown.clone(),
            reason,
        };
        let found = match Place::at(&path).and_then(|place| place.look()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            found => found.map_err(|error| refused(error.to_string()))?,
        };
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        if !is_trusted_owner(found.uid) {
            return Err(refused(format!(
                "belongs to user {}, who could have written anything into it",
                found.uid
            )));
        }
        let text = read_at_most(&path, LIMIT).map_err(|error| refused(error.to_string()))?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines = text
            .get(..whole)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n');
        lines
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| {
                serde_json::from_slice(line).map_err(|error| {
                    refused(format!("line {} cannot be read ({error})", number + 1))
                })
            })
            .collect()
    }
}
