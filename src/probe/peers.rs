//! The other control planes: who they are, and whether they answer.
//!
//! Each etcd member of kubeadm's lies beside an API server, and etcd itself knows all members: the manifest of the first control
//! plane names only that one. Where etcd runs elsewhere the cluster's own list of API servers has to do.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::authenticate::as_holder;
use super::endpoint::{API_SERVER, ETCD, ETCD_HEALTH, addresses_of_flag, api_server_address, runs};
use super::etcd::EtcdClient;
use super::peer::Peer;
use crate::net::{Address, Identity, Server, http, parse_url, printable, together};
use crate::node::{Inventory, StaticPod};
use crate::plan::Share;

/// For the list of members.
const LIST_BOUND: Duration = Duration::from_secs(2);
/// For each other member's answer.
const PEER_BOUND: Duration = Duration::from_secs(3);
/// So many others are asked; etcd itself advises against more than seven members.
const MOST_PEERS: usize = 16;

const API_SERVERS: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes";

/// The cluster's control planes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlanes {
    /// How many there are, with this one.
    pub count: usize,
    /// This one's place among them.
    pub share: Share,
    /// What of the others does not answer, and what was seen: `the API server of cp2 (10.0.0.2:6443)`.
    pub silent: Vec<(String, String)>,
}

/// One control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    /// Where its etcd answers; `None` where etcd runs elsewhere, or where it has not started yet.
    etcd: Option<Address>,
    api_server: Option<Address>,
    is_own: bool,
}

/// The control planes, the others having been asked; `None` where only this one is known.
pub(crate) async fn control_planes(inventory: &Inventory) -> Option<ControlPlanes> {
    let mut members = members(inventory).await;
    members.sort_by(|one, other| one.name.cmp(&other.name));
    members.dedup_by(|one, other| one.name == other.name && one.etcd == other.etcd);
    if members.len() < 2 {
        return None;
    }
    let share = members.iter().position(|member| member.is_own).map_or_else(
        || Share::of_name(inventory.node_name.as_deref().unwrap_or_default()),
        |place| Share::ranked(place, members.len()),
    );
    let questions = Questions::of(inventory);
    let others = members.iter().filter(|member| !member.is_own);
    let asked = others
        .take(MOST_PEERS)
        .map(|member| questions.silent(member))
        .collect();
    Some(ControlPlanes {
        count: members.len(),
        share,
        silent: together(asked).await.into_iter().flatten().collect(),
    })
}

/// Names and hosts of the other control planes that the manifest of this node's etcd names.
pub(crate) fn named_members(inventory: &Inventory) -> Vec<(String, String)> {
    let etcd = pod(inventory, ETCD);
    others(etcd.map_or_else(Vec::new, |etcd| initial(etcd, 0)))
}

/// The same of all that are known now, as [`control_planes`] asks them.
pub(crate) async fn known_members(inventory: &Inventory) -> Vec<(String, String)> {
    let mut known = members(inventory).await;
    known.truncate(MOST_PEERS);
    others(known)
}

fn others(members: Vec<Member>) -> Vec<(String, String)> {
    let mut others = Vec::new();
    for member in members.into_iter().filter(|member| !member.is_own) {
        let (etcd, api_server) = (member.etcd, member.api_server);
        let hosts: BTreeSet<String> = etcd
            .into_iter()
            .chain(api_server)
            .map(|one| one.host)
            .collect();
        others.extend(hosts.into_iter().map(|host| (member.name.clone(), host)));
    }
    others
}

async fn members(inventory: &Inventory) -> Vec<Member> {
    let local = pod(inventory, API_SERVER).and_then(api_server_address);
    match pod(inventory, ETCD) {
        Some(etcd) => {
            let port = local.map_or(6443, |address| address.port);
            match timeout(LIST_BOUND, listed(inventory, port)).await {
                Ok(Some(members)) => members,
                _ => initial(etcd, port),
            }
        }
        None => {
            let path = inventory.directories.kubernetes.join("admin.conf");
            let asked = as_holder(&path, local.as_ref(), API_SERVERS);
            match timeout(LIST_BOUND, asked).await {
                Ok(Ok(answer)) if answer.status == 200 => api_servers(&answer.body, local.as_ref()),
                _ => Vec::new(),
            }
        }
    }
}

