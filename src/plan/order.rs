//! In which order static pods go out and come back.
//!
//! What a real kubelet does decides it. While etcd is away and the API server still runs, API calls hang and the kubelet
//! with them, so the API server goes first and comes back last. When the API is away for more than ten seconds,
//! controller-manager and scheduler lose their lease, exit and fall into CrashLoopBackOff, which sticks to them; so they
//! are out as long as the API is away and return when it answers.

use std::path::{Path, PathBuf};

use crate::node::{Inventory, StaticPod};

/// Pods that are restarted together. Groups follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestartGroup {
    /// Components to take out, wave after wave; a wave must be gone before the next goes.
    pub out: Vec<Vec<String>>,
    /// The same components to bring back, wave after wave; a wave must be healthy before the next comes.
    pub back: Vec<Vec<String>>,
    /// Of those, the ones that use no renewed file and are only out because the API or etcd is away.
    pub out_meanwhile: Vec<String>,
    /// The manifest of each component.
    pub manifests: Vec<(String, PathBuf)>,
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
}

impl RestartMethod {
    /// The method for both: the stronger of the two.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Manifests, other) | (other, Self::Manifests) => other,
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

/// Groups and waves for the components to be restarted. The API server and etcd with what depends on them come first, in one
/// group; every other pod is a group of its own after it. A component without a manifest on this node is left out.
#[must_use]
pub fn restart_groups(inventory: &Inventory, components: &[String]) -> Vec<RestartGroup> {
    let wanted = |pod: &StaticPod| {
        components
            .iter()
            .any(|name| name == pod.component() || Some(name.as_str()) == pod.role())
    };
    let is_wanted = |role: &str| inventory.static_pod(role).is_some_and(&wanted);
    let mut groups = Vec::new();
    if is_wanted(API_SERVER) || is_wanted(ETCD) {
        let mut out = vec![LEASE_HOLDERS.to_vec(), vec![API_SERVER]];
        if is_wanted(ETCD) {
            out.push(vec![ETCD]);
        }
        groups.extend(group(inventory, out, &wanted));
    } else {
        let leases = LEASE_HOLDERS
            .into_iter()
            .filter(|role| is_wanted(role))
            .collect();
        groups.extend(group(inventory, vec![leases], &wanted));
    }
    let mut done: Vec<&Path> = Vec::new();
    for component in components {
        let Some(pod) = inventory.static_pod(component) else {
            continue;
        };
        if pod.role().is_none() && !done.contains(&pod.path.as_path()) {
            done.push(&pod.path);
            groups.extend(group(inventory, vec![vec![component]], &wanted));
        }
    }
    groups
}

/// A group of those that are on this node, or none.
fn group(
    inventory: &Inventory,
    out: Vec<Vec<&str>>,
    wanted: &dyn Fn(&StaticPod) -> bool,
) -> Option<RestartGroup> {
    let mut group = RestartGroup::default();
    for wave in out {
        let pods: Vec<_> = wave
            .into_iter()
            .filter_map(|name| inventory.static_pod(name))
            .collect();
        let names: Vec<String> = pods.iter().map(|pod| pod.component().to_owned()).collect();
        let out_meanwhile = pods.iter().filter(|pod| !wanted(pod));
        group
            .out_meanwhile
            .extend(out_meanwhile.map(|pod| pod.component().to_owned()));
        group.manifests.extend(
            names
                .iter()
                .cloned()
                .zip(pods.iter().map(|pod| pod.path.clone())),
        );
        if !names.is_empty() {
            group.out.push(names);
        }
    }
    group.back = group.out.iter().rev().cloned().collect();
    (!group.out.is_empty()).then_some(group)
}
