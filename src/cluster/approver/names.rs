//! The names and addresses that a request asks for.

use std::net::IpAddr;

use super::case::{Case, Lookup};
use super::judgement::Judgement;
use super::node_table::NodeSeen;
use super::reason::Reason;
use crate::node::is_dns_name;
use crate::pki::SubjectAltName;

/// So many names are looked at; a machine has fewer.
const MOST_NAMES: usize = 64;
/// The API server's within the cluster; whatever follows is the cluster's domain.
const API_SERVER: [&str; 2] = ["kubernetes.default", "kubernetes.default.svc"];
/// The same without its namespace, as a machine may be called.
const API_SERVER_ALONE: &str = "kubernetes";
/// How names of services end, before the cluster's domain or without it.
const SERVICE: &str = "svc";
const DOMAIN: &str = "cluster.local";
/// What every machine calls itself.
const LOCAL: &str = "localhost";

/// Judges them; `node`: the Node that asks, if there is one.
pub(super) fn judge(
    case: &Case<'_>,
    node: Option<&NodeSeen>,
    names: &[SubjectAltName],
    found: &mut Judgement,
) {
    if names.is_empty() {
        found.add(Reason::NoNames);
    }
    if names.len() > MOST_NAMES {
        found.add(Reason::TooManyNames { count: names.len() });
    }
    if case.facts.nodes.has_more() {
        found.add(Reason::TooManyNodes);
    }
    for name in names.iter().take(MOST_NAMES) {
        match name {
            SubjectAltName::Dns(name) => dns_name(case, node, name, found),
            SubjectAltName::Ip(address) => ip_address(case, node, *address, found),
            SubjectAltName::Email(_) | SubjectAltName::Uri(_) | SubjectAltName::Other(_) => {
                let name = name.to_string();
                found.add(Reason::OtherKindOfName { name });
            }
        }
    }
}

fn dns_name(case: &Case<'_>, node: Option<&NodeSeen>, written: &str, found: &mut Judgement) {
    let own = || written.to_owned();
    // Whoever compares names in another way than by their letters has to find the same.
    let name = written.trim_end_matches('.').to_lowercase();
    if written.contains('*') {
        found.add(Reason::Wildcard { name: own() });
    } else if !is_dns_name(written) || written.parse::<IpAddr>().is_ok() {
        found.add(Reason::NameUnusual { name: own() });
    }
    forbidden_name(case, &name, written, found);
    let asks = case.request.node().unwrap_or_default();
    let is_of_node = node.is_some_and(|node| node.names.iter().any(|known| known == written));
    if !is_of_node {
        found.add(Reason::NotOfNode { name: own() });
    }
    if let Some(other) = case.facts.nodes.other_called(&name, asks) {
        found.add(Reason::AlsoOfNode {
            name: own(),
            node: other.to_owned(),
        });
    }
    if !case
        .settings
        .names
        .iter()
        .any(|pattern| pattern.matches(written))
    {
        found.add(Reason::OutsideNames { name: own() });
    }
    if case.settings.dns {
        lookup(case, node, written, found);
    }
}

/// `name`: what is `written`, in small letters and without a dot at its end.
fn forbidden_name(case: &Case<'_>, name: &str, written: &str, found: &mut Judgement) {
    let own = || written.to_owned();
    let asks = case.request.node().unwrap_or_default();
    let in_cluster = API_SERVER.iter().any(|known| {
        name.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let is_service = name == DOMAIN
        || name.ends_with(&format!(".{DOMAIN}"))
        || name.split('.').skip(1).any(|part| part == SERVICE);
    let is_local = name == LOCAL
        || name.starts_with(&format!("{LOCAL}."))
        || name.ends_with(&format!(".{LOCAL}"))
        || name.ends_with(".localdomain");
    if in_cluster {
        found.add(Reason::ApiServerService { name: own() });
    } else if name == API_SERVER_ALONE || case.facts.api_servers.is_called(name, asks) {
        found.add(Reason::ApiServerName { name: own() });
    } else if is_service {
        found.add(Reason::ServiceName { name: own() });
    } else if is_local {
        found.add(Reason::LocalName { name: own() });
    }
}

fn ip_address(case: &Case<'_>, node: Option<&NodeSeen>, written: IpAddr, found: &mut Judgement) {
    let address = written.to_canonical();
    if address != written {
        found.add(Reason::AddressUnusual { address: written });
    }
    let asks = case.request.node().unwrap_or_default();
    if is_local(address) {
        found.add(Reason::LocalAddress { address });
    }
    let services = &case.facts.service_networks;
    if services.is_empty() {
        found.add(Reason::ServiceNetworkUnknown);
    }
    if let Some(network) = services.iter().find(|network| network.contains(address)) {
        let network = *network;
        found.add(Reason::ServiceAddress { address, network });
    }
    if case.facts.api_servers.is_at(address, asks) {
        found.add(Reason::ApiServerAddress { address });
    }
    if !node.is_some_and(|node| node.addresses.contains(&address)) {
        let name = address.to_string();
        found.add(Reason::NotOfNode { name });
    }
    if let Some(other) = case.facts.nodes.other_at(address, asks) {
        found.add(Reason::AlsoOfNode {
            name: address.to_string(),
            node: other.to_owned(),
        });
    }
    let networks = &case.settings.cidrs;
    if !networks.iter().any(|network| network.contains(address)) {
        found.add(Reason::OutsideNetworks { address });
    }
}

/// Whether an address is none that one machine alone is reached at from others.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            four.is_loopback()
                || four.is_unspecified()
                || four.is_link_local()
                || four.is_multicast()
                || four.octets()[0] == 0
                // The last block is for nobody, broadcasts included.
                || four.octets()[0] >= 240
        }
        IpAddr::V6(six) => {
            six.is_loopback()
                || six.is_unspecified()
                || six.is_multicast()
                || six.is_unicast_link_local()
                // Forms in which an IPv4 address is written, an obsolete one included.
                || matches!(six.segments(), [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] | [0x2002, ..])
        }
    }
}

fn lookup(case: &Case<'_>, node: Option<&NodeSeen>, name: &str, found: &mut Judgement) {
    let own = name.to_owned();
    match case.lookups.get(name) {
        None => found.add(Reason::NotLookedUp { name: own }),
        Some(Lookup::Failed(reason)) => found.add(Reason::LookupFailed {
            name: own,
            reason: reason.clone(),
        }),
        Some(Lookup::To(addresses)) => {
            let elsewhere = addresses.iter().find(|address| {
                let address = address.to_canonical();
                !node.is_some_and(|node| node.addresses.contains(&address))
            });
            if let Some(address) = elsewhere {
                found.add(Reason::LeadsElsewhere {
                    name: own,
                    address: *address,
                });
            }
        }
    }
}
