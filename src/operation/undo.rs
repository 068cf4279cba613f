//! Putting the old files back when the new ones do not work.

use super::ending::Ending;
use super::error::{Fault, OperationError};
use super::event::Event;
use super::proof::prove_again;
use super::remark::Remark;
use super::report::RenewalReport;
use super::restarts::Restarts;
use super::run::Run;
use super::users::tell_users;
use crate::files::Operation;
use crate::journal::TransactionError;
use crate::node::{CertificateId, components};
use crate::plan::RestartMethod;
use crate::restart::RestartError;

/// Puts the old files back and, where pods were touched, restarts them again with those and proves that these are in
/// use. `names`: the certificates; `method`: how pods, or the kubelet alone, were restarted. A file that another process changed meanwhile stays as it is.
///
/// # Errors
/// [`OperationError::Stopped`].
pub(super) async fn undo(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    names: &[CertificateId],
    (reason, method): (Fault, RestartMethod),
    report: &mut RenewalReport,
) -> Result<Ending, OperationError> {
    run.emit(Event::RollingBack {
        reason: reason.text.clone(),
    });
    let mut remarks: Vec<Remark> = match operation.roll_back(&reason) {
        Ok(()) => Vec::new(),
        Err(TransactionError::LeftAlone { paths }) => {
            let left_alone = |path| Remark::LeftAlone { path };
            paths.into_iter().map(left_alone).collect()
        }
        Err(error) => {
            let error = OperationError::NotPutBack {
                reason,
                why: error,
                copies: run.context.store().backups().join(operation.id()),
            };
            return Ok(Ending::failed(error).retried());
        }
    };
    let touched = operation.restarts_left();
    run.forget_node();
    let mut restarts = Restarts::left(run.context, &run.node(), &touched, method).on_the_way_back();
    report.not_restarted.extend(components(&restarts.left_out));
    remarks.extend(restarts.without_manifest());
    for remark in &remarks {
        run.remark(remark.clone());
    }
    let aftermath = if restarts.are_none() && operation.users_left().is_empty() {
        None
    } else {
        match restart_again(run, operation, &mut restarts, names, report).await {
            Ok(()) => None,
            Err(RestartError::Stopped) => return Err(OperationError::Stopped),
            Err(error) => Some(error.to_string()),
        }
    };
    report.warnings.extend(remarks);
    let error = OperationError::RolledBack { reason, aftermath };
    Ok(Ending::rolled_back(error).retried_for_restarts(operation))
}

async fn restart_again(
    run: &mut Run<'_>,
    operation: &mut Operation<'_>,
    restarts: &mut Restarts,
    names: &[CertificateId],
    report: &mut RenewalReport,
) -> Result<(), RestartError> {
    restarts.run(run, operation).await?;
    tell_users(run, operation, report).await?;
    prove_again(run, operation, names).await
}
