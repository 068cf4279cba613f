//! Reading the disk into an [`Inventory`].

mod authorities;
mod budget;
mod closed;
mod described;
mod directories;
mod entrusted;
mod extras;
mod findings;
mod kubeconfigs;
mod kubelets;
mod leaves;
mod manifests;
mod name;
mod named;
mod node;
mod own_place;
mod pattern;
mod pem_files;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{
    Authority, AuthorityState, CertificateState, Entry, Fault, Inventory, KubeletConfiguration,
    Lot, Problem, StaticPod, replaceable,
};
use crate::config::Locations;
use crate::host::{Root, Sight, on_all_cores};
use crate::pki::Catalogued;
pub(crate) use name::host_name;

use closed::Reader;
use findings::Findings;
use manifests::Manifests;
use node::{Found, Node, Purpose};

/// Reads the node. Never fails as a whole.
#[must_use]
pub fn observe(root: &Root, locations: &Locations) -> Inventory {
    read_node(root, locations, Purpose::Renewal)
}

/// The same for a report, which does not try whether new credentials could be put into the kubeconfigs: no plan follows from it.
#[must_use]
pub fn observe_to_report(root: &Root, locations: &Locations) -> Inventory {
    read_node(root, locations, Purpose::Report)
}

fn read_node(root: &Root, locations: &Locations, purpose: Purpose) -> Inventory {
    let root = &root.holding();
    let mut findings = Findings::default();
    let kubelet = KubeletConfiguration::read(root, &locations.kubelet_configuration);
    for problem in &kubelet.problems {
        findings.unseen(problem.clone());
    }
    let manifests = directories::manifests(root, locations, &kubelet);
    let parked = directories::parked(root, &manifests);
    let Manifests {
        running: static_pods,
        shadowed,
        unread: unread_manifests,
    } = Manifests::read(root, &manifests, &parked, &mut findings);
    let directories = directories::find(root, locations, manifests, &kubelet, &static_pods);
    let external_etcd = directories::is_etcd_external(root, &directories, &static_pods, &parked);
    let reader = Reader::new(root, &directories, locations, &static_pods);
    let authorities = authorities::read(&reader, &directories, locations, external_etcd);
    let node = Node {
        root,
        purpose,
        reader: &reader,
        locations,
        directories: &directories,
        kubelet: &kubelet,
        static_pods: &static_pods,
        authorities: &authorities,
        external_etcd,
    };
    // Checking an RSA key takes longer than all else together.
    let mut entries = Vec::new();
    let mut uneditable = BTreeMap::new();
    let mut users = BTreeMap::new();
    let mut servers = BTreeMap::new();
    for found in on_all_cores(&Catalogued::all(), |catalogued| match *catalogued {
        Catalogued::Leaf(leaf) => leaves::entry(&node, leaf).map(Found::from),
        Catalogued::Kubeconfig(name) => Some(kubeconfigs::catalogued(&node, name)),
    })
    .into_iter()
    .flatten()
    {
        if let Some(reason) = found.uneditable {
            uneditable.insert(found.entry.id.clone(), reason);
        }
        if let Some(user) = found.user {
            users.insert(found.entry.id.clone(), user);
        }
        if let Some(server) = found.server {
            servers.insert(found.entry.id.clone(), server);
        }
        entries.push(found.entry);
        findings.trust(found.trust);
    }
    entries.extend(kubelets::entries(&node, &mut findings));
    let described = described::entries(&node, &entries, &mut findings);
    // Also where nothing lies there yet.
    let has_only_described =
        !locations.described.is_empty() && without_kubeadms(&entries, &static_pods);
    entries.extend(described);
    let extras = extras::entries(&node, &entries, &mut findings);
    entries.extend(extras);
    let service_account = authorities::service_account(&reader, &directories);
    let known = entries
        .iter()
        .flat_map(|entry| entry.files().chain([entry.path.as_path()]))
        .chain(authorities.iter().flat_map(Authority::files))
        .chain([
            service_account.key_path.as_path(),
            service_account.public_key_path.as_path(),
        ])
        .chain(static_pods.iter().map(|pod| pod.path.as_path()));
    findings.trusts.extend(trust::by_flags(&node));
    let known = known.chain(findings.trusts.iter().map(|trust| trust.path.as_path()));
    let sight = Sight::new(root);
    let links = links(&sight, known, &static_pods);
    let mut inventory = Inventory {
        node_name: name::node_name(root, &kubelet, &entries),
        kubelet_client: kubelets::client_link(root, &directories.kubelet_pki),
        lot: Lot::of_machine(root).ok(),
        service_account,
        directories,
        kubelet,
        authorities,
        entries,
        static_pods,
        shadowed,
        unread_manifests,
        uneditable,
        users,
        servers,
        cluster: None,
        problems: findings.problems,
        trusts: findings.trusts,
        external_etcd,
        other_control_planes: false,
        links,
    };
    if has_only_described {
        leave_out_kubeadms(&mut inventory);
    }
    inventory.other_control_planes = directories::names_other_members(&inventory.static_pods);
    replaceable::mark(&sight, &mut inventory);
    inventory
}

/// Whether there is nothing of what kubeadm makes on a control-plane node but, perhaps, authorities.
fn without_kubeadms(entries: &[Entry], static_pods: &[StaticPod]) -> bool {
    let mut kubeadms = entries.iter().filter(|entry| entry.id.is_catalogued());
    kubeadms.all(|entry| matches!(entry.state, CertificateState::Missing))
        && ["kube-apiserver", "etcd", "kube-controller-manager"]
            .iter()
            .all(|component| StaticPod::of_name(static_pods, component).is_none())
}

/// What kubeadm never made is not missing.
fn leave_out_kubeadms(inventory: &mut Inventory) {
    inventory.entries.retain(|entry| !entry.id.is_catalogued());
    let is_wanted = |authority: &Authority| {
        !authority.name.is_kubeadms() || !matches!(authority.state, AuthorityState::Missing)
    };
    inventory.authorities.retain(is_wanted);
    let is_problem = |problem: &Problem| problem.fault != Fault::NoManifestDirectory;
    inventory.problems.retain(is_problem);
}

/// Where the files of these really lie, as far as that is elsewhere than their paths say.
fn links<'path>(
    sight: &Sight,
    known: impl Iterator<Item = &'path Path>,
    static_pods: &[StaticPod],
) -> BTreeMap<PathBuf, PathBuf> {
    known
        .map(Path::to_path_buf)
        .chain(static_pods.iter().flat_map(StaticPod::used_paths))
        .filter_map(|path| {
            let real = &sight.of(&path)?.way.real;
            (*real != path).then(|| (path, real.clone()))
        })
        .collect()
}
