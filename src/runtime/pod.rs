//! What the runtime knows of one static pod, and which of its pods that is.

use std::fmt;

use jiff::Timestamp;

use super::messages::{Container, PodSandbox};
use crate::node::{Inventory, StaticPod};

/// What the kubelet writes on the sandboxes of static pods.
const SOURCE_ANNOTATION: (&str, &str) = ("kubernetes.io/config.source", "file");

/// Which pod of the runtime's is meant.
#[derive(Debug, Clone, Copy)]
pub struct PodName<'a> {
    /// `metadata.namespace`
    pub namespace: &'a str,
    /// `metadata.name` of the manifest, without the node's name.
    pub name: &'a str,
    /// The node's name, which the kubelet appends in lower case; without it, or when nothing is found under it, the
    /// longest of `siblings` decides whose a pod is.
    pub node: Option<&'a str>,
    /// The names of all manifests of the node.
    pub siblings: &'a [String],
}

/// What the runtime knows of one pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodState {
    /// Its sandboxes, past ones included.
    pub sandboxes: Vec<SandboxState>,
    /// Its containers, past ones included.
    pub containers: Vec<ContainerState>,
}

/// A pod's sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxState {
    /// The runtime's id.
    pub id: String,
    /// The pod's UID.
    pub uid: String,
    /// Whether it is ready.
    pub ready: bool,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// The runtime's id.
    pub id: String,
    /// Its name in the manifest.
    pub name: String,
    /// How many were before it in the same sandbox.
    pub attempt: u32,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// What it does.
    pub phase: ContainerPhase,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerPhase {
    /// Made, not yet started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

impl fmt::Display for ContainerPhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Unknown => "in a state that the container runtime does not know",
        })
    }
}

impl PodState {
    /// Whether a container runs or is about to, or a sandbox is ready.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.sandboxes.iter().any(|sandbox| sandbox.ready)
            || self.containers.iter().any(|container| {
                matches!(
                    container.phase,
                    ContainerPhase::Created | ContainerPhase::Running
                )
            })
    }
}

impl fmt::Display for PodState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let containers = self.containers.iter().map(|container| {
            format!(
                "container {} {} is {} (attempt {})",
                container.name,
                container.id.get(..13).unwrap_or(&container.id),
                container.phase,
                container.attempt
            )
        });
        // Past sandboxes stay in the list for a while and say nothing.
        let sandboxes = self
            .sandboxes
            .iter()
            .filter(|sandbox| sandbox.ready)
            .map(|sandbox| {
                let id = sandbox.id.get(..13).unwrap_or(&sandbox.id);
                format!("sandbox {id} is ready")
            });
        let parts: Vec<String> = containers.chain(sandboxes).collect();
        if parts.is_empty() {
            return formatter.write_str("the container runtime knows no container of it");
        }
        formatter.write_str(&parts.join(", "))
    }
}

impl<'a> PodName<'a> {
    /// The runtime's name for a manifest's pod.
    #[must_use]
    pub fn new(pod: &'a StaticPod, inventory: &'a Inventory, siblings: &'a [String]) -> Self {
        Self {
            namespace: &pod.namespace,
            name: &pod.name,
            node: inventory.node_name.as_deref(),
            siblings,
        }
    }

    /// Whether a pod of the runtime's can only be this one: its name begins with this and no longer sibling's.
    fn is_prefix_of(&self, full: &str) -> bool {
        let begins = |name: &str| {
            full.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('-'))
        };
        begins(self.name)
            && !self
                .siblings
                .iter()
                .any(|sibling| sibling.len() > self.name.len() && begins(sibling))
    }
}

/// The names of the node's manifests.
pub(crate) fn sibling_names(inventory: &Inventory) -> Vec<String> {
    inventory
        .static_pods
        .iter()
        .map(|pod| pod.name.clone())
        .collect()
}

/// The sandboxes that are the pod's: by its full name, else those of static pods that begin with its name.
pub(super) fn select<'s>(sandboxes: &'s [PodSandbox], pod: PodName<'_>) -> Vec<&'s PodSandbox> {
    let name_of = |sandbox: &PodSandbox| {
        sandbox
            .metadata
            .as_ref()
            .map_or_else(String::new, |metadata| metadata.name.clone())
    };
    if let Some(node) = pod.node {
        let full = format!("{}-{}", pod.name, node.to_lowercase());
        let exact: Vec<&PodSandbox> = sandboxes
            .iter()
            .filter(|sandbox| name_of(sandbox) == full)
            .collect();
        if !exact.is_empty() {
            return exact;
        }
    }
    let (key, value) = SOURCE_ANNOTATION;
    sandboxes
        .iter()
        .filter(|sandbox| {
            sandbox
                .annotations
                .get(key)
                .is_some_and(|source| source == value)
                && pod.is_prefix_of(&name_of(sandbox))
        })
        .collect()
}

impl From<&PodSandbox> for SandboxState {
    fn from(sandbox: &PodSandbox) -> Self {
        Self {
            id: sandbox.id.clone(),
            uid: sandbox
                .metadata
                .as_ref()
                .map_or_else(String::new, |metadata| metadata.uid.clone()),
            ready: sandbox.state == 0,
        }
    }
}

impl From<Container> for ContainerState {
    fn from(container: Container) -> Self {
        let (name, attempt) = container
            .metadata
            .map_or_else(Default::default, |metadata| {
                (metadata.name, metadata.attempt)
            });
        Self {
            id: container.id,
            name,
            attempt,
            created_at: Timestamp::from_nanosecond(container.created_at.into()).ok(),
            phase: match container.state {
                0 => ContainerPhase::Created,
                1 => ContainerPhase::Running,
                2 => ContainerPhase::Exited,
                _ => ContainerPhase::Unknown,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::runtime::messages::PodSandboxMetadata;

    fn sandbox(name: &str, source: &str) -> PodSandbox {
        PodSandbox {
            id: name.to_owned(),
            metadata: Some(PodSandboxMetadata {
                name: name.to_owned(),
                uid: String::new(),
            }),
            state: 0,
            annotations: HashMap::from([(SOURCE_ANNOTATION.0.to_owned(), source.to_owned())]),
        }
    }

    fn selected(node: Option<&str>, name: &str) -> Vec<String> {
        let siblings = ["etcd".to_owned(), "etcd-events".to_owned()];
        let sandboxes = [
            sandbox("etcd-cp1", "file"),
            sandbox("etcd-events-cp1", "file"),
            sandbox("etcd-operator-7d9f", "api"),
            sandbox("etcd", "file"),
        ];
        let pod = PodName {
            namespace: "kube-system",
            name,
            node,
            siblings: &siblings,
        };
        select(&sandboxes, pod)
            .into_iter()
            .map(|sandbox| sandbox.id.clone())
            .collect()
    }

    #[test]
    fn a_pod_is_found_by_its_full_name_and_else_as_a_static_pod() {
        assert_eq!(selected(Some("CP1"), "etcd"), ["etcd-cp1"]);
        assert_eq!(selected(None, "etcd"), ["etcd-cp1"]);
        assert_eq!(selected(None, "etcd-events"), ["etcd-events-cp1"]);
        assert_eq!(selected(Some("another"), "etcd"), ["etcd-cp1"]);
        assert!(selected(Some("cp1"), "kube-vip").is_empty());
    }
}
