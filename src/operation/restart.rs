//! Restarting pods by hand, or on the daemon's own account.

use tokio::sync::watch;

use super::ask_again::pending_here;
use super::checks::{permit, preflight_for, take_lock};
use super::ending::{Ending, end};
use super::hooks::{self, OperationHooks};
use super::recover::finish;
use super::report::RenewalReport;
use super::restarts::Restarts;
use super::run::Run;
use super::table::Wish;
use super::turn::{give_back_unused, release_turn, take_turn, turn_record};
use super::{Context, Event, OperationError};
use super::{in_memory, pending};
use crate::checks::{Asked, Finding, Intent, Overridden};
use crate::config::nearest;
use crate::files::Operation;
use crate::journal::{OperationKind, Trigger};
use crate::node::{Inventory, PodRef};
use crate::plan::{RestartGroup, longest};
use crate::probe::{InMemory, look_in_memory};
use crate::restart::RestartReport;
use crate::runtime::Moment;

/// Says that no static pod has that component name, and which one is meant.
#[must_use]
pub fn unknown_component(inventory: &Inventory, name: &str) -> Option<String> {
    if inventory.static_pod(name).is_some() {
        return None;
    }
    let known: Vec<&str> = inventory
        .static_pods
        .iter()
        .map(|pod| pod.component())
        .collect();
    let near = nearest(name, known.iter().copied());
    Some(match near {
        Some(near) => format!("no static pod is called {name:?}; did you mean {near:?}?"),
        None => format!(
            "no static pod is called {name:?}; in {} there {}",
            inventory.directories.manifests.display(),
            if known.is_empty() {
                "is none".to_owned()
            } else {
                format!("are {}", known.join(", "))
            }
        ),
    })
}

/// Restarts components by hand.
///
/// # Errors
/// [`OperationError`].
pub async fn restart(
    context: &Context,
    components: &[String],
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Vec<RestartReport>, OperationError> {
    let asked = Asked::ByHand { force: false };
    let report = restart_as(context, components, asked, stop, events).await?;
    Ok(report.restarts)
}

/// Restarts components on the daemon's own account, when a schedule permits it.
///
/// # Errors
/// [`OperationError`].
pub async fn restart_due(
    context: &Context,
    components: &[String],
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RenewalReport, OperationError> {
    restart_as(context, components, Asked::BySchedule, stop, events).await
}

/// What speaks against restarting these components on the daemon's own account now. `seen`: what components have only in memory.
#[must_use]
pub fn look_at_restarts(
    context: &Context,
    inventory: &Inventory,
    components: &[String],
    seen: &[InMemory],
) -> Vec<Finding> {
    let restarts = Restarts::of(inventory, &pods(inventory, components));
    let asked = Asked::BySchedule;
    let overridden = overridden(context, inventory, seen, components);
    let intent = intent(context, &restarts, overridden);
    preflight_for(context, inventory, &intent, asked, crate::host::now())
}

fn pods(inventory: &Inventory, components: &[String]) -> Vec<PodRef> {
    components
        .iter()
        .filter_map(|name| inventory.static_pod(name).map(PodRef::from))
        .collect()
}

/// From when on neither windows nor holds hold these restarts back: for what is pending, or for what ends in memory.
fn overridden(
    context: &Context,
    inventory: &Inventory,
    seen: &[InMemory],
    components: &[String],
) -> Option<Overridden> {
    let renewal = &context.config.renewal;
    let proofs = pending_here(context, inventory);
    pending::overridden(&proofs, components, renewal)
        .into_iter()
        .chain(in_memory::overridden(seen, components, renewal))
        .min_by_key(|one| one.from)
}

fn intent(context: &Context, restarts: &Restarts, overridden: Option<Overridden>) -> Intent {
    Intent {
        overridden,
        manifests: restarts.manifests(),
        longest: longest(restarts.groups(), &context.config.restart)
            + hooks::longest(context, true),
        ..Intent::default()
    }
}

async fn restart_as(
    context: &Context,
    components: &[String],
    asked: Asked,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RenewalReport, OperationError> {
    let lock = take_lock(context)?;
    let mut run = Run::new(context, &lock, stop, events);
    let ended = Box::pin(restart_in(&mut run, components, asked)).await;
    give_back_unused(&mut run, &ended).await;
    ended
}

/// The same in a run that goes on.
pub(super) async fn restart_in(
    run: &mut Run<'_>,
    components: &[String],
    asked: Asked,
) -> Result<RenewalReport, OperationError> {
    let context = run.context;
    finish(run).await?;
    run.learn_of_others().await;
    let node = run.node();
    let mut restarts = Restarts::of(&node, &pods(&node, components));
    let overridden = match asked {
        Asked::BySchedule => {
            let seen = look_in_memory(&node).await;
            overridden(context, &node, &seen, components)
        }
        Asked::ByHand { .. } => None,
    };
    let intent = intent(context, &restarts, overridden);
    let found = preflight_for(context, &node, &intent, asked, crate::host::now());
    permit(run, found)?;
    if restarts.need_a_turn() {
        let wish = Wish {
            intent: &intent,
            asked,
        };
        Box::pin(take_turn(run, wish, restarts.groups())).await?;
    }
    let trigger = match asked {
        Asked::BySchedule => Trigger::Schedule,
        Asked::ByHand { .. } => Trigger::Command("restart".to_owned()),
    };
    let asked = (OperationKind::Restart, trigger);
    let head = context.history_head();
    let mut operation = Operation::begin_after(&context.store(), run.lock, asked, &[], head)?;
    run.emit(Event::Begun {
        operation: operation.id().to_owned(),
    });
    if let Some(turn) = turn_record(run) {
        operation.note(turn)?;
    }
    let mut report = RenewalReport {
        operation: Some(operation.id().to_owned()),
        ..RenewalReport::default()
    };
    let affected = crate::node::components(restarts.groups().iter().flat_map(RestartGroup::pods));
    let mut hooks = OperationHooks::of(run, &operation, [], &affected);
    hooks.announce(context, &mut operation, Moment::PreRestart)?;
    let ready = hooks.before(run, Moment::PreRestart, &mut report).await;
    let ending = match ready {
        Err(finding) => Ending::failed(OperationError::HookFailed(Box::new(finding))),
        Ok(()) => restarted(run, &mut restarts, &mut operation, &mut report).await,
    };
    hooks.after(run, &ending, &mut report).await;
    let id = operation.id().to_owned();
    let ended = end(run, operation, ending, &report);
    release_turn(run, &id, &ended).await;
    ended.map(|()| report)
}

async fn restarted(
    run: &mut Run<'_>,
    restarts: &mut Restarts,
    operation: &mut Operation<'_>,
    report: &mut RenewalReport,
) -> Ending {
    match restarts.run(run, operation).await {
        Ok(restarts) => {
            report.restarts = restarts;
            Ending::done()
        }
        // No file was changed, so nothing is pending: by hand it was seen, and the daemon looks again.
        Err(error) => Ending::failed(OperationError::Failed((&error).into())),
    }
}
