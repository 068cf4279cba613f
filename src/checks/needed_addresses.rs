//! Every host that kubecertd may connect to, and the addresses that they have: what a filter of addresses has to allow.
//!
//! [`wanted`] and [`needed`] are pure; between them names are resolved by [`resolve`]. An address leaves here as an address that
//! was parsed, never as the text that it was read from.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::addresses::{Addresses, Purpose, plain};
use crate::host::read_bounded;
use crate::net::{parse_url, together};
use crate::node::{
    CertificateId, CertificateState, Document, Entry, Fault, Inventory, Kubeconfig,
    KubeconfigError, Problem,
};
use crate::pki::Catalogued;
use crate::probe::{
    API_SERVER, ETCD, address_of, addresses_of_flag, health_endpoint, known_members,
    kubelet_address, named_members, node_address, reachable, runs, serving_endpoints,
};

/// So many names are looked up, each on a thread of its own: what answers as etcd can name any number.
const MOST_NAMES: usize = 32;
/// For each name.
const BOUND: Duration = Duration::from_secs(10);

/// A host, and for what it is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// An address or a name, as it was read.
    pub host: String,
    /// For what.
    pub purpose: Purpose,
}

/// The addresses of hosts, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// Those that are known.
    pub addresses: Addresses,
    /// Names without any.
    pub unresolved: Vec<Unresolved>,
}

/// A name that has no address.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{} ({purpose}) cannot be resolved: {reason}", plain(name))]
pub struct Unresolved {
    /// The name.
    pub name: String,
    /// For what its host is needed.
    pub purpose: Purpose,
    /// What the resolver said.
    pub reason: String,
}

/// What the resolver says of names: their addresses, or why there are none.
pub type Resolved = BTreeMap<String, Result<Vec<IpAddr>, String>>;

impl Wanted {
    fn new(host: impl Into<String>, purpose: Purpose) -> Self {
        Self {
            host: host.into(),
            purpose,
        }
    }

    /// The address, where it is one; without brackets and, for IPv6, the interface.
    fn address(&self) -> Option<IpAddr> {
        let host = self.host.trim_matches(['[', ']']);
        match host.split_once('%') {
            Some((address, _)) => address.parse().ok().map(IpAddr::V6),
            None => host.parse().ok(),
        }
    }
}

/// The server that a kubeconfig names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    /// The kubeconfig.
    kubeconfig: CertificateId,
    host: String,
}

/// Every host that this node's files name, and what could not be read of them. Reads the kubeconfigs.
#[must_use]
pub fn wanted(inventory: &Inventory) -> (Vec<Wanted>, Vec<Problem>) {
    let (mut servers, mut problems) = (Vec::new(), Vec::new());
    for entry in &inventory.entries {
        let is_asked_with = matches!(
            entry.id,
            CertificateId::Catalogued(Catalogued::Kubeconfig(_)) | CertificateId::KubeletConfig
        );
        if !is_asked_with || matches!(entry.state, CertificateState::Missing) {
            continue;
        }
        match server(inventory, entry) {
            Ok(server) => servers.extend(server),
            Err(fault) => problems.push(Problem::new(&entry.path, fault)),
        }
    }
    problems.extend(inventory.unread_manifests.iter().cloned());
    (hosts(inventory, &servers), problems)
}

/// The other control planes that are known now: asks this node's etcd, or its API server where etcd runs elsewhere, within seconds.
/// Where neither answers, those that the manifests name.
pub async fn known_control_planes(inventory: &Inventory) -> Vec<Wanted> {
    as_members(known_members(inventory).await)
}

/// `None` where nobody is ever asked with it.
fn server(inventory: &Inventory, entry: &Entry) -> Result<Option<Server>, Fault> {
    let contents = read_bounded(inventory.real(&entry.path))
        .map(Zeroizing::new)
        .map_err(|error| Fault::CannotBeRead {
            reason: error.to_string(),
        })?;
    let malformed = |reason| Fault::Malformed {
        what: Document::Kubeconfig,
        reason,
    };
    match Kubeconfig::parse(&contents) {
        Ok(kubeconfig) => match parse_url(&kubeconfig.server) {
            Some((_, address, _)) => Ok(Some(Server {
                kubeconfig: entry.id.clone(),
                host: address.host,
            })),
            None => Err(malformed(format!(
                "server: {:?} is no URL",
                kubeconfig.server
            ))),
        },
        Err(KubeconfigError::NoCertificate(_)) => Ok(None),
        Err(error) => Err(malformed(error.to_string())),
    }
}

