//! What becomes of open requests, and which are opened. Decided here from values alone.

use std::ffi::OsString;

use jiff::Timestamp;

use super::inbox::Delivered;
use super::look::is_in_place;
use super::open_order::OpenOrder;
use crate::node::{CertificateId, Entry, Inventory};
use crate::pki::digest_of_request;
use crate::plan::{Action, Obstacle, Plan, PlanItem};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask for that certificate.
    Open(CertificateId),
    /// End that request, which has been overtaken.
    Close {
        /// Which.
        order: OpenOrder,
        /// By what.
        by: Closing,
    },
    /// Remove that file of the inbox: what it answered is in place.
    Discard(OsString),
}

/// What overtook a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The certificate on disk was renewed.
    Renewed,
    /// What is to be asked for is no longer the same.
    Changed,
    /// It is signed on this node now.
    SignedHere,
    /// The configuration says that it is to be left alone.
    LeftAlone,
    /// Another request for the same certificate is open.
    Double,
    /// The node has no such certificate any more.
    Gone,
}

/// What is to be done. `plan` is one that knows of no request, so that it says from when on each is wanted.
#[must_use]
pub fn decide(
    inventory: &Inventory,
    plan: &Plan,
    open: &[OpenOrder],
    delivered: &[Delivered],
    now: Timestamp,
) -> Vec<Step> {
    let item = |id: &CertificateId| plan.items.iter().find(|item| item.id == *id);
    let mut steps = Vec::new();
    let mut kept: Vec<&OpenOrder> = Vec::new();
    for order in open {
        let entry = inventory.entry(&order.certificate);
        let closing = if kept.iter().any(|one| one.certificate == order.certificate) {
            Some(Closing::Double)
        } else {
            match item(&order.certificate).zip(entry) {
                Some((item, entry)) => closing(item, entry, order),
                None => Some(Closing::Gone),
            }
        };
        match closing {
            Some(by) => steps.push(Step::Close {
                order: order.clone(),
                by,
            }),
            None => kept.push(order),
        }
    }
    let wanted = plan.items.iter().filter(|item| {
        request_from(item).is_some_and(|from| from <= now)
            && !kept.iter().any(|order| order.certificate == item.id)
    });
    steps.extend(wanted.map(|item| Step::Open(item.id.clone())));
    let done = delivered.iter().filter(|file| {
        let mut leaves = file.certificates.iter().filter(|one| !one.is_ca).peekable();
        file.is_whole && leaves.peek().is_some() && leaves.all(|leaf| is_in_place(inventory, leaf))
    });
    steps.extend(done.map(|file| Step::Discard(file.name.clone())));
    steps
}

/// Why an order has come to its end, if it has.
fn closing(item: &PlanItem, entry: &Entry, order: &OpenOrder) -> Option<Closing> {
    match &item.action {
        Action::Leave(Obstacle::Skipped { .. }) => return Some(Closing::LeftAlone),
        Action::Renew(_) | Action::Wait => return Some(Closing::SignedHere),
        // It may be put right again.
        Action::Leave(_) => {}
    }
    let leaf = &entry.present()?.leaf;
    if digest_of_request(leaf) != order.asks_for {
        return Some(Closing::Changed);
    }
    // One that is wanted all the same is another request, with another key.
    (leaf.fingerprint() != order.follows).then_some(Closing::Renewed)
}

/// From when on its request is wanted.
fn request_from(item: &PlanItem) -> Option<Timestamp> {
    match &item.action {
        Action::Leave(
            Obstacle::ExternalAuthority { request_from, .. }
            | Obstacle::AskedElsewhere { request_from, .. }
            | Obstacle::ForeignIssuer { request_from, .. },
        ) => *request_from,
        _ => None,
    }
}
