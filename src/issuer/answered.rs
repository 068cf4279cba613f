//! What a CA elsewhere answered, through the one door.

use jiff::Timestamp;

use super::accept::accept_from_elsewhere;
use super::error::IssuanceError;
use super::order::{Issued, Order, Wanted};
use super::way_up::WayUp;
use crate::config::Renewal;
use crate::node::Inventory;
use crate::pki::{Certificate, PrivateKey, SuccessorError};

/// Accepts the certificate `answer` for `key`, with whatever certificates came `along` to lead from it to a CA on this node.
///
/// # Errors
/// [`IssuanceError::Check`] with the first thing that does not hold.
pub fn accept_answer(
    inventory: &Inventory,
    renewal: &Renewal,
    wanted: &Wanted,
    (answer, along): (&Certificate, &[Certificate]),
    key: PrivateKey,
    now: Timestamp,
) -> Result<Issued, IssuanceError> {
    let order = Order::elsewhere(inventory, renewal, wanted)?;
    let known = inventory
        .authority(order.authority)
        .and_then(|authority| authority.certificates())
        .unwrap_or_default();
    let own: Vec<&Certificate> = order.present.issuers();
    let mut anchors: Vec<&Certificate> = known.iter().collect();
    let pool: Vec<&Certificate> = along.iter().chain(own.iter().copied()).collect();
    let mut way = WayUp::of(answer, &pool, &anchors, now);
    if way.is_none() && !order.present.leads_to(known) {
        // Another CA than this node's signed the present one, and the file itself says which: it is renewed by the same.
        anchors = own;
        way = WayUp::of(answer, &pool, &anchors, now);
    }
    let way = way.ok_or_else(|| IssuanceError::Check {
        id: wanted.id.clone(),
        source: SuccessorError::Untrusted {
            issuer: answer.issuer.clone(),
        },
    })?;
    accept_from_elsewhere(&order, answer, &way, key, now)
}
