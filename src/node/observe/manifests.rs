//! The manifest directory, as the kubelet reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::findings::Findings;
use crate::host::{FILE_LIMIT, Root};
use crate::node::{
    Document, Fault, Problem, StaticPod,
    read::{self, Size},
};

/// Bytes of manifests that are read: many times what any node has.
const BYTES: u64 = 32 << 20;

/// kubeadm's own, which are read however much lies beside them.
const KUBEADM: [&str; 4] = [
    "etcd.yaml",
    "kube-apiserver.yaml",
    "kube-controller-manager.yaml",
    "kube-scheduler.yaml",
];

/// The manifests of a directory.
#[derive(Default)]
pub(super) struct Manifests {
    /// The pods that the kubelet runs, by file name.
    pub(super) running: Vec<StaticPod>,
    /// Pods of which it runs another manifest.
    pub(super) shadowed: Vec<StaticPod>,
    /// Files in which there may be a pod, but which are none to this program. They are among the findings.
    pub(super) unread: Vec<Problem>,
}

impl Manifests {
    /// Reads all of the directory. `elsewhere`: pods whose manifests are out.
    pub(super) fn read(
        root: &Root,
        directory: &Path,
        elsewhere: &[StaticPod],
        findings: &mut Findings,
    ) -> Self {
        let mut manifests = Self::default();
        let pods = manifests.all(root, directory, findings);
        for problem in &manifests.unread {
            findings.unseen(problem.clone());
        }
        findings.problems.extend(doubled(root, &pods));
        (manifests.running, manifests.shadowed) = split(pods);
        StaticPod::settle_roles(&mut manifests.running, elsewhere);
        manifests
    }

    /// Every pod of the directory, by file name.
    fn all(&mut self, root: &Root, directory: &Path, findings: &mut Findings) -> Vec<StaticPod> {
        let listing = root
            .resolve(directory)
            .and_then(|resolved| read::names(&resolved));
        let mut listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                let problem = Problem::new(directory, directory_fault(&error));
                if error.kind() == io::ErrorKind::NotFound {
                    findings.unseen(problem);
                } else {
                    self.unread.push(problem);
                }
                return Vec::new();
            }
        };
        if listing.is_cut {
            self.unread.push(Problem::new(directory, read::CUT));
            listing.names.extend(KUBEADM.map(OsString::from));
            listing.names.sort();
            listing.names.dedup();
        }
        let mut pods = Vec::new();
        let mut bytes = 0;
        for name in listing.names {
            let path = directory.join(&name);
            if !KUBEADM.iter().any(|own| name == *own) {
                if let Size::Of(size) = read::size(root, &path) {
                    bytes += size.min(FILE_LIMIT);
                }
                if bytes > BYTES {
                    self.unread.push(Problem {
                        path,
                        fault: Fault::ManifestNotRead { most: BYTES >> 20 },
                    });
                    continue;
                }
            }
            match read_one(root, &path) {
                Ok(Some(pod)) => pods.push(pod),
                Ok(None) => {}
                Err(fault) => self.unread.push(Problem { path, fault }),
            }
        }
        pods
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
fn read_one(root: &Root, path: &Path) -> Result<Option<StaticPod>, Fault> {
    if root.is_directory(path) {
        return Ok(None);
    }
    let Some(text) = read::find_text(root, path)? else {
        return Ok(None);
    };
    StaticPod::parse(path, &text, root)
        .map(Some)
        .map_err(|error| Fault::Malformed {
            what: Document::Manifest,
            reason: error.to_string(),
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
            // The kubelet keeps the last of the sorted list.
            Some(Problem::new(
                first,
                Fault::SeveralManifests {
                    pod: format!("{namespace}/{name}"),
                    manifests: paths.iter().map(|path| root.node_path(path)).collect(),
                    runs: root.node_path(last),
                },
            ))
        })
        .collect()
}

fn directory_fault(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => Fault::NoManifestDirectory,
        io::ErrorKind::NotADirectory => Fault::ManifestDirectoryIsFile,
        _ => read::fault(error),
    }
}
