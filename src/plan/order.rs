//! In which order static pods go out and come back.
//!
//! What a real kubelet does decides it. While etcd is away and the API server still runs, API calls hang and the kubelet
//! with them, so the API server goes first and comes back last. When the API is away for more than ten seconds,
//! controller-manager and scheduler lose their lease, exit and fall into CrashLoopBackOff, which sticks to them; so they
//! are out as long as the API is away and return when it answers.
//!
//! A kube-vip that holds the control plane's address holds it until its lease runs out while the API server behind the address is
//! gone, since it asks that one. Ended before, while the API still answers, it gives address and lease away at once, to the kube-vip
//! of another control plane; so it goes out first and comes back last. Where there is no other, it stays.

use std::collections::HashSet;
use std::path::Path;

use crate::node::{Inventory, PodRef, StaticPod};

/// Pods that are restarted together. Groups follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestartGroup {
    /// Pods to take out, wave after wave; a wave must be gone before the next goes.
    pub out: Vec<Vec<PodRef>>,
    /// The same pods to bring back, wave after wave; a wave must be healthy before the next comes.
    pub back: Vec<Vec<PodRef>>,
    /// Of those, the ones that use no renewed file and are only out because the API or etcd is away, or about to be.
    pub out_meanwhile: Vec<PodRef>,
}

impl RestartGroup {
    /// All of its pods, in the order in which they go out.
    pub fn pods(&self) -> impl Iterator<Item = &PodRef> {
        self.out.iter().flatten()
    }
}

/// How pods are made to use other files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestartMethod {
    /// Their manifests go out and come back: the kubelet does the rest.
    #[default]
    Manifests,
    /// The kubelet is restarted and their containers are ended through the container runtime: to a kubelet that expired
    /// certificates have stopped, manifests mean nothing.
    Containers {
        /// Whether the kubelet's own certificate is among the new files, so that it is restarted although it runs.
        kubelet_changed: bool,
    },
    /// No pod is concerned: the kubelet alone, on a node that runs.
    Kubelet {
        /// Whether it has to be restarted, or has read its new files by itself.
        restart: bool,
    },
}

impl RestartMethod {
    /// The method for both: the stronger of the two. An operation on the kubelet alone is never part of another.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Manifests | Self::Kubelet { .. }, other)
            | (other, Self::Manifests | Self::Kubelet { .. }) => other,
            (
                Self::Containers { kubelet_changed },
                Self::Containers {
                    kubelet_changed: other,
                },
            ) => Self::Containers {
                kubelet_changed: kubelet_changed || other,
            },
        }
    }
}

const API_SERVER: &str = "kube-apiserver";
const ETCD: &str = "etcd";
/// The components that lose their lease when the API is away.
const LEASE_HOLDERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// Groups and waves for the pods to be restarted. The API server and etcd with what depends on them come first, in one group;
/// every other pod is a group of its own after it. A pod without a manifest on this node is left out.
#[must_use]
pub fn restart_groups(inventory: &Inventory, pods: &[PodRef]) -> Vec<RestartGroup> {
    let found: Vec<&StaticPod> = pods.iter().filter_map(|pod| inventory.pod(pod)).collect();
    let paths: HashSet<&Path> = found.iter().map(|pod| pod.path.as_path()).collect();
    let wanted = |pod: &StaticPod| paths.contains(pod.path.as_path());
    let of_role = |role: &str| inventory.static_pod(role);
    let is_wanted = |role: &str| of_role(role).is_some_and(wanted);
    let disturbs_api = is_wanted(API_SERVER) || is_wanted(ETCD);
    let address_holders = if disturbs_api {
        address_holders(inventory)
    } else {
        Vec::new()
    };
    let mut groups = Vec::new();
    if disturbs_api {
        let mut out = vec![LEASE_HOLDERS.to_vec(), vec![API_SERVER]];
        if is_wanted(ETCD) {
            out.push(vec![ETCD]);
        }
        let waves = out
            .iter()
            .map(|wave| wave.iter().copied().filter_map(of_role).collect());
        groups.extend(group(
            std::iter::once(address_holders.clone()).chain(waves),
            wanted,
        ));
    } else {
        let leases = LEASE_HOLDERS.into_iter().filter(|role| is_wanted(role));
        groups.extend(group([leases.filter_map(of_role).collect()], wanted));
    }
    let mut done: HashSet<&Path> = address_holders
        .iter()
        .map(|pod| pod.path.as_path())
        .collect();
    for pod in found {
        if pod.role().is_none() && done.insert(&pod.path) {
            groups.extend(group([vec![pod]], wanted));
        }
    }
    groups
}

/// The pods that hold the control plane's address, where another control plane can take it.
fn address_holders(inventory: &Inventory) -> Vec<&StaticPod> {
    inventory
        .static_pods
        .iter()
        .filter(|pod| inventory.other_control_planes && pod.is_kube_vip())
        .collect()
}

/// A group of these waves, or none.
fn group<'node>(
    waves: impl IntoIterator<Item = Vec<&'node StaticPod>>,
    wanted: impl Fn(&StaticPod) -> bool,
) -> Option<RestartGroup> {
    let mut group = RestartGroup::default();
    for wave in waves.into_iter().filter(|wave| !wave.is_empty()) {
        let out_meanwhile = wave.iter().filter(|pod| !wanted(pod));
        group
            .out_meanwhile
            .extend(out_meanwhile.map(|pod| PodRef::from(*pod)));
        group.out.push(wave.into_iter().map(PodRef::from).collect());
    }
    group.back = group.out.iter().rev().cloned().collect();
    (!group.out.is_empty()).then_some(group)
}
