//! Where things lie: the configuration, then the manifests, then the kubelet, then kubeadm's defaults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::manifests::Manifests;
use crate::config::Locations;
use crate::host::Root;
use crate::node::{Directories, KubeletConfiguration, StaticPod};
use crate::pki::{AuthorityId, LeafName};

/// Where manifests are while they are out, beside their directory.
const PARKED: &str = ".kubecertd";

/// The manifest directory.
pub(super) fn manifests(
    root: &Root,
    locations: &Locations,
    kubelet: &KubeletConfiguration,
) -> PathBuf {
    locations
        .manifests
        .as_ref()
        .map(|path| root.join(path))
        .or_else(|| kubelet.static_pod_path.clone())
        .unwrap_or_else(|| root.join(&locations.kubernetes).join("manifests"))
}

/// All directories.
pub(super) fn find(
    root: &Root,
    locations: &Locations,
    manifests: PathBuf,
    kubelet: &KubeletConfiguration,
    static_pods: &[StaticPod],
) -> Directories {
    let kubernetes = root.join(&locations.kubernetes);
    let certificates = locations
        .certificates
        .as_ref()
        .map(|path| root.join(path))
        .or_else(|| named_by_manifests(static_pods))
        .or_else(|| {
            let file = kubelet.client_ca_file.as_ref()?;
            file.parent().map(Path::to_path_buf)
        })
        .unwrap_or_else(|| kubernetes.join("pki"));
    let kubelet_pki = locations
        .kubelet_pki
        .as_ref()
        .map(|path| root.join(path))
        .or_else(|| kubelet.certificate_directory.clone())
        .unwrap_or_else(|| root.join("/var/lib/kubelet/pki"));
    Directories {
        kubernetes,
        certificates,
        manifests,
        kubelet_pki,
    }
}

/// The directory in which most of the files lie that the control plane's flags name: a single one of them may well be
/// somebody's own.
fn named_by_manifests(static_pods: &[StaticPod]) -> Option<PathBuf> {
    const API_SERVER: [&str; 6] = [
        "tls-cert-file",
        "client-ca-file",
        "kubelet-client-certificate",
        "proxy-client-cert-file",
        "requestheader-client-ca-file",
        "service-account-signing-key-file",
    ];
    const CONTROLLER_MANAGER: [&str; 4] = [
        "root-ca-file",
        "client-ca-file",
        "cluster-signing-cert-file",
        "requestheader-client-ca-file",
    ];
    most_named(static_pods, "kube-apiserver", &API_SERVER)
        .or_else(|| most_named(static_pods, "kube-controller-manager", &CONTROLLER_MANAGER))
}

fn most_named(static_pods: &[StaticPod], component: &str, flags: &[&str]) -> Option<PathBuf> {
    let pod = StaticPod::of_name(static_pods, component)?;
    let mut votes: Vec<(PathBuf, usize)> = Vec::new();
    for file in flags.iter().filter_map(|flag| pod.file_flag(flag)) {
        let Some(directory) = file.parent() else {
            continue;
        };
        match votes.iter_mut().find(|(voted, _)| voted == directory) {
            Some((_, count)) => *count += 1,
            None => votes.push((directory.to_path_buf(), 1)),
        }
    }
    let most = votes.iter().map(|(_, count)| *count).max()?;
    votes
        .into_iter()
        .find(|(_, count)| *count == most)
        .map(|(directory, _)| directory)
}

/// Whether etcd's flag names other members than this node's: kubeadm writes those into it that there were when the node joined.
pub(super) fn names_other_members(static_pods: &[StaticPod]) -> bool {
    let etcd = StaticPod::of_name(static_pods, "etcd");
    let members = etcd.and_then(|etcd| etcd.flag("initial-cluster"));
    members.is_some_and(|members| {
        let names = members.split(',').filter_map(|one| one.split('=').next());
        names.collect::<BTreeSet<_>>().len() > 1
    })
}

/// Whether etcd runs elsewhere.
pub(super) fn is_etcd_external(
    root: &Root,
    directories: &Directories,
    static_pods: &[StaticPod],
    parked: &[StaticPod],
) -> bool {
    let pod = |name: &str| StaticPod::of_name(static_pods, name);
    let local_etcd = pod("etcd").is_some();
    let Some(api_server) = pod("kube-apiserver") else {
        return !local_etcd
            && exists(root, directories, AuthorityId::Kubernetes.base())
            && !has_member(root, directories, parked);
    };
    let local_ca = certificate(directories, AuthorityId::Etcd.base());
    if let Some(ca) = api_server.file_flag("etcd-cafile") {
        let resolved = |path: &Path| root.resolve(path).unwrap_or_else(|_| path.to_path_buf());
        let trusted_here = pod("etcd").and_then(|etcd| etcd.file_flag("trusted-ca-file"));
        if resolved(&ca) != resolved(&local_ca) && trusted_here.as_ref() != Some(&ca) {
            return true;
        }
    }
    // One that is not kubeadm's may run on this node as well.
    let elsewhere = api_server.flag("etcd-servers").is_some_and(|servers| {
        !servers
            .split(',')
            .any(|server| is_local(server, api_server))
    });
    !local_etcd && (elsewhere || !has_member(root, directories, parked))
}

/// Whether there is anything of a member of kubeadm's, without its manifest: that may be out for a restart at this very
/// moment, so its absence alone says nothing.
fn has_member(root: &Root, directories: &Directories, parked: &[StaticPod]) -> bool {
    [LeafName::EtcdServer.base(), LeafName::EtcdPeer.base()]
        .into_iter()
        .any(|base| exists(root, directories, base))
        || parked.iter().any(|pod| pod.program() == Some("etcd"))
}

/// The pods whose manifests are out, beside the manifest directory.
pub(super) fn parked(root: &Root, manifests: &Path) -> Vec<StaticPod> {
    let parked = root
        .resolve(manifests)
        .ok()
        .and_then(|manifests| Some(manifests.parent()?.join(PARKED)));
    parked.map_or_else(Vec::new, |parked| {
        Manifests::read(root, &parked, &[], &mut Findings::default()).running
    })
}

/// Whether there is a certificate of that name, a link that leads nowhere included.
fn exists(root: &Root, directories: &Directories, base: &str) -> bool {
    let path = certificate(directories, base);
    root.look(&path).is_ok_and(|found| found.is_some())
}

/// Whether an etcd URL points to this node.
fn is_local(server: &str, api_server: &StaticPod) -> bool {
    let authority = server
        .trim()
        .split_once("://")
        .map_or(server, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next().unwrap_or_default(),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
        || api_server.flag("advertise-address") == Some(host)
}

fn certificate(directories: &Directories, base: &str) -> PathBuf {
    directories.certificates.join(base).with_extension("crt")
}
