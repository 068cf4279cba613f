//! What is pending on this node, and asking a component once whether it uses its new certificates.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::context::Context;
use super::pending::{PendingProof, pending_proofs};
use crate::node::{Inventory, PodRef};
use crate::plan::{AffectedPod, Reloading, reloading};
use crate::probe::{Patience, PickedUp, api_release, picked_up};
use crate::report::{History, Receipt};

/// For all that is asked.
const BOUND: Duration = Duration::from_secs(20);

/// What this node's history leaves to be shown.
#[must_use]
pub fn pending_here(context: &Context, inventory: &Inventory) -> Vec<PendingProof> {
    // What is wrong with the history is a finding; what can be read of it is of use.
    let entries = History::new(&context.store()).entries();
    let receipts: Vec<Receipt> = entries.into_iter().flatten().flatten().collect();
    pending_proofs(&receipts, inventory)
}

/// Asks once, without changing anything.
pub async fn ask_again(
    context: &Context,
    inventory: &Inventory,
    proof: &PendingProof,
    now: Timestamp,
) -> PickedUp {
    let unknown = |seen: &str| PickedUp::Unknown {
        certificates: proof.certificates.clone(),
        seen: seen.to_owned(),
    };
    let asking = asked(context, inventory, proof, now);
    match timeout(BOUND, asking).await {
        Ok(Some(answer)) => answer,
        Ok(None) => unknown("its release is not known now, or reads nothing anew"),
        Err(_) => unknown("no answer came in time"),
    }
}

async fn asked(
    context: &Context,
    inventory: &Inventory,
    proof: &PendingProof,
    now: Timestamp,
) -> Option<PickedUp> {
    let pod = inventory.static_pod(&proof.component)?;
    let affected = AffectedPod {
        pod: PodRef::from(pod),
        certificates: proof.certificates.clone(),
    };
    let release = api_release(inventory).await;
    let Reloading::ByItself(certificates) = reloading(inventory, &affected, release) else {
        return None;
    };
    let since = now.duration_since(proof.since);
    let replaced_before = Duration::try_from(since).unwrap_or_default();
    let settings = (&context.config.restart, Patience::Once);
    Some(picked_up(inventory, settings, pod, &certificates, replaced_before).await)
}
