//! Getting a node back whose certificates have expired: its kubelet first, without which no pod starts.

use tokio::sync::watch;

use super::checks::take_lock;
use super::extend::extend_ended;
use super::extension::Readers;
use super::in_flight::announce;
use super::more_names::MoreNames;
use super::part::Part;
use super::recover::finish_all;
use super::renew::{renew_after, revive_authorities};
use super::report::{Options, RenewalReport};
use super::run::Run;
use super::{Context, Event, OperationError};
use crate::files::recover;
use crate::journal::{Lock, Trigger};
use crate::plan::{KubeletNeed, Request, expired, is_node_down, kubelet_need};
use crate::probe::reachability;

/// What this command is called in journals and receipts.
const COMMAND: &str = "recover --expired";

/// Renews everything that has expired or is due, the kubelet's client certificate included, and gets kubelet and control
/// plane to use it. `None` when nothing has expired. Never goes back to what had expired.
/// `force`: also where the clock looks wrong.
///
/// # Errors
/// [`OperationError`].
pub async fn recover_expired(
    context: &Context,
    force: bool,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RenewalReport>, OperationError> {
    let lock = take_lock(context)?;
    recover_expired_holding(context, &lock, force, stop, events).await
}

/// The same with the lock that is held already. It is held to the end: what was looked at must not be changed meanwhile.
///
/// # Errors
/// [`OperationError`].
pub async fn recover_expired_holding(
    context: &Context,
    lock: &Lock,
    force: bool,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RenewalReport>, OperationError> {
    let mut run = Run::new(context, lock, stop, events);
    // Files and manifests first; what is pending besides may need what is made here.
    let recoveries = recover(&context.store(), lock)?;
    let now = crate::host::now();
    let node = run.node();
    let need = kubelet_need(&node, now);
    let names = expired(&node, now);
    let trigger = Trigger::Command(COMMAND.to_owned());
    if names.is_empty() && need == KubeletNeed::Nothing {
        finish_all(&mut run, recoveries).await?;
        let extended = extend_ended(&mut run, Readers::RestartedIfEnded, &trigger).await?;
        return Ok(extended.map(|extended| extended.renewal));
    }
    if let KubeletNeed::Impossible(reason) = &need
        && names.is_empty()
    {
        for recovery in &recoveries {
            announce(&mut run, recovery);
        }
        return Err(OperationError::KubeletCannotStart(reason.clone()));
    }
    let node_down = need != KubeletNeed::Nothing
        || (context.is_live() && is_node_down(&node, reachability(&node).await, now));
    run.emit(Event::Expired { names });
    let options = Options {
        more_names: MoreNames::default(),
        trigger,
        restart: true,
        node_down,
    };
    if node_down {
        revive_authorities(&mut run, &options.trigger).await?;
    }
    let request = Request::DueByHand { force };
    renew_after(&mut run, recoveries, &request, &options, &Part::Kubeadms)
        .await
        .map(Some)
}
