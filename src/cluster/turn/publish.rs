//! Writing what this node says of itself into the Lease, beside the turn.

use super::message::{Draft, Effect, Input, Mark};
use super::node_report::{NodeReport, key};
use super::seat::{Desk, Seat};
use super::take::Sight;
use crate::api::ApiError;

/// Of so many nodes that say nothing is found out whether the cluster still has them, at a time.
const MOST_ASKED: usize = 4;

/// Writes it, and takes away what nodes have left that the cluster has no more. Nothing else of the Lease changes, whoever has
/// the turn: the holder's next write meets another version and reads again.
///
/// # Errors
/// [`ApiError::ApiNotFound`] where there is no Lease.
pub async fn publish(seat: &Seat, report: &NodeReport, seen: &Sight) -> Result<(), ApiError> {
    let mut desk = Desk::of(seat);
    let mut annotations = std::collections::BTreeMap::from([report.annotation()]);
    let silent = seen.fleet.silent(report.written);
    for node in silent.filter(|node| **node != report.node).take(MOST_ASKED) {
        // One of which nothing can be found out stays.
        if let Ok(false) = desk.has_node(node).await {
            tracing::info!("{node} is no node of the cluster any more and goes out of the fleet");
            annotations.insert(key(node), None);
        }
    }
    desk.annotate(annotations).await
}

/// Makes the Lease, which nobody has then. Gives its uid.
///
/// # Errors
/// [`ApiError`], also where another node was first.
pub async fn make_lease(seat: &Seat) -> Result<String, ApiError> {
    let mut desk = Desk::of(seat);
    let draft = Draft {
        base: None,
        holder: None,
        transitions: 0,
        mark: Mark::Keep,
    };
    match desk.carry_out(Effect::Write(draft)).await {
        Input::Written(record) => Ok(record.uid),
        _ => Err(desk.failure.unwrap_or_else(|| ApiError::ApiConflict {
            reason: "another node has made the Lease".to_owned(),
        })),
    }
}
