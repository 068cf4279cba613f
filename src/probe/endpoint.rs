//! Where a static pod answers, from the flags in its manifest: its health and the certificates it serves.

use std::path::PathBuf;

use crate::net::{Address, parse_url};
use crate::node::{HttpProbe, Inventory, StaticPod};
use crate::pki::LeafName;

/// Where a pod says whether it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthEndpoint {
    pub(crate) address: Address,
    pub(super) https: bool,
    pub(crate) path: String,
    pub(super) peer: PeerKind,
    /// Whether the address is only likely: the manifest does not say it.
    pub(crate) is_guess: bool,
}

/// Who is to answer at a health endpoint, and so by what it is verified and what is shown to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerKind {
    /// It cannot be verified (plain HTTP, or a certificate made at each start): nothing is shown to it.
    Unverifiable,
    /// The API server, which is asked without credentials, as the kubelet's probes do.
    ApiServer,
    /// etcd, which demands a client certificate.
    Etcd,
}

impl HealthEndpoint {
    /// The same, of a member whose cluster may be without a quorum.
    pub(super) fn without_quorum(self) -> Self {
        if self.path == ETCD_HEALTH {
            let path = ETCD_HEALTH_ALONE.to_owned();
            return Self { path, ..self };
        }
        self
    }
}

/// A port on which a pod serves a certificate of kubeadm's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServingEndpoint {
    /// Which.
    pub(crate) leaf: LeafName,
    pub(crate) address: Address,
    /// The certificate's file, a real path.
    pub(super) certificate: PathBuf,
}

pub(crate) const API_SERVER: &str = "kube-apiserver";
pub(crate) const ETCD: &str = "etcd";
/// `NOSPACE` is left out: a restart neither causes nor cures a full database.
pub(super) const ETCD_HEALTH: &str = "/health?exclude=NOSPACE";
/// The member alone, as the kubelet's probes ask: it is well without a leader. etcd before 3.5 takes it for the one above.
const ETCD_HEALTH_ALONE: &str = "/health?exclude=NOSPACE&serializable=true";

pub(super) const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub(super) const SCHEDULER: &str = "kube-scheduler";

/// Whether the pod is `program`.
pub(crate) fn runs(pod: &StaticPod, program: &str) -> bool {
    pod.program() == Some(program)
}

/// Where the pod says whether it is well; `None` when only the container runtime can tell. `node_address` is the node's
/// own, where it is known.
pub(crate) fn health_endpoint(
    pod: &StaticPod,
    node_address: Option<&str>,
) -> Option<HealthEndpoint> {
    if runs(pod, API_SERVER) {
        return Some(HealthEndpoint {
            address: api_server_address(pod)?,
            https: true,
            path: "/readyz".to_owned(),
            peer: PeerKind::ApiServer,
            is_guess: false,
        });
    }
    if runs(pod, ETCD) {
        return etcd_health(pod);
    }
    for (program, default_port) in [(CONTROLLER_MANAGER, 10257), (SCHEDULER, 10259)] {
        if runs(pod, program) {
            let port = secure_port(pod, default_port)?;
            return Some(HealthEndpoint {
                address: Address {
                    host: reachable(pod.flag("bind-address").unwrap_or_default()),
                    port,
                },
                https: true,
                path: probe_path(pod, port).unwrap_or_else(|| "/healthz".to_owned()),
                peer: PeerKind::Unverifiable,
                is_guess: false,
            });
        }
    }
    own_probe(pod, node_address)
}

/// The certificates that the pod serves from files.
pub(crate) fn serving_endpoints(pod: &StaticPod) -> Vec<ServingEndpoint> {
    if runs(pod, API_SERVER) {
        return serving(
            pod,
            LeafName::Apiserver,
            "tls-cert-file",
            api_server_address(pod),
        )
        .into_iter()
        .collect();
    }
    if runs(pod, ETCD) {
        let client = serving(
            pod,
            LeafName::EtcdServer,
            "cert-file",
            etcd_client_address(pod),
        );
        let peer = serving(
            pod,
            LeafName::EtcdPeer,
            "peer-cert-file",
            listening(pod, "listen-peer-urls", true),
        );
        return client.into_iter().chain(peer).collect();
    }
    Vec::new()
}

/// Where the API server of this node answers; `None` when it serves no TLS.
pub(super) fn api_server_address(pod: &StaticPod) -> Option<Address> {
    let bound = pod.flag("bind-address").unwrap_or_default();
    let host = if is_unspecified(bound) {
        pod.flag("advertise-address")
            .filter(|advertised| !is_unspecified(advertised))
            .map_or_else(|| reachable(bound), str::to_owned)
    } else {
        bound.to_owned()
    };
    Some(Address {
        host,
        port: secure_port(pod, 6443)?,
    })
}

/// The hosts of a comma-separated flag of URLs, with their ports.
pub(crate) fn addresses_of_flag(pod: &StaticPod, flag: &str) -> Vec<Address> {
    pod.flag(flag)
        .unwrap_or_default()
        .split(',')
        .filter_map(parse_url)
        .map(|(_, address, _)| address)
        .collect()
}

