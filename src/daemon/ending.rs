//! How an operation ended, as far as it decides what the daemon does next.

use super::held;
use crate::checks::Finding;
use crate::journal::TransactionError;
use crate::operation::{Fault, OperationError, RenewalReport};

/// The code where some certificates were not renewed.
const NOT_RENEWED: &str = "not-renewed";

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is done. The operations' ids, where there was something to do.
    Done(Vec<String>),
    /// Some of what was due was not renewed.
    Incomplete {
        operations: Vec<String>,
        fault: Fault,
    },
    /// It was asked to stop.
    Stopped(String),
    /// Another kubecertd holds the lock: its process id, where that is known.
    Busy(Option<u32>),
    /// This was no moment for it. With the reason where an administrator has to put something right; what only has to be
    /// waited for is no failure.
    NotNow(Option<Fault>),
    /// This was no moment for restarts that an earlier operation left.
    RestartsWait(String),
    /// It failed, or a part of it did.
    Failed {
        operations: Vec<String>,
        fault: Fault,
        /// Whether pods were restarted in vain.
        disturbed: bool,
    },
}

impl Ending {
    pub(super) fn of(result: Result<RenewalReport, OperationError>) -> Self {
        let report = match result {
            Ok(report) => report,
            Err(error) => return Self::of_error(error),
        };
        let operations = report.operations().map(str::to_owned).collect();
        // What only has to be waited for shows at the next look.
        let errors: Vec<OperationError> = report.errors.into_iter().filter(is_failure).collect();
        let failed = report.failed.into_iter().map(|one| one.fault.text);
        let reasons: Vec<String> = failed
            .chain(errors.iter().map(ToString::to_string))
            .collect();
        if reasons.is_empty() {
            return Self::Done(operations);
        }
        let fault = Fault {
            code: NOT_RENEWED,
            text: reasons.join("; "),
        };
        if errors.is_empty() {
            return Self::Incomplete { operations, fault };
        }
        Self::Failed {
            operations,
            fault,
            disturbed: errors.iter().any(OperationError::disturbed_the_node),
        }
    }

    fn of_error(error: OperationError) -> Self {
        match error {
            OperationError::Stopped => Self::Stopped(error.to_string()),
            OperationError::Transaction(TransactionError::Busy { holder }) => Self::Busy(holder),
            OperationError::NotNow(_) => {
                Self::NotNow(is_failure(&error).then(|| Fault::from(&error)))
            }
            OperationError::RestartsWait { .. } => Self::RestartsWait(error.to_string()),
            error => Self::Failed {
                operations: Vec::new(),
                disturbed: error.disturbed_the_node(),
                fault: Fault::from(&error),
            },
        }
    }
}

/// Whether an administrator has to put something right, rather than wait.
fn is_failure(error: &OperationError) -> bool {
    let OperationError::NotNow(findings) = error else {
        return true;
    };
    let refused: Vec<&Finding> = findings.iter().collect();
    held::is_refused(&refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Asked, Cause, Severity};
    use crate::operation::NotRenewed;

    #[test]
    fn what_only_has_to_be_waited_for_is_no_failure() {
        let ended = |severity| {
            let finding = Finding::new(Cause::ClockAlone, severity, Asked::BySchedule);
            Ending::of(Err(OperationError::NotNow(vec![finding])))
        };
        assert_eq!(ended(Severity::Wait), Ending::NotNow(None));
        let refused = ended(Severity::Refuse);
        assert!(matches!(refused, Ending::NotNow(Some(_))), "{refused:?}");
    }

    #[test]
    fn only_what_restarted_pods_in_vain_has_disturbed_the_node() {
        let disturbed = |error| match Ending::of(Err(error)) {
            Ending::Failed { disturbed, .. } => disturbed,
            other => panic!("{other:?}"),
        };
        assert!(disturbed(OperationError::KubeletCannotStart(
            "x".to_owned()
        )));
        assert!(!disturbed(OperationError::NothingIssued(vec![
            "x".to_owned()
        ])));
    }

    #[test]
    fn every_certificate_that_was_not_renewed_is_a_reason() {
        let not_renewed = |name: &str, text: &str| NotRenewed {
            id: name.into(),
            fault: Fault {
                code: "not-signed",
                text: text.to_owned(),
            },
        };
        let report = RenewalReport {
            operation: Some("id".to_owned()),
            failed: vec![not_renewed("a", "no key"), not_renewed("b", "no CA")],
            ..RenewalReport::default()
        };
        let expected = Ending::Incomplete {
            operations: vec!["id".to_owned()],
            fault: Fault {
                code: NOT_RENEWED,
                text: "no key; no CA".to_owned(),
            },
        };
        assert_eq!(Ending::of(Ok(report)), expected);
    }

    #[test]
    fn a_part_that_failed_counts_and_one_that_only_waits_does_not() {
        let ended = |error| {
            Ending::of(Ok(RenewalReport {
                operation: Some("a".to_owned()),
                further: vec!["b".to_owned()],
                errors: vec![error],
                ..RenewalReport::default()
            }))
        };
        let ids = || vec!["a".to_owned(), "b".to_owned()];
        let finding = Finding::new(Cause::ClockAlone, Severity::Wait, Asked::BySchedule);
        let waits = OperationError::NotNow(vec![finding]);
        assert_eq!(ended(waits), Ending::Done(ids()));
        let text = "x".to_owned();
        let failed = Ending::Failed {
            operations: ids(),
            fault: Fault {
                code: NOT_RENEWED,
                text: text.clone(),
            },
            disturbed: true,
        };
        let fault = Fault { code: "x", text };
        assert_eq!(ended(OperationError::Failed(fault)), failed);
    }
}
