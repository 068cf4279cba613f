//! The names that a server's certificate has to have for those who reach it here, and which of them it has not.
//!
//! Whoever writes the cluster's configuration or a manifest decides what is called for. It is shown, and put into a certificate only
//! where an administrator asks for that: nothing of it does anything by itself.

use std::collections::BTreeSet;

use super::kubeadm_config::{first_service_address, subject_alt_name};
use super::{CertificateId, Inventory, StaticPod};
use crate::net::parse_url;
use crate::pki::{Catalogued, LeafName, SubjectAltName};

/// A name, and what calls for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CalledFor {
    /// `DNS:kubernetes`, `IP:10.96.0.1`
    pub name: SubjectAltName,
    /// What calls for it: `--advertise-address of kube-apiserver`
    pub by: String,
}

/// More flags and URLs than that are not looked at: bytes of one value.
const LONGEST: usize = 4096;

/// What a certificate's users need, each name once, with what calls for it first. Nothing for one that is not a server's.
#[must_use]
pub fn called_for(inventory: &Inventory, id: &CertificateId) -> Vec<CalledFor> {
    let CertificateId::Catalogued(Catalogued::Leaf(leaf)) = id else {
        return Vec::new();
    };
    let mut found = Names::default();
    match leaf {
        LeafName::Apiserver => api_server(inventory, &mut found),
        LeafName::EtcdServer => etcd(
            inventory,
            &["listen-client-urls", "advertise-client-urls"],
            &mut found,
        ),
        LeafName::EtcdPeer => etcd(
            inventory,
            &["listen-peer-urls", "initial-advertise-peer-urls"],
            &mut found,
        ),
        LeafName::ApiserverEtcdClient
        | LeafName::ApiserverKubeletClient
        | LeafName::EtcdHealthcheckClient
        | LeafName::FrontProxyClient => return Vec::new(),
    }
    if let Some(cluster) = &inventory.cluster {
        for name in cluster.names_of(*leaf) {
            found.add(name, "the cluster's kubeadm-config");
        }
    }
    found.all
}

/// Those of them that the certificate has not.
#[must_use]
pub fn missing_names(inventory: &Inventory, id: &CertificateId) -> Vec<CalledFor> {
    let Some(present) = inventory.entry(id).and_then(|entry| entry.present()) else {
        return Vec::new();
    };
    let has = &present.leaf.subject_alt_names;
    let mut missing = called_for(inventory, id);
    missing.retain(|one| !has.iter().any(|name| covers(name, &one.name)));
    missing
}

/// The certificates that lack a name, with what they lack.
#[must_use]
pub fn all_missing_names(inventory: &Inventory) -> Vec<(CertificateId, Vec<CalledFor>)> {
    let servers = inventory
        .entries
        .iter()
        .filter(|entry| entry.id.is_server());
    servers
        .map(|entry| (entry.id.clone(), missing_names(inventory, &entry.id)))
        .filter(|(_, missing)| !missing.is_empty())
        .collect()
}

/// Whether a name of a certificate is good for one by which its server is called: a wildcard stands for one label, as to Go.
fn covers(has: &SubjectAltName, wanted: &SubjectAltName) -> bool {
    match (has, wanted) {
        (SubjectAltName::Dns(has), SubjectAltName::Dns(wanted)) => {
            let below = |name: &str| name.split_once('.').map(|(_, below)| below.to_lowercase());
            has.eq_ignore_ascii_case(wanted)
                || (has.starts_with("*.") && below(has).is_some() && below(has) == below(wanted))
        }
        _ => has == wanted,
    }
}

#[derive(Default)]
struct Names {
    all: Vec<CalledFor>,
    seen: BTreeSet<SubjectAltName>,
}

impl Names {
    fn add(&mut self, name: SubjectAltName, by: &str) {
        if self.seen.insert(name.clone()) {
            self.all.push(CalledFor {
                name,
                by: by.to_owned(),
            });
        }
    }

    /// A name or address as it is written; what is neither, or an address at which nobody is reached, is left out.
    fn add_text(&mut self, text: &str, by: &str) {
        if let Ok(name) = subject_alt_name(&text.to_lowercase())
            && !is_unspecified(&name)
        {
            self.add(name, by);
        }
    }
}

fn is_unspecified(name: &SubjectAltName) -> bool {
    matches!(name, SubjectAltName::Ip(address) if address.is_unspecified())
}

/// kubeadm's own names of every cluster.
const KUBERNETES: [&str; 3] = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"];

fn api_server(inventory: &Inventory, found: &mut Names) {
    let Some(pod) = inventory.static_pod("kube-apiserver") else {
        return;
    };
    for name in KUBERNETES {
        found.add_text(name, "pods of the cluster");
    }
    add_node(inventory, found);
    if let Some(address) = flag(pod, "advertise-address") {
        found.add_text(address, "--advertise-address of kube-apiserver");
    }
    if let Some(Ok(address)) = flag(pod, "service-cluster-ip-range").map(first_service_address) {
        let by = "--service-cluster-ip-range of kube-apiserver, whose first address is the API's";
        found.add(SubjectAltName::Ip(address), by);
    }
    for (id, server) in &inventory.servers {
        if let Some((true, address, _)) = parse_url(server) {
            found.add_text(&address.host, &format!("the server of {id}"));
        }
    }
}

fn etcd(inventory: &Inventory, flags: &[&str], found: &mut Names) {
    let Some(pod) = inventory.static_pod("etcd") else {
        return;
    };
    add_node(inventory, found);
    for name in flags {
        let urls = flag(pod, name).unwrap_or_default();
        for url in urls.split(',') {
            if let Some((true, address, _)) = parse_url(url.trim()) {
                found.add_text(&address.host, &format!("--{name} of etcd"));
            }
        }
    }
}

fn add_node(inventory: &Inventory, found: &mut Names) {
    if let Some(name) = &inventory.node_name {
        found.add_text(name, "the node's name");
    }
}

fn flag<'pod>(pod: &'pod StaticPod, name: &str) -> Option<&'pod str> {
    pod.flag(name).filter(|value| value.len() <= LONGEST)
}
