//! What a filter of addresses in the daemon's unit has to allow, and whether the one that is installed does.

use super::Context;
use crate::checks::{
    AddressFilter, Addresses, Finding, Needed, judge_addresses, known_control_planes, needed,
    resolve, wanted,
};
use crate::node::{Inventory, Problem, name_servers, service_settings};

const UNIT: &str = "kubecertd.service";

/// Not every address is known, so a filter would lack some.
#[derive(Debug, thiserror::Error)]
#[error("{}; a filter without it would keep the daemon from it, so none was made", .0.join("; "))]
pub struct UnknownAddresses(Vec<String>);

/// Every address that the daemon needs now, names resolved: by what this node's files say and, on a running node, by what its
/// etcd or API server says of the other control planes. Takes some seconds at most.
///
/// # Errors
/// What could not be read or resolved.
pub async fn needed_addresses(
    context: &Context,
    inventory: &Inventory,
) -> Result<Addresses, UnknownAddresses> {
    let (addresses, unknown) = look(context, inventory, Vec::new()).await;
    if unknown.is_empty() {
        Ok(addresses)
    } else {
        Err(UnknownAddresses(unknown))
    }
}

/// What an installed filter keeps the daemon from; nothing where there is none. Takes some seconds at most.
pub async fn look_at_addresses(context: &Context, inventory: &Inventory) -> Vec<Finding> {
    let mut problems = Vec::new();
    let settings = service_settings(&context.root, UNIT, &mut problems);
    let Some(filter) = AddressFilter::of(&settings) else {
        return Vec::new();
    };
    let (addresses, unknown) = look(context, inventory, problems).await;
    judge_addresses(&filter, &addresses, &unknown)
}

/// The addresses, and why there may be more: names that cannot be resolved, and files that cannot be read, with `problems`.
async fn look(
    context: &Context,
    inventory: &Inventory,
    mut problems: Vec<Problem>,
) -> (Addresses, Vec<String>) {
    let (mut wanted, unread) = wanted(inventory);
    problems.extend(unread);
    // The manifest of the first control plane names no other.
    if context.is_live() {
        wanted.extend(known_control_planes(inventory).await);
    }
    let servers = name_servers(&context.root).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let needed = needed(&wanted, &resolve(&wanted).await, &servers);
    let unknown = unknown(&needed, &problems);
    (needed.addresses, unknown)
}

fn unknown(needed: &Needed, problems: &[Problem]) -> Vec<String> {
    let unresolved = needed.unresolved.iter().map(ToString::to_string);
    let unread = problems.iter().map(ToString::to_string);
    let mut unknown: Vec<String> = unresolved.chain(unread).collect();
    unknown.dedup();
    unknown
}