fn hosts(inventory: &Inventory, servers: &[Server]) -> Vec<Wanted> {
    let own = node_address(inventory);
    let mut hosts = Vec::new();
    for pod in &inventory.static_pods {
        let urls = |flags: &[&str]| -> Vec<String> {
            flags
                .iter()
                .flat_map(|flag| addresses_of_flag(pod, flag))
                .map(|address| address.host)
                .collect()
        };
        let (purpose, named) = if runs(pod, API_SERVER) {
            hosts.extend(
                urls(&["etcd-servers"])
                    .into_iter()
                    .map(|host| Wanted::new(host, Purpose::EtcdServer)),
            );
            let flags = ["bind-address", "advertise-address"];
            let named = flags.iter().filter_map(|flag| pod.flag(flag));
            (Purpose::ApiServer, named.map(str::to_owned).collect())
        } else if runs(pod, ETCD) {
            let named = urls(&[
                "advertise-client-urls",
                "listen-client-urls",
                "listen-client-http-urls",
                "listen-metrics-urls",
                "listen-peer-urls",
                "initial-advertise-peer-urls",
            ]);
            (Purpose::Etcd, named)
        } else {
            (Purpose::Pod(pod.component().to_owned()), Vec::new())
        };
        let health = health_endpoint(pod, own.as_deref()).map(|endpoint| endpoint.address);
        let serving = serving_endpoints(pod);
        let asked = serving.into_iter().map(|endpoint| endpoint.address);
        hosts.extend(
            named
                .into_iter()
                .chain(health.into_iter().chain(asked).map(|address| address.host))
                .map(|host| Wanted::new(host, purpose.clone())),
        );
    }
    // What listens on all addresses is asked at the node's own as well.
    let healthz = inventory.kubelet.healthz.as_ref();
    hosts.extend(
        healthz
            .map(|(host, _)| reachable(host))
            .into_iter()
            .chain([kubelet_address(inventory).host])
            .chain(own)
            .map(|host| Wanted::new(host, Purpose::Kubelet)),
    );
    hosts.extend(servers.iter().map(|server| {
        Wanted::new(
            server.host.clone(),
            Purpose::Server(server.kubeconfig.to_string()),
        )
    }));
    hosts.extend(inventory.entries.iter().filter_map(|entry| {
        let address = address_of(entry)?;
        Some(Wanted::new(
            address.host,
            Purpose::Certificate(entry.id.to_string()),
        ))
    }));
    hosts.extend(as_members(named_members(inventory)));
    hosts.retain(|wanted| !wanted.host.is_empty());
    hosts
}

fn as_members(members: Vec<(String, String)>) -> Vec<Wanted> {
    members
        .into_iter()
        .map(|(name, host)| Wanted::new(host, Purpose::Member(name)))
        .collect()
}

/// Asks the standard resolver for each name among the hosts. Takes some seconds at most.
pub async fn resolve(wanted: &[Wanted]) -> Resolved {
    let (names, rest) = to_be_looked_up(wanted);
    let lookups = names.iter().map(|name| async {
        let found = match timeout(BOUND, lookup_host((*name, 0))).await {
            Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", BOUND.as_secs())),
        };
        ((*name).to_owned(), found)
    });
    let mut resolved: Resolved = together(lookups.collect()).await.into_iter().collect();
    let reason = || format!("not looked up, since there are more than {MOST_NAMES} names");
    resolved.extend(
        rest.into_iter()
            .map(|name| (name.to_owned(), Err(reason()))),
    );
    resolved
}

/// The names that are looked up, and those beyond [`MOST_NAMES`]: the node's own come first, those of other members last.
fn to_be_looked_up(wanted: &[Wanted]) -> (Vec<&str>, Vec<&str>) {
    let mut names: Vec<&str> = Vec::new();
    for name in wanted.iter().filter_map(name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let rest = names.split_off(names.len().min(MOST_NAMES));
    (names, rest)
}

/// The name to be resolved; `None` for an address, and for the machine itself.
fn name(wanted: &Wanted) -> Option<&str> {
    (wanted.address().is_none() && wanted.host != "localhost").then_some(wanted.host.as_str())
}

/// The addresses of the hosts, and of the name servers if a name is among them. Pure.
#[must_use]
pub fn needed(wanted: &[Wanted], resolved: &Resolved, name_servers: &[IpAddr]) -> Needed {
    let mut needed = Needed::default();
    for one in wanted {
        if let Some(address) = one.address() {
            needed.addresses.add(address, one.purpose.clone());
        }
        let Some(name) = name(one) else {
            continue;
        };
        for server in name_servers {
            needed.addresses.add(*server, Purpose::NameServer);
        }
        let reason = match resolved.get(name) {
            Some(Ok(addresses)) if !addresses.is_empty() => {
                for address in addresses {
                    needed.addresses.add(*address, one.purpose.clone());
                }
                continue;
            }
            Some(Err(reason)) => reason.clone(),
            Some(Ok(_)) | None => "it has no address".to_owned(),
        };
        needed.unresolved.push(Unresolved {
            name: name.to_owned(),
            purpose: one.purpose.clone(),
            reason,
        });
    }
    needed
}

#[cfg(test)]
mod tests;
