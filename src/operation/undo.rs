//! Putting the old files back when the new ones do not work.

use super::OperationError;
use super::ending::Ending;
use super::event::Event;
use super::in_flight::left_alone;
use super::proof::prove_again;
use super::report::RenewalReport;
use super::restarts::Restarts;
use super::run::Run;
use crate::files::Operation;
use crate::journal::TransactionError;
use crate::restart::RestartError;

/// Puts the old files back and, where pods were touched, restarts them again with those and proves that these are in
/// use. `names`: the certificates. A file that another process changed meanwhile stays as it is.
///
/// # Errors
/// [`OperationError::Stopped`].
pub(super) async fn undo(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    names: &[String],
    reason: &str,
    report: &mut RenewalReport,
) -> Result<Ending, OperationError> {
    run.tell(Event::RollingBack {
        reason: reason.to_owned(),
    });
    let mut warnings: Vec<String> = match operation.roll_back(reason) {
        Ok(()) => Vec::new(),
        Err(TransactionError::LeftAlone { paths }) => {
            paths.iter().map(|path| left_alone(path)).collect()
        }
        Err(error) => {
            let text = format!(
                "{reason}; and the old files could not be put back: {error}; copies of them are in {}",
                run.context.store().backups().join(operation.id()).display()
            );
            return Ok(Ending::failed(OperationError::Failed(text)).retried());
        }
    };
    let touched: Vec<String> = operation
        .restarts_left()
        .into_iter()
        .map(|(component, _)| component)
        .collect();
    run.forget_node();
    let mut restarts = Restarts::of(&run.node(), &touched);
    warnings.extend(restarts.sentences_of_missing());
    for warning in &warnings {
        run.warn(warning.clone());
    }
    let aftermath = if touched.is_empty() {
        None
    } else {
        match restart_again(run, operation, &mut restarts, names).await {
            Ok(()) => None,
            Err(RestartError::Stopped) => return Err(OperationError::Stopped),
            Err(error) => Some(error.to_string()),
        }
    };
    report.warnings.extend(warnings);
    let error = OperationError::RolledBack {
        reason: reason.to_owned(),
        aftermath,
    };
    Ok(Ending::rolled_back(error).retried_for_restarts(operation))
}

async fn restart_again(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    restarts: &mut Restarts,
    names: &[String],
) -> Result<(), RestartError> {
    restarts.run(run, operation).await?;
    prove_again(run, operation, names).await
}
