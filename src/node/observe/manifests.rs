//! The manifest directory, as the kubelet reads it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::node::read;
use crate::node::{Problem, StaticPod};
use crate::root::Root;

/// The manifests of a directory.
#[derive(Default)]
pub(super) struct Manifests {
    /// The pods that the kubelet runs, by file name.
    pub(super) running: Vec<StaticPod>,
    /// Pods of which it runs another manifest.
    pub(super) shadowed: Vec<StaticPod>,
    /// Files in which there may be a pod, but which are none to this program.
    pub(super) unread: Vec<Problem>,
    /// What else is wrong with the directory.
    pub(super) problems: Vec<Problem>,
}

impl Manifests {
    /// Reads all of the directory. `elsewhere`: pods whose manifests are out.
    pub(super) fn read(root: &Root, directory: &Path, elsewhere: &[StaticPod]) -> Self {
        let mut manifests = Self::default();
        let names = root
            .resolve(directory)
            .and_then(|resolved| read::names(&resolved));
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                let problem = Problem {
                    path: directory.to_path_buf(),
                    reason: directory_reason(&error),
                };
                if error.kind() == io::ErrorKind::NotFound {
                    manifests.problems.push(problem);
                } else {
                    manifests.unread.push(problem);
                }
                return manifests;
            }
        };
        let mut pods = Vec::new();
        for path in names.into_iter().map(|name| directory.join(name)) {
            match read_one(root, &path) {
                Ok(Some(pod)) => pods.push(pod),
                Ok(None) => {}
                Err(reason) => manifests.unread.push(Problem { path, reason }),
            }
        }
        manifests.problems.extend(doubled(root, &pods));
        (manifests.running, manifests.shadowed) = split(pods);
        StaticPod::settle_components(&mut manifests.running, elsewhere);
        manifests
    }
}

/// Those that run, and those that do not because another manifest of the same pod comes after theirs: the kubelet reads the
/// directory by the names of its files and keeps the last.
fn split(pods: Vec<StaticPod>) -> (Vec<StaticPod>, Vec<StaticPod>) {
    let last: BTreeMap<(String, String), PathBuf> = pods
        .iter()
        .map(|pod| ((pod.namespace.clone(), pod.name.clone()), pod.path.clone()))
        .collect();
    pods.into_iter().partition(|pod| {
        let full_name = (pod.namespace.clone(), pod.name.clone());
        last.get(&full_name) == Some(&pod.path)
    })
}

/// The pod in a file; `None` for a directory, which the kubelet does not enter, and for a file that is gone again.
fn read_one(root: &Root, path: &Path) -> Result<Option<StaticPod>, String> {
    if root.is_directory(path) {
        return Ok(None);
    }
    let Some(text) = read::find_text(root, path)? else {
        return Ok(None);
    };
    StaticPod::parse(path, &text, root).map(Some).map_err(|error| {
        format!(
            "{error}; the kubelet tries to run every file of this directory as a pod, so move it elsewhere or repair it"
        )
    })
}

/// One problem for each pod that has more than one manifest.
fn doubled(root: &Root, pods: &[StaticPod]) -> Vec<Problem> {
    let mut manifests: BTreeMap<(&str, &str), Vec<&PathBuf>> = BTreeMap::new();
    for pod in pods {
        manifests
            .entry((&pod.namespace, &pod.name))
            .or_default()
            .push(&pod.path);
    }
    manifests
        .into_iter()
        .filter_map(|((namespace, name), paths)| {
            let (last, others) = paths.split_last()?;
            let first = others.first()?;
            let names: Vec<String> = paths
                .iter()
                .map(|path| root.node_path(path).display().to_string())
                .collect();
            // The kubelet keeps the last of the sorted list.
            Some(Problem {
                path: (*first).clone(),
                reason: format!(
                    "{} manifests for the one pod {namespace}/{name}: {}; the kubelet runs only {}, move the others elsewhere",
                    paths.len(),
                    names.join(" and "),
                    root.node_path(last).display(),
                ),
            })
        })
        .collect()
}

fn directory_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "the manifest directory does not exist, so no static pod is known".to_owned()
        }
        io::ErrorKind::NotADirectory => {
            "is a file where kubecertd needs the kubelet's manifest directory; point staticPodPath to a directory"
                .to_owned()
        }
        _ => read::reason(error),
    }
}