/// etcd's own list, from the member of this node.
async fn listed(inventory: &Inventory, port: u16) -> Option<Vec<Member>> {
    let client = EtcdClient::of(inventory)?;
    let own = client.own().ok()?;
    let list = client.members(&own, false).await.ok()?;
    let members = list.into_iter().map(|member| {
        let of_url = |url: &String| parse_url(url).map(|(_, address, _)| address);
        let peer = member.peer_urls.first().and_then(of_url);
        let etcd = member.client_urls.first().and_then(of_url);
        let host = etcd.as_ref().or(peer.as_ref()).map(|one| one.host.clone());
        Member {
            is_own: client.is_own(&member),
            name: if member.name.is_empty() {
                host.clone().unwrap_or_default()
            } else {
                member.name
            },
            api_server: host.map(|host| Address { host, port }),
            etcd,
        }
    });
    Some(members.collect())
}

/// What the manifest says: `--initial-cluster=cp1=https://10.0.0.1:2380,cp2=https://10.0.0.2:2380`.
fn initial(own: &StaticPod, port: u16) -> Vec<Member> {
    let clients = addresses_of_flag(own, "advertise-client-urls");
    let client_port = clients.first().map_or(2379, |address| address.port);
    own.flag("initial-cluster")
        .unwrap_or_default()
        .split(',')
        .filter_map(|one| {
            let (name, url) = one.split_once('=')?;
            let (_, Address { host, .. }, _) = parse_url(url)?;
            Some(Member {
                name: name.to_owned(),
                etcd: Some(Address {
                    host: host.clone(),
                    port: client_port,
                }),
                api_server: Some(Address { host, port }),
                is_own: own.flag("name") == Some(name),
            })
        })
        .collect()
}

/// The addresses of the Service `kubernetes`, by the list of its endpoints.
fn api_servers(list: &str, own: Option<&Address>) -> Vec<Member> {
    let list: Value = serde_json::from_str(list).unwrap_or_default();
    let mut members = Vec::new();
    for slice in list["items"].as_array().into_iter().flatten() {
        let port = slice["ports"][0]["port"].as_u64();
        let port = port
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(6443);
        let endpoints = slice["endpoints"].as_array().into_iter().flatten();
        for host in endpoints
            .flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
        {
            members.push(Member {
                name: host.to_owned(),
                etcd: None,
                api_server: Some(Address {
                    host: host.to_owned(),
                    port,
                }),
                is_own: own.is_some_and(|own| own.host == host),
            });
        }
    }
    members
}

/// By what the others are asked.
struct Questions<'a> {
    inventory: &'a Inventory,
    api_server: Option<&'a StaticPod>,
    /// `None` where etcd does not run on the control planes.
    etcd: Option<EtcdClient<'a>>,
}

impl<'a> Questions<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        Self {
            inventory,
            api_server: pod(inventory, API_SERVER),
            etcd: EtcdClient::of(inventory),
        }
    }

    /// What of it does not answer, and what was seen instead.
    async fn silent(&self, member: &Member) -> Option<(String, String)> {
        let name = printable(&member.name);
        let etcd = async {
            let Some(address) = &member.etcd else {
                return self.etcd.as_ref().map(|_| {
                    let seen = "it was added and has not started yet".to_owned();
                    (format!("etcd of {name}"), seen)
                });
            };
            let peer = Peer::etcd(self.inventory, &address.host);
            let identity = self.etcd.as_ref().and_then(EtcdClient::identity);
            let seen = answers(address, ETCD_HEALTH, peer, identity).await;
            seen.err()
                .map(|seen| (format!("etcd of {name} ({address})"), seen))
        };
        let api_server = async {
            let address = member.api_server.as_ref()?;
            let peer = Peer::api_server(self.api_server?, self.inventory, &address.host);
            let seen = answers(address, "/readyz", peer, None).await;
            seen.err()
                .map(|seen| (format!("the API server of {name} ({address})"), seen))
        };
        let (etcd, api_server) = tokio::join!(etcd, api_server);
        etcd.or(api_server)
    }
}

/// Whether a server that is who it should be answers without trouble of its own. One that wants to know who asks does.
async fn answers(
    address: &Address,
    path: &str,
    own: Result<Peer, String>,
    identity: Option<&Identity>,
) -> Result<(), String> {
    let peer = own?.on_another_node(&address.host)?;
    let security = peer.security(identity);
    match timeout(PEER_BOUND, http::get(Server { address, security }, path)).await {
        Ok(Ok(answer)) if answer.status < 500 => Ok(()),
        Ok(Ok(answer)) => Err(answer.describe()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PEER_BOUND.as_secs())),
    }
}

fn pod<'a>(inventory: &'a Inventory, program: &str) -> Option<&'a StaticPod> {
    inventory.static_pods.iter().find(|pod| runs(pod, program))
}
