//! What is known of the cluster without asking any Node: this control plane's own files, and its etcd.

use std::net::IpAddr;

use super::node_table::NodeTable;
use crate::config::Network;
use crate::net::parse_url;
use crate::node::{CertificateId, Inventory, called_for};
use crate::pki::{LeafName, SubjectAltName};

/// So much of a flag is looked at; bytes.
const LONGEST_FLAG: usize = 4096;

/// What is known of the cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterFacts {
    /// Its Nodes.
    pub nodes: NodeTable,
    /// The networks of its services; none where that is not known.
    pub service_networks: Vec<Network>,
    /// By what its API servers are reached.
    pub api_servers: ApiServers,
}

/// By what the API servers are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiServers {
    /// Names and addresses that the API servers' certificates have, or that lead to them.
    pub names: Vec<SubjectAltName>,
    /// Control planes and their own addresses, by etcd's list and this one's manifest: what a Node says does not count.
    pub control_planes: Vec<(String, IpAddr)>,
}

impl ClusterFacts {
    /// As this node knows them. `others`: the other control planes, each with a host of its.
    #[must_use]
    pub fn of(inventory: &Inventory, others: &[(String, String)], nodes: NodeTable) -> Self {
        let pod = inventory.static_pod("kube-apiserver");
        let flag = |name| {
            let value = pod.and_then(|pod| pod.flag(name));
            value.filter(|value| value.len() <= LONGEST_FLAG)
        };
        let networks = flag("service-cluster-ip-range").unwrap_or_default();
        let mut control_planes: Vec<(String, IpAddr)> = others
            .iter()
            .filter_map(|(name, host)| Some((name.clone(), address(host)?)))
            .collect();
        let own = flag("advertise-address").and_then(address);
        control_planes.extend(inventory.node_name.clone().zip(own));
        let addresses = control_planes.iter().map(|(_, address)| *address);
        let mut names: Vec<SubjectAltName> = addresses.map(SubjectAltName::Ip).collect();
        let id = CertificateId::leaf(LeafName::Apiserver);
        let entry = inventory.entry(&id).and_then(|entry| entry.present());
        names.extend(
            entry
                .into_iter()
                .flat_map(|present| present.leaf.subject_alt_names.clone()),
        );
        names.extend(called_for(inventory, &id).into_iter().map(|one| one.name));
        names.extend(inventory.servers.values().filter_map(|server| {
            let (_, server, _) = parse_url(server)?;
            Some(match address(&server.host) {
                Some(address) => SubjectAltName::Ip(address),
                None => SubjectAltName::Dns(server.host.to_lowercase()),
            })
        }));
        names.sort();
        names.dedup();
        Self {
            nodes,
            service_networks: networks.split(',').filter_map(network).collect(),
            api_servers: ApiServers {
                names,
                control_planes,
            },
        }
    }
}

impl ApiServers {
    /// Whether an address is an API server's, or leads to one, and not that node's own.
    #[must_use]
    pub fn is_at(&self, address: IpAddr, node: &str) -> bool {
        let is_own = self
            .control_planes
            .iter()
            .any(|(name, own)| name == node && *own == address);
        !is_own
            && self.names.iter().any(|name| match name {
                SubjectAltName::Ip(known) => known.to_canonical() == address,
                _ => false,
            })
    }

    /// The same of a name. A control plane may be called as its Node is.
    #[must_use]
    pub fn is_called(&self, name: &str, node: &str) -> bool {
        let is_own = name == node
            && self
                .control_planes
                .iter()
                .any(|(control_plane, _)| control_plane == node);
        !is_own
            && self.names.iter().any(|known| match known {
                SubjectAltName::Dns(known) => known.eq_ignore_ascii_case(name),
                _ => false,
            })
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim_matches(['[', ']'])
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

fn network(text: &str) -> Option<Network> {
    Network::parse(text.trim())
}
