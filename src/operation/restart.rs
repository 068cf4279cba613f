//! Restarting pods by hand.

use tokio::sync::watch;

use super::carry_out::receipt;
use super::ending::{Ending, end};
use super::preflight::{permit, preflight_for, take_lock};
use super::recover::finish_recovery;
use super::restarts::Restarts;
use super::{Context, Event, OperationError, RenewalReport};
use crate::checks::{Asked, Intent};
use crate::config::nearest;
use crate::files::Operation;
use crate::journal::{Outcome, Trigger};
use crate::node::Inventory;
use crate::restart::RestartReport;

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
    let lock = take_lock(context)?;
    finish_recovery(context, &lock, stop, events).await?;
    let trigger = Trigger::Command("restart".to_owned());
    let started = crate::host::now();
    let inventory = context.observe();
    let mut restarts = Restarts::of(&inventory, components);
    let intent = Intent {
        manifests: restarts.manifests(),
        ..Intent::default()
    };
    let asked = Asked::ByHand { force: false };
    permit(
        preflight_for(context, &inventory, &intent, asked, started),
        events,
    )?;
    let head = context.history_head();
    let mut operation = Operation::begin_after(&context.store(), &lock, trigger, &[], head)?;
    events(Event::Begun {
        operation: operation.id().to_owned(),
    });
    let ended = restarts.run(context, &mut operation, stop, events).await;
    let mut report = RenewalReport::default();
    let (outcome, error) = match ended {
        Ok(restarts) => {
            report.restarts = restarts;
            (Outcome::Done, None)
        }
        // No file was changed, so the daemon owes nobody the rest of it: whoever asked has changed his mind.
        Err(error) => (
            Outcome::Failed(error.to_string()),
            Some(OperationError::Failed(error.to_string())),
        ),
    };
    let receipt = receipt(&operation, outcome, &report);
    end(context, operation, &receipt, Ending::with(error)).map(|()| report.restarts)
}
