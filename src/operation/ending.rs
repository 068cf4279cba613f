//! The end of an operation: its receipt, then its journal.

use std::mem::discriminant;

use super::witness::testify;
use super::{Context, OperationError};
use crate::files::Operation;
use crate::report::{History, HistoryError, Receipt};

/// How an operation ends.
pub(super) struct Ending {
    /// What whoever asked is told if it did not end well.
    pub(super) error: Option<OperationError>,
    /// Whether something is owed that may work later: restarts, proofs, files to be put back. Then the journal stays, and
    /// recovery goes on with it.
    pub(super) owed: bool,
    /// Whether its receipt is written although an earlier one has the same outcome, for another reason.
    news: bool,
}

impl Ending {
    /// With nothing owed.
    pub(super) fn with(error: Option<OperationError>) -> Self {
        Self {
            error,
            owed: false,
            news: false,
        }
    }

    /// With something to be tried again.
    pub(super) fn owing(error: OperationError) -> Self {
        Self {
            error: Some(error),
            owed: true,
            news: false,
        }
    }

    /// As bad as it ended, with whatever restarts it did not get to.
    pub(super) fn with_restarts_left(error: OperationError, operation: &Operation<'_>) -> Self {
        if operation.restarts_left().is_empty() {
            Self::with(Some(error))
        } else {
            Self::owing(error)
        }
    }

    /// With nothing owed any more, because somebody said so.
    pub(super) fn given_up() -> Self {
        Self {
            news: true,
            ..Self::with(None)
        }
    }

    /// Why it did not end well, in words.
    pub(super) fn reason(&self) -> String {
        self.error
            .as_ref()
            .map(OperationError::to_string)
            .unwrap_or_default()
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
    let written = keep(context, receipt, ending.news);
    let waits = matches!(&written, Err(error) if error.is_no_room());
    let finished = if ending.owed || waits {
        Ok(())
    } else {
        let backup = &context.config.backup;
        // A restart alone does not ask whether the clock is right.
        let operation = if receipt.certificates.is_empty() {
            operation
        } else {
            operation.with_max_age(backup.max_age, receipt.finished)
        };
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
fn keep(context: &Context, receipt: &Receipt, news: bool) -> Result<(), HistoryError> {
    let history = History::new(&context.store());
    let written = history.last_of(&receipt.id).and_then(|last| {
        let is_told = last.is_some_and(|last| {
            last.outcome == receipt.outcome
                || (!news && discriminant(&last.outcome) == discriminant(&receipt.outcome))
        });
        if is_told {
            Ok(())
        } else {
            let head = history.append(receipt)?;
            testify(context, receipt, &head);
            Ok(())
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