/// The node's own address, as its API server advertises it; `None` where none does.
pub(crate) fn node_address(inventory: &Inventory) -> Option<String> {
    inventory
        .static_pods
        .iter()
        .find(|pod| runs(pod, API_SERVER))?
        .flag("advertise-address")
        .filter(|address| !is_unspecified(address))
        .map(str::to_owned)
}

/// Where the kubelet of this node serves the API server, as its configuration says.
pub(crate) fn kubelet_address(inventory: &Inventory) -> Address {
    let kubelet = &inventory.kubelet;
    Address {
        host: reachable(kubelet.address.as_deref().unwrap_or_default()),
        port: kubelet.port,
    }
}

/// Where etcd serves its clients over TLS.
pub(super) fn etcd_client_address(pod: &StaticPod) -> Option<Address> {
    listening(pod, "listen-client-urls", true)
}

/// Where etcd answers its clients' HTTP requests over TLS; a listener of their own may keep them off the gRPC port.
pub(super) fn etcd_http_address(pod: &StaticPod) -> Option<Address> {
    listening(pod, "listen-client-http-urls", true).or_else(|| etcd_client_address(pod))
}

/// The real host of an address that a process listens on.
pub(crate) fn reachable(bound: &str) -> String {
    if is_unspecified(bound) {
        // Go opens `::` for both families, so this reaches either wildcard.
        "127.0.0.1".to_owned()
    } else {
        bound.trim_matches(['[', ']']).to_owned()
    }
}

fn is_unspecified(host: &str) -> bool {
    matches!(host.trim_matches(['[', ']']), "" | "0.0.0.0" | "::")
}

/// `--secure-port`; `None` when it is switched off or no port.
fn secure_port(pod: &StaticPod, default: u16) -> Option<u16> {
    match pod.flag("secure-port") {
        None => Some(default),
        Some(port) => port.parse().ok().filter(|port| *port != 0),
    }
}

/// The metrics listener, which wants no certificate where it is plain http, else the clients' own port.
fn etcd_health(pod: &StaticPod) -> Option<HealthEndpoint> {
    let metrics = pod
        .flag("listen-metrics-urls")
        .and_then(|urls| urls.split(',').next())
        .and_then(parse_url);
    let clients = || etcd_http_address(pod).map(|address| (true, address));
    let plain = || listening(pod, "listen-client-urls", false).map(|address| (false, address));
    let (https, address) = metrics
        .map(|(https, address, _)| {
            let host = reachable(&address.host);
            (https, Address { host, ..address })
        })
        .or_else(clients)
        .or_else(plain)?;
    Some(HealthEndpoint {
        address,
        https,
        path: ETCD_HEALTH.to_owned(),
        peer: if https {
            PeerKind::Etcd
        } else {
            PeerKind::Unverifiable
        },
        is_guess: false,
    })
}

/// The first listener of a comma-separated flag with (or without) TLS, 127.0.0.1 before any other.
fn listening(pod: &StaticPod, flag: &str, tls: bool) -> Option<Address> {
    let addresses: Vec<Address> = pod
        .flag(flag)?
        .split(',')
        .filter_map(parse_url)
        .filter(|(https, _, _)| *https == tls)
        .map(|(_, address, _)| Address {
            host: reachable(&address.host),
            ..address
        })
        .collect();
    addresses
        .iter()
        .find(|address| address.host == "127.0.0.1")
        .or_else(|| addresses.first())
        .cloned()
}

fn serving(
    pod: &StaticPod,
    leaf: LeafName,
    flag: &str,
    address: Option<Address>,
) -> Option<ServingEndpoint> {
    Some(ServingEndpoint {
        leaf,
        address: address?,
        certificate: pod.file_flag(flag)?,
    })
}

/// The path that the manifest's own probe asks on this port: what the kubelet goes by in this release.
fn probe_path(pod: &StaticPod, port: u16) -> Option<String> {
    pod.containers
        .iter()
        .filter_map(|container| container.probe.as_ref())
        .find(|probe| probe.port == Some(port))
        .map(|probe| probe.path.clone())
}

/// The manifest's own probe. Where it names no host the kubelet takes the pod's address: the node's, for a pod in the
/// node's network, and one that nobody but the runtime knows for any other.
fn own_probe(pod: &StaticPod, node_address: Option<&str>) -> Option<HealthEndpoint> {
    let host_of = |probe: &HttpProbe| {
        if probe.host.is_empty() {
            node_address.filter(|_| pod.host_network).map(str::to_owned)
        } else {
            Some(reachable(&probe.host))
        }
    };
    let (probe, host) = pod
        .containers
        .iter()
        .filter_map(|container| container.probe.as_ref())
        .filter(|probe| probe.port.is_some())
        .find_map(|probe| Some((probe, host_of(probe)?)))?;
    Some(HealthEndpoint {
        address: Address {
            host,
            port: probe.port?,
        },
        https: probe.https,
        path: if probe.path.starts_with('/') {
            probe.path.clone()
        } else {
            format!("/{}", probe.path)
        },
        peer: PeerKind::Unverifiable,
        is_guess: probe.host.is_empty(),
    })
}

#[cfg(test)]
mod tests;
