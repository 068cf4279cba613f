//! The slot at a FleetLock server, beside the turn: reboots of the operating system take the same one.

use super::Context;
use super::remark::Remark;
use super::run::Run;
use crate::checks::{Asked, Cause, Finding, Intent, Severity};
use crate::cluster::{FleetLock, FleetLockError, slot_id};
use crate::node::Inventory;

/// The server as configured; `None` where there is none.
fn server(context: &Context, node: &Inventory) -> Option<FleetLock> {
    context.machine.as_ref()?;
    context.config.turn.fleet_lock_url.as_ref()?;
    let name = node.node_name.as_deref().unwrap_or_default();
    let id = slot_id(&context.root, name);
    let id = id.unwrap_or_else(|error| {
        tracing::warn!("the machine has no id of its own for FleetLock: {error}");
        format!("kubecertd-{name}")
    });
    FleetLock::new(&context.config.turn, &id)
}

/// Takes the slot; what speaks against it where that cannot be had. Nothing waits for it in a certificate's last day.
pub(super) async fn take_slot(run: &mut Run<'_>, intent: &Intent, asked: Asked) -> Option<Finding> {
    let server = server(run.context, &run.node())?;
    let error = server.acquire().await.err();
    run.slot = Some(server);
    let error: FleetLockError = error?;
    let severity = match asked {
        _ if intent.last_day(crate::host::now()).is_some() => Severity::Warn,
        Asked::BySchedule => Severity::Wait,
        Asked::ByHand { force: true } => Severity::Warn,
        Asked::ByHand { force: false } => Severity::Refuse,
    };
    let cause = Cause::NoSlot {
        cause: error.code(),
        reason: error.to_string(),
    };
    Some(Finding::new(cause, severity, asked))
}

/// Gives the slot back. One that cannot be given back now is at the daemon's next start.
pub(super) async fn give_slot_back(run: &mut Run<'_>) {
    if let Some(slot) = run.slot.take()
        && let Err(error) = slot.release().await
    {
        run.remark(Remark::SlotKept {
            reason: error.to_string(),
        });
    }
}

/// Gives back what a life of this node that ended in mid-operation may have left. To be called while nothing is unfinished.
pub async fn give_back_old_slot(context: &Context, node: &Inventory) {
    if let Some(server) = server(context, node)
        && let Err(error) = server.release().await
    {
        tracing::warn!("{error}");
    }
}
