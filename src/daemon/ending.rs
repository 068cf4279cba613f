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
    /// All is done. Its id, where there was something to do.
    Done(Option<String>),
    /// Some of what was due was not renewed.
    Incomplete {
        operation: Option<String>,
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
    /// It failed.
    Failed {
        fault: Fault,
        /// Whether pods were restarted in vain.
        disturbed: bool,
    },
}

impl Ending {
    pub(super) fn of(result: Result<RenewalReport, OperationError>) -> Self {
        match result {
            Ok(report) if report.failed.is_empty() => Self::Done(report.operation),
            Ok(report) => {
                let reasons: Vec<&str> = report
                    .failed
                    .iter()
                    .map(|one| one.fault.text.as_str())
                    .collect();
                Self::Incomplete {
                    fault: Fault {
                        code: NOT_RENEWED,
                        text: reasons.join("; "),
                    },
                    operation: report.operation,
                }
            }
            Err(error @ OperationError::Stopped) => Self::Stopped(error.to_string()),
            Err(OperationError::Transaction(TransactionError::Busy { holder })) => {
                Self::Busy(holder)
            }
            Err(OperationError::NotNow(findings)) => {
                let refused: Vec<&Finding> = findings.iter().collect();
                Self::NotNow(
                    held::is_refused(&refused)
                        .then(|| Fault::from(&OperationError::NotNow(findings))),
                )
            }
            Err(error @ OperationError::RestartsWait { .. }) => {
                Self::RestartsWait(error.to_string())
            }
            Err(error) => Self::Failed {
                disturbed: error.disturbed_the_node(),
                fault: Fault::from(&error),
            },
        }
    }
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
            operation: Some("id".to_owned()),
            fault: Fault {
                code: NOT_RENEWED,
                text: "no key; no CA".to_owned(),
            },
        };
        assert_eq!(Ending::of(Ok(report)), expected);
    }
}
