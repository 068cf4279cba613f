//! Where the history ends, in a file of its own: lines removed from its end would leave no trace in the others.

use std::io;

use super::error::HistoryError;
use crate::host::{digest, read_bounded, write_atomically};
use crate::journal::{Head, Store, TransactionError};

/// Writes how many receipts there are, and the digest of the last. After each receipt, so that a crash between the two
/// leaves a history that is one receipt longer.
pub(super) fn write(head: &Head, store: &Store) -> Result<(), HistoryError> {
    let path = store.history_end();
    let text = serde_json::to_vec(head).map_err(|error| HistoryError::File {
        path: path.clone(),
        source: error.into(),
    })?;
    Ok(write_atomically(&path, &text, 0o600).map_err(TransactionError::from)?)
}

/// What stands against the lines there are being all; `None` if nothing does.
pub(super) fn contradicts(store: &Store, lines: &[&[u8]]) -> Result<Option<String>, HistoryError> {
    let path = store.history_end();
    let text = match read_bounded(&path) {
        Ok(text) => text,
        // The first receipt may have been written just before a crash.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((lines.len() > 1).then(|| {
                format!(
                    "{}, which says how many receipts there are, is missing",
                    path.display()
                )
            }));
        }
        Err(source) => return Err(HistoryError::File { path, source }),
    };
    let Ok(end) = serde_json::from_slice::<Head>(&text) else {
        return Ok(Some(format!(
            "{} was changed: it cannot be understood",
            path.display()
        )));
    };
    Ok(
        match end.receipts.checked_sub(1).map(|last| lines.get(last)) {
            Some(Some(line)) if digest(line) != end.last => Some(format!(
                "receipt {} is not the one that was written there",
                end.receipts
            )),
            Some(None) => Some(format!(
                "there were {} receipts, and {} of them are missing at the end",
                end.receipts,
                end.receipts - lines.len()
            )),
            None => Some(format!(
                "{} was changed: it says that there are no receipts",
                path.display()
            )),
            _ => None,
        },
    )
}
