//! The end of an operation: its receipt, then its journal.

use std::mem::discriminant;

use super::error::{Fault, OperationError};
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use super::witness::testify;
use crate::files::Operation;
use crate::journal::Outcome;
use crate::report::{History, HistoryError, Receipt};
use crate::restart::{Remedy, RestartReport};

/// How an operation ended: what its receipt says, what its caller is told, and whether it is tried again.
pub(super) struct Ending {
    outcome: Outcome,
    error: Option<OperationError>,
    /// The code of what it failed for.
    code: Option<&'static str>,
    /// Whether the rest may work later: restarts, proofs, files to be put back. Then the journal stays, and recovery goes
    /// on with it.
    is_retried: bool,
    /// Whether its receipt is written although an earlier one has the same outcome, for another reason.
    is_news: bool,
}

impl Ending {
    fn new(outcome: Outcome, error: Option<OperationError>) -> Self {
        Self {
            outcome,
            code: error.as_ref().map(OperationError::code),
            error,
            is_retried: false,
            is_news: false,
        }
    }

    /// All is done.
    pub(super) fn done() -> Self {
        Self::new(Outcome::Done, None)
    }

    /// The old files are back and in use; for which reason is in the receipt.
    pub(super) fn undone(reason: Fault) -> Self {
        Self {
            code: Some(reason.code),
            ..Self::new(Outcome::RolledBack(reason.text), None)
        }
    }

    /// The old files are back.
    pub(super) fn rolled_back(error: OperationError) -> Self {
        Self::new(Outcome::RolledBack(error.to_string()), Some(error))
    }

    /// The new files stay, or no file was changed.
    pub(super) fn failed(error: OperationError) -> Self {
        Self::new(Outcome::Failed(error.to_string()), Some(error))
    }

    /// What it left is part of another operation from now on, or is given up.
    pub(super) fn left(outcome: Outcome) -> Self {
        Self::new(outcome, None)
    }

    /// What its receipt will say.
    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The code of what it failed for.
    pub(super) fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// The rest is tried again.
    pub(super) fn retried(mut self) -> Self {
        self.is_retried = true;
        self
    }

    /// The rest is tried again if there are restarts that it did not get to.
    pub(super) fn retried_for_restarts(mut self, operation: &Operation<'_>) -> Self {
        self.is_retried = !operation.restarts_left().is_empty();
        self
    }

    /// Its receipt says something new, whatever earlier ones say.
    pub(super) fn with_news(mut self) -> Self {
        self.is_news = true;
        self
    }
}

/// Writes the receipt and, unless the rest is tried again, removes the journal. A journal is also kept for a receipt that
/// there is no room for; one that cannot be written for any other reason goes to the log, since it must not keep the
/// next operation from beginning.
///
/// # Errors
/// That of the operation itself, or else what was met here.
pub(super) fn end(
    run: &Run<'_>,
    operation: Operation<'_>,
    ending: Ending,
    report: &RenewalReport,
) -> Result<(), OperationError> {
    let receipt = receipt(run, &operation, ending.outcome, ending.code, report);
    let written = keep(run, &receipt, ending.is_news);
    let waits = matches!(&written, Err(error) if error.is_no_room());
    let finished = if ending.is_retried || waits {
        Ok(())
    } else {
        let backup = &run.context.config.backup;
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
fn keep(run: &Run<'_>, receipt: &Receipt, is_news: bool) -> Result<(), HistoryError> {
    let history = History::new(&run.context.store());
    let written = history.last_of(&receipt.id).and_then(|last| {
        let is_written = last.is_some_and(|last| {
            last.outcome == receipt.outcome
                || (!is_news && discriminant(&last.outcome) == discriminant(&receipt.outcome))
        });
        if is_written {
            Ok(())
        } else {
            let head = history.append(receipt)?;
            testify(run.context, receipt, &head);
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

/// What the history keeps of an operation.
fn receipt(
    run: &Run<'_>,
    operation: &Operation<'_>,
    outcome: Outcome,
    code: Option<&'static str>,
    report: &RenewalReport,
) -> Receipt {
    let remarks = remarks(report);
    Receipt {
        id: operation.id().to_owned(),
        started: operation.started(),
        finished: crate::host::now(),
        trigger: operation.trigger().clone(),
        kind: Some(operation.kind()),
        by: operation.by().cloned(),
        history_before: operation.history().cloned(),
        turn: run.turn.taken(),
        outcome,
        code: code.map(str::to_owned),
        certificates: report.renewed.clone(),
        restarts: healthy(&report.restarts),
        remedies: remedies(&report.restarts),
        proofs: report
            .proofs
            .iter()
            .map(|proof| format!("{}: {}", proof.id, proof.evidence))
            .collect(),
        copies: report.copies.clone(),
        warnings: remarks.iter().map(Remark::to_string).collect(),
        remarks: remarks.iter().map(Remark::coded).collect(),
    }
}

/// All that went wrong without ending it.
fn remarks(report: &RenewalReport) -> Vec<Remark> {
    let failed = report.failed.iter().cloned();
    let not_restarted = (!report.not_restarted.is_empty()).then(|| Remark::OldFilesInUse {
        components: report.not_restarted.clone(),
    });
    let not_told = (!report.not_told.is_empty()).then(|| Remark::UsersNotTold {
        users: report.not_told.clone(),
    });
    failed
        .map(|one| Remark::NotRenewed {
            certificate: one.id,
            cause: one.fault.code,
            reason: one.fault.text,
        })
        .chain(report.unproved.iter().cloned())
        .chain(report.warnings.iter().cloned())
        .chain(not_restarted)
        .chain(not_told)
        .collect()
}

/// What was tried for pods that did not come back in the usual way, by component.
fn remedies(reports: &[RestartReport]) -> Vec<(String, Vec<Remedy>)> {
    reports
        .iter()
        .filter(|report| !report.remedies.is_empty())
        .map(|report| (report.component.clone(), report.remedies.clone()))
        .collect()
}

/// Seconds from manifest out to healthy, by component.
fn healthy(reports: &[RestartReport]) -> Vec<(String, f64)> {
    reports
        .iter()
        .map(|one| (one.component.clone(), one.healthy_seconds))
        .collect()
}
