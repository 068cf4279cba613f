//! Certificates that kubeadm does not know: beside its own, or named by a manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Node, Wanted, kubeconfigs, leaves, pem_files};
use crate::node::read;
use crate::node::{Entry, EntryKind, Problem};
use crate::root::Root;

/// Directories below the certificates directory that are entered: kubeadm has one, `etcd`.
const DEPTH: usize = 4;

/// Files looked at: more than this below a certificates directory is somebody's archive.
const FILES: usize = 1_000;

/// Where distributions keep the authorities of the web: nobody here renews those.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// The entries for what is found besides `known`, by path.
pub(super) fn entries(node: &Node<'_>, known: &[Entry], problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut seen: BTreeSet<PathBuf> = known
        .iter()
        .flat_map(|entry| [&entry.path, &entry.certificate_path])
        .chain(
            node.authorities
                .iter()
                .map(|authority| &authority.certificate_path),
        )
        .map(|path| resolved(node.root, path))
        .collect();
    let mut found = Vec::new();
    for (path, key) in candidates(node, problems) {
        if !seen.insert(resolved(node.root, &path)) {
            continue;
        }
        let name = name(node, &path);
        if is_kubeconfig_name(&path) {
            found.extend(kubeconfigs::unknown(node, &name, &path));
        } else {
            found.extend(certificate(node, name, &path, key));
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Files that may hold a certificate, with the key's file where a flag says it.
fn candidates(node: &Node<'_>, problems: &mut Vec<Problem>) -> Vec<(PathBuf, Option<PathBuf>)> {
    let mut paths = Vec::new();
    // First, since a flag knows where the key is.
    if let Some(pod) = node.pod("kube-apiserver")
        && let Some(certificate) = pod.file_flag("etcd-certfile")
    {
        paths.push((certificate, pod.file_flag("etcd-keyfile")));
    }
    let mut below = Vec::new();
    let certificates = &node.directories.certificates;
    walk(node.root, certificates, DEPTH, &mut below, problems);
    paths.extend(below.into_iter().map(|path| (path, None)));

    let kubernetes = &node.directories.kubernetes;
    // A missing or unreadable directory is said by each kubeconfig that should be in it.
    for name in read::names(&resolved(node.root, kubernetes)).unwrap_or_default() {
        let path = kubernetes.join(name);
        if is_kubeconfig_name(&path) {
            paths.push((path, None));
        }
    }
    for pod in node.static_pods {
        paths.extend(
            pod.files()
                .into_iter()
                .filter(|path| is_certificate_name(path) || is_kubeconfig_name(path))
                .map(|path| (path, None)),
        );
    }
    paths
}

/// Collects the certificate files below a directory, without following links to other directories.
fn walk(
    root: &Root,
    directory: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) {
    let names = match read::names(&resolved(root, directory)) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            problems.push(Problem {
                path: directory.to_path_buf(),
                reason: read::reason(&error),
            });
            return;
        }
    };
    for path in names.into_iter().map(|name| directory.join(name)) {
        let is_directory = root
            .look(&path)
            .is_ok_and(|found| found.is_some_and(|found| found.is_directory()));
        if is_directory {
            if depth > 1 {
                walk(root, &path, depth - 1, found, problems);
            }
        } else if is_certificate_name(&path) && found.len() < FILES {
            found.push(path);
        }
    }
}

/// The entry of a certificate file; `None` where there is none in it, or only the system's authorities.
fn certificate(node: &Node<'_>, name: String, path: &Path, key: Option<PathBuf>) -> Option<Entry> {
    let in_same_file = has_ending(path, &["pem"]);
    match pem_files::certificates(node.root, path) {
        Ok(None) => return None,
        Ok(Some(file)) if file.leaf.is_ca && is_system_bundle(node.root, path) => return None,
        // A `.pem` may well be a key; a `.crt` is to be a certificate.
        Err(_) if in_same_file => return None,
        Ok(Some(_)) | Err(_) => {}
    }
    let key = key.or_else(|| {
        let beside = leaves::key_beside(path);
        if matches!(node.root.look(&resolved(node.root, &beside)), Ok(Some(_))) {
            Some(beside)
        } else {
            in_same_file.then(|| path.to_path_buf())
        }
    });
    let mut entry = node.entry(Wanted {
        name,
        kind: EntryKind::Extra,
        certificate: path,
        key: key.as_deref(),
        authority: None,
    });
    if let crate::node::CertificateState::Present(present) = &mut entry.state
        && present.leaf.is_ca
    {
        // A bundle of authorities is no chain: one that ends early takes nothing from the others.
        present.chain.clear();
    }
    Some(entry)
}

fn is_system_bundle(root: &Root, path: &Path) -> bool {
    let path = root.node_path(path);
    SYSTEM_BUNDLES
        .iter()
        .any(|directory| path.starts_with(directory))
}

/// The path below the certificates directory, the file's name for a kubeconfig beside kubeadm's, else the whole path.
fn name(node: &Node<'_>, path: &Path) -> String {
    let below = path
        .strip_prefix(&node.directories.certificates)
        .or_else(|_| path.strip_prefix(&node.directories.kubernetes));
    match below {
        Ok(below) => below.display().to_string(),
        Err(_) => node.root.node_path(path).display().to_string(),
    }
}

fn is_certificate_name(path: &Path) -> bool {
    has_ending(path, &["crt", "pem", "cert", "cer"])
}

fn is_kubeconfig_name(path: &Path) -> bool {
    has_ending(path, &["conf", "kubeconfig"])
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| endings.contains(&ending))
}

/// The path without links; as it is where they lead nowhere.
fn resolved(root: &Root, path: &Path) -> PathBuf {
    root.resolve(path).unwrap_or_else(|_| path.to_path_buf())
}
