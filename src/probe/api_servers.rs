//! Where the cluster's API servers answer.

use super::endpoint::{API_SERVER, api_server_address, runs};
use crate::api::Access;
use crate::net::Address;
use crate::node::Inventory;

/// kubeadm's.
const PORT: u16 = 6443;

/// This node's own first, then the others' at these hosts, then the kubeconfig's.
#[must_use]
pub fn api_servers<'host>(
    inventory: &Inventory,
    hosts: impl Iterator<Item = &'host str>,
    access: &Access,
) -> Vec<Address> {
    let mut pods = inventory.static_pods.iter();
    let own = pods
        .find(|pod| runs(pod, API_SERVER))
        .and_then(api_server_address);
    let port = own.as_ref().map_or(PORT, |own| own.port);
    let others = hosts.map(|host| Address {
        host: host.to_owned(),
        port,
    });
    let mut servers: Vec<Address> = own.into_iter().chain(others).collect();
    if !servers.contains(&access.address) {
        servers.push(access.address.clone());
    }
    servers
}
