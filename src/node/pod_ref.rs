//! Which static pod of the node, in a plan, a journal and a restart.

use std::path::PathBuf;

use super::StaticPod;

/// Which static pod: what people call it, and the manifest by which it is found. In a journal the two are a pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "(String, PathBuf)", into = "(String, PathBuf)")]
pub struct PodRef {
    /// [`StaticPod::component`]
    pub component: String,
    /// Its manifest: a real path, in a journal the node's.
    pub manifest: PathBuf,
}

impl From<&StaticPod> for PodRef {
    fn from(pod: &StaticPod) -> Self {
        Self {
            component: pod.component().to_owned(),
            manifest: pod.path.clone(),
        }
    }
}

impl From<(String, PathBuf)> for PodRef {
    fn from((component, manifest): (String, PathBuf)) -> Self {
        Self {
            component,
            manifest,
        }
    }
}

impl From<PodRef> for (String, PathBuf) {
    fn from(pod: PodRef) -> Self {
        (pod.component, pod.manifest)
    }
}

/// What people call them.
#[must_use]
pub fn components<'a>(pods: impl IntoIterator<Item = &'a PodRef>) -> Vec<String> {
    pods.into_iter().map(|pod| pod.component.clone()).collect()
}
