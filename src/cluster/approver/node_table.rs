//! The cluster's Nodes with their addresses, and who else has one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::api::AddressedNode;

/// So many are kept: twice as many as Kubernetes is made for.
const MOST_NODES: usize = 10_000;
/// So many addresses of each.
const MOST_ADDRESSES: usize = 64;
/// No name is longer.
const LONGEST_NAME: usize = 253;

/// A Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether it is being removed.
    pub is_going: bool,
    /// Its addresses, as its kubelet wrote them.
    pub addresses: Vec<IpAddr>,
    /// Its names, in small letters.
    pub names: Vec<String>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct NodeTable {
    nodes: BTreeMap<String, NodeSeen>,
    by_address: BTreeMap<IpAddr, Vec<String>>,
    by_name: BTreeMap<String, Vec<String>>,
    more: bool,
}

impl NodeTable {
    /// Takes one up.
    pub fn add(&mut self, node: AddressedNode) {
        if self.nodes.len() >= MOST_NODES {
            self.more = true;
            return;
        }
        let name = node.metadata.name;
        let mut seen = NodeSeen {
            created: node.metadata.creation_timestamp,
            is_going: node.metadata.deletion_timestamp.is_some(),
            addresses: Vec::new(),
            names: Vec::new(),
            name: name.clone(),
        };
        for one in node.status.addresses.into_iter().take(MOST_ADDRESSES) {
            // As the kubelet makes names of a certificate of them, which takes an address for a host name, too.
            let address = one.address.trim().parse::<IpAddr>();
            match (one.kind.as_str(), address) {
                ("InternalIP" | "ExternalIP" | "Hostname", Ok(address)) => {
                    seen.addresses.push(address.to_canonical());
                }
                ("Hostname" | "InternalDNS" | "ExternalDNS", Err(_))
                    if one.address.len() <= LONGEST_NAME =>
                {
                    seen.names.push(one.address.to_lowercase());
                }
                _ => {}
            }
        }
        for address in &seen.addresses {
            enter(self.by_address.entry(*address).or_default(), &name);
        }
        for its_name in seen.names.iter().chain([&name]) {
            enter(self.by_name.entry(its_name.clone()).or_default(), &name);
        }
        self.nodes.insert(name, seen);
    }

    /// The one of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&NodeSeen> {
        self.nodes.get(name)
    }

    /// Whether there are more than were taken, so that whose an address is cannot be told.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Another node than `node` that has the address.
    #[must_use]
    pub fn other_at(&self, address: IpAddr, node: &str) -> Option<&str> {
        other(self.by_address.get(&address), node)
    }

    /// Another node than `node` that has the name, or is called so.
    #[must_use]
    pub fn other_called(&self, name: &str, node: &str) -> Option<&str> {
        other(self.by_name.get(name), node)
    }
}

fn enter(nodes: &mut Vec<String>, node: &str) {
    // Two say enough.
    if nodes.len() < 2 && !nodes.iter().any(|known| known == node) {
        nodes.push(node.to_owned());
    }
}

fn other<'table>(nodes: Option<&'table Vec<String>>, node: &str) -> Option<&'table str> {
    let others = nodes?.iter().map(String::as_str);
    others.into_iter().find(|other| *other != node)
}
