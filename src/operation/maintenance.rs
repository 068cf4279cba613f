//! Reboots and drains of control planes by others, beside which this node is not disturbed.

use crate::api::ApiError;
use crate::checks::{Asked, Cause, Finding, Severity};
use crate::cluster::{Maintenance, MaintenanceSeen, Seat};

/// What others do to the machines. `severity`: what follows from it.
///
/// # Errors
/// [`ApiError`].
pub(super) async fn look_at_maintenance(
    seat: &Seat,
    severity: Severity,
    asked: Asked,
) -> Result<Vec<Finding>, ApiError> {
    let me = &seat.me.node;
    let seen = MaintenanceSeen::read(&seat.access, &seat.servers).await?;
    let found = seen.found(me, crate::host::now()).into_iter();
    let findings = found.map(|maintenance| {
        let (cause, severity) = match maintenance {
            Maintenance::RebootLocked { node } => (Cause::RebootLocked { node }, severity),
            Maintenance::LockUnreadable { reason } => {
                (Cause::RebootLockUnreadable { reason }, Severity::Warn)
            }
            Maintenance::Drained { node, mark } => {
                let own = node == *me;
                // Who drained this node and renews by hand knows of both.
                let severity = match asked {
                    Asked::ByHand { .. } if own => Severity::Warn,
                    _ => severity,
                };
                (Cause::NodeDrained { node, own, mark }, severity)
            }
        };
        Finding::new(cause, severity, asked)
    });
    Ok(findings.collect())
}
