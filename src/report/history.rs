//! One receipt per finished operation, each holding the digest of the one before.

mod chain;
mod compare;
mod end;
mod error;
mod receipt;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use rustix::fs::OFlags;

use self::chain::{check, line, lines, without_torn_end};
pub use self::compare::{Comparison, Witness};
use self::compare::{compare, found_before};
pub use self::error::HistoryError;
pub use self::receipt::Receipt;
use crate::host::{Place, digest, lock_in_time, read_at_most, read_within};
use crate::journal::{Head, Store};

/// More than a history ever has: bytes.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The append-only file. Each line is a receipt with the digest of the line before (`previous`) and of itself
/// (`digest`); how many there are stands in a file beside it.
#[derive(Debug)]
pub struct History {
    store: Store,
}

impl History {
    /// The history of a store. Nothing is made yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
        }
    }

    /// Appends a receipt, fsynced. A torn last line, from a power cut, is removed before.
    ///
    /// Gives where the history ends now.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn append(&self, receipt: &Receipt) -> Result<Head, HistoryError> {
        self.store.prepare()?;
        let path = self.store.history();
        let failed = |source| HistoryError::File {
            path: path.clone(),
            source,
        };
        let mut file = Place::at(&path)
            .and_then(|place| place.open_or_create(OFlags::RDWR | OFlags::APPEND, 0o600))
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() > LIMIT {
            let reason = "is no regular file, or larger than any history";
            return Err(failed(io::Error::other(reason)));
        }
        lock_in_time(&file).map_err(failed)?;
        let text = read_within(&file, LIMIT, Vec::new()).map_err(failed)?;
        let whole = without_torn_end(&text);
        if whole.len() < text.len() {
            tracing::warn!(
                path = %path.display(),
                bytes = text.len() - whole.len(),
                "the last line of the history was never finished; it is removed"
            );
            file.set_len(whole.len() as u64).map_err(failed)?;
        }
        let previous = lines(whole).last().map(digest).unwrap_or_default();
        let line = line(receipt, &previous).map_err(|error| failed(error.into()))?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        if text.is_empty() {
            // The file may be new: its name is to be as durable as its contents.
            Place::at(self.store.directory())
                .and_then(|place| place.open(OFlags::RDONLY)?.sync_all())
                .map_err(failed)?;
        }
        let before: Vec<&[u8]> = lines(whole).collect();
        let head = Head {
            receipts: before.len() + 1,
            last: digest(line.trim_end_matches('\n').as_bytes()),
        };
        if let Some(reason) = end::contradicts(&self.store, &before)? {
            // What shows that receipts are missing must not be covered up by the next one.
            tracing::error!(path = %path.display(), "the history is not whole: {reason}");
            return Ok(head);
        }
        end::write(&head, &self.store)?;
        Ok(head)
    }

    /// Where the history ends.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn head(&self) -> Result<Head, HistoryError> {
        let text = self.read()?;
        let all: Vec<&[u8]> = lines(without_torn_end(&text)).collect();
        Ok(Head {
            receipts: all.len(),
            last: all.last().map(|line| digest(line)).unwrap_or_default(),
        })
    }

    /// Compares the receipts with what another record of them says. Whether they hang together is [`Self::verify`]'s.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn compare(&self, witnesses: &[Witness]) -> Result<Comparison, HistoryError> {
        let text = self.read()?;
        let all: Vec<&[u8]> = lines(without_torn_end(&text)).collect();
        Ok(compare(&all, witnesses))
    }

    /// All receipts, oldest first; a line that is none is an error of its own. A torn last line is left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn entries(&self) -> Result<Vec<Result<Receipt, HistoryError>>, HistoryError> {
        let text = self.read()?;
        Ok(lines(without_torn_end(&text))
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_slice(line)
                    .map_err(|error| self.broken(index, format!("it is no receipt: {error}")))
            })
            .collect())
    }

    /// The last receipt of an operation.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_of(&self, id: &str) -> Result<Option<Receipt>, HistoryError> {
        let text = self.read()?;
        let lines: Vec<&[u8]> = lines(without_torn_end(&text)).collect();
        // From the end, where it nearly always is: a history of years takes long to read.
        let names_it = |line: &&[u8]| std::str::from_utf8(line).is_ok_and(|line| line.contains(id));
        let receipts = lines.into_iter().rev().filter(names_it);
        Ok(receipts
            .filter_map(|line| serde_json::from_slice::<Receipt>(line).ok())
            .find(|receipt| receipt.id == id))
    }

    /// All receipts, oldest first. A torn last line is left out.
    ///
    /// # Errors
    /// [`HistoryError`] for the first line that is none.
    pub fn receipts(&self) -> Result<Vec<Receipt>, HistoryError> {
        self.entries()?.into_iter().collect()
    }

    /// Checks every line's digest, and that there are as many as were written; returns the number of receipts. A torn last
    /// line is left out.
    ///
    /// # Errors
    /// [`HistoryError::Broken`] for the first line that was changed, is missing or was moved.
    pub fn verify(&self) -> Result<usize, HistoryError> {
        let text = self.read()?;
        let all: Vec<&[u8]> = lines(without_torn_end(&text)).collect();
        let mut previous = String::new();
        let mut digests: Vec<String> = Vec::with_capacity(all.len());
        for (index, line) in all.iter().enumerate() {
            check(line, &previous)
                .and_then(|before| found_before(before.as_ref(), &digests))
                .map_err(|reason| self.broken(index, reason))?;
            previous = digest(line);
            digests.push(previous.clone());
        }
        match end::contradicts(&self.store, &all)? {
            Some(reason) => Err(self.broken(all.len(), reason)),
            None => Ok(all.len()),
        }
    }

    fn read(&self) -> Result<Vec<u8>, HistoryError> {
        let path = self.store.history();
        match read_at_most(&path, LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|source| HistoryError::File { path, source }),
        }
    }

    fn broken(&self, index: usize, reason: String) -> HistoryError {
        HistoryError::Broken {
            path: self.store.history(),
            line: index + 1,
            reason,
        }
    }
}
