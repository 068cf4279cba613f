//! What is known of another node by its name.

use std::time::Duration;

use tokio::time::timeout;

use super::Context;
use super::api_access::api_access;
use crate::api::{Nodes, first_answer};
use crate::cluster::Known;
use crate::node::Inventory;

/// Nobody waits longer for what is only to be said.
const BOUND: Duration = Duration::from_secs(5);

/// Whether a node is another control plane, as far as this one has found out.
#[must_use]
pub fn is_control_plane(context: &Context, name: &str) -> bool {
    let known = Known::read(&context.store());
    known.others.iter().any(|(other, _)| other == name)
}

/// Whether the cluster has a node of that name, asked with this node's admin.conf.
///
/// # Errors
/// Why it could not be told within seconds.
pub async fn cluster_has_node(
    context: &Context,
    inventory: &Inventory,
    name: &str,
) -> Result<bool, String> {
    let known = Known::read(&context.store());
    let (access, servers) =
        api_access(context, inventory, &known).map_err(|error| error.to_string())?;
    let asked = first_answer(&servers, async |server| {
        Nodes::at(&access, server).has(name).await
    });
    match timeout(BOUND, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no API server answers".to_owned()),
    }
}
