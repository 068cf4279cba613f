//! The end of an operation: its receipt, then its journal.

use std::mem::discriminant;

use super::{Context, OperationError};
use crate::report::{History, HistoryError, Receipt};
use crate::transaction::Operation;

/// How an operation ends.
pub(super) struct Ending {
    /// What whoever asked is told if it did not end well.
    pub(super) error: Option<OperationError>,
    /// Whether restarts or proofs are owed that may work later. Then the journal stays, and recovery goes on with it.
    pub(super) owed: bool,
}

impl Ending {
    /// With nothing owed.
    pub(super) fn with(error: Option<OperationError>) -> Self {
        Self { error, owed: false }
    }
}

/// Writes the receipt and, unless something is owed, removes the journal. A journal is also kept for a receipt that
/// there is no room for; one that cannot be written for any other reason goes to the log, since it must not keep the
/// next operation from beginning.
///
/// # Errors
/// That of the operation itself, or else what was met here.
pub(super) fn end(
    context: &Context,
    operation: Operation<'_>,
    receipt: &Receipt,
    ending: Ending,
) -> Result<(), OperationError> {
    let written = keep(context, receipt);
    let waits = matches!(&written, Err(error) if error.is_no_room());
    let finished = if ending.owed || waits {
        Ok(())
    } else {
        let backup = &context.config.backup;
        operation.finish(receipt.outcome.clone(), backup.keep, backup.max_bytes)
    };
    let met = [
        finished.err().map(OperationError::from),
        written.err().map(OperationError::from),
    ];
    let mut first = ending.error;
    for error in met.into_iter().flatten() {
        match &first {
            None => first = Some(error),
            Some(_) => tracing::error!(operation_id = receipt.id.as_str(), "{error}"),
        }
    }
    first.map_or(Ok(()), Err)
}

/// Writes a receipt that says something new: an operation that was killed behind its receipt has it already, and one
/// that is tried again in vain needs no second.
fn keep(context: &Context, receipt: &Receipt) -> Result<(), HistoryError> {
    let history = History::new(&context.store());
    let written = history.last_of(&receipt.id).and_then(|last| {
        let outcome = last.map(|last| discriminant(&last.outcome));
        if outcome == Some(discriminant(&receipt.outcome)) {
            Ok(())
        } else {
            history.append(receipt)
        }
    });
    if let Err(error) = &written
        && !error.is_no_room()
    {
        let receipt_text = serde_json::to_string(receipt).unwrap_or_else(|error| error.to_string());
        tracing::error!(
            operation_id = receipt.id.as_str(),
            "the history does not take this receipt: {receipt_text}: {error}"
        );
    }
    written
}
