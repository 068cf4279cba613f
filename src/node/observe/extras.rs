//! Certificates that kubeadm does not know: beside its own, or named by a manifest.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::budget::Budget;
use super::findings::Findings;
use super::kubeconfigs::Unknown;
use super::named::{self, Named};
use super::node::{Node, Wanted};
use super::pem_files::{CertificateFile, Unusable};
use super::{kubeconfigs, leaves, pem_files};
use crate::host::Root;
use crate::node::{CertificateId, CertificateState, Entry, Fault, KeyState, Problem, read};

/// Directories below the certificates directory that are entered: kubeadm has one, `etcd`.
const DEPTH: usize = 4;

/// Where distributions keep the authorities of the web: nobody here renews those.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// A file that may hold a certificate.
struct Candidate {
    path: PathBuf,
    /// The flag that says that there is one, if any does.
    named: Option<Named>,
}

/// The entries for what is found besides `known`, by path.
pub(super) fn entries(node: &Node<'_>, known: &[Entry], findings: &mut Findings) -> Vec<Entry> {
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
    let names: BTreeSet<&str> = known.iter().map(|entry| entry.id.as_str()).collect();
    let mut budget = Budget::default();
    let mut found = Vec::new();
    for candidate in candidates(node, &mut budget, findings) {
        let path = &candidate.path;
        if !seen.insert(resolved(node.root, path))
            || !budget.admits(path, read::size(node.root, path))
        {
            continue;
        }
        let named = candidate.named.as_ref();
        let is_kubeconfig = named.map_or_else(|| is_kubeconfig_name(path), Named::is_kubeconfig);
        found.extend(if is_kubeconfig {
            kubeconfig(node, path, named, findings)
        } else {
            certificate(node, path, named, &mut budget, findings)
        });
    }
    for problem in budget.left_out(&node.directories.certificates) {
        findings.unseen(problem);
    }
    // A name that the configuration has given to another is not its.
    for entry in &mut found {
        if names.contains(entry.id.as_str()) {
            let whole = node.root.node_path(&entry.path).display().to_string();
            entry.id = CertificateId::Found(whole.into());
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Files that may hold a certificate; those in use first, and what lies deep below the certificates directory last, since not
/// all of it may be read.
fn candidates(node: &Node<'_>, budget: &mut Budget, findings: &mut Findings) -> Vec<Candidate> {
    let mut paths: Vec<Candidate> = named::by_flags(node.static_pods)
        .into_iter()
        .filter(|named| !node.root.is_directory(&named.path))
        .map(|named| Candidate {
            path: named.path.clone(),
            named: Some(named),
        })
        .collect();
    let unnamed = |path| Candidate { path, named: None };
    for pod in node.static_pods {
        let files = pod.files().into_iter();
        paths.extend(
            files
                .filter(|path| is_certificate_name(path) || is_kubeconfig_name(path))
                .map(unnamed),
        );
    }
    let kubernetes = &node.directories.kubernetes;
    // A missing or unreadable directory is said by each kubeconfig that should be in it.
    if let Ok(listing) = read::names(&resolved(node.root, kubernetes)) {
        if listing.is_cut {
            findings.unseen(Problem::new(kubernetes, read::CUT));
        }
        let beside = listing.names.into_iter().map(|name| kubernetes.join(name));
        paths.extend(beside.filter(|path| is_kubeconfig_name(path)).map(unnamed));
    }
    paths.extend(below(node, budget, findings).into_iter().map(unnamed));
    paths
}

/// The certificate files below the certificates directory, the nearest first, without following links to other directories.
fn below(node: &Node<'_>, budget: &mut Budget, findings: &mut Findings) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([(node.directories.certificates.clone(), 1)]);
    while let Some((directory, depth)) = waiting.pop_front() {
        let listing = match read::names(&resolved(node.root, &directory)) {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                findings.unseen(Problem::new(directory, read::fault(&error)));
                continue;
            }
        };
        if listing.is_cut {
            findings.unseen(Problem::new(&directory, read::CUT));
        }
        for path in listing.names.into_iter().map(|name| directory.join(name)) {
            let is_directory = node
                .root
                .look(&path)
                .is_ok_and(|found| found.is_some_and(|found| found.is_directory()));
            if !is_directory {
                if is_certificate_name(&path) {
                    found.push(path);
                }
            } else if depth == DEPTH {
                findings.unseen(Problem {
                    path,
                    fault: Fault::TooDeep {
                        most: Some(DEPTH - 1),
                    },
                });
            } else if budget.admits_directory() {
                waiting.push_back((path, depth + 1));
            }
        }
    }
    found
}

/// The entry of a kubeconfig that kubeadm does not know; `None` where nothing in it expires.
fn kubeconfig(
    node: &Node<'_>,
    path: &Path,
    named: Option<&Named>,
    findings: &mut Findings,
) -> Option<Entry> {
    let id = id(node, path);
    let found = kubeconfigs::unknown(node, id.clone(), path, Budget::of_a_file(), named.is_some());
    let problem = match (found, named) {
        (Unknown::Entry(entry, trust), _) => {
            findings.trusts.extend(trust.map(|trust| *trust));
            return Some(*entry);
        }
        (Unknown::Nothing, _) | (Unknown::Missing, None) => return None,
        (Unknown::Missing, Some(named)) => named.missing(),
        (Unknown::Unreadable(problem), _) => problem,
    };
    Some(unseen(id, path, Some(path), problem, findings))
}

/// The entry of a certificate file; `None` where there is none in it, or only the system's authorities.
fn certificate(
    node: &Node<'_>,
    path: &Path,
    named: Option<&Named>,
    budget: &mut Budget,
    findings: &mut Findings,
) -> Option<Entry> {
    let may_be_something_else = named.is_none() && has_ending(path, &["pem"]);
    let id = id(node, path);
    match pem_files::some_certificates(node.reader, path, Budget::of_a_file()) {
        Ok(Some(file)) if file.leaf.is_ca && is_system_bundle(node.root, path) => None,
        Ok(Some(file)) => Some(present(node, id, file, path, named, budget, findings)),
        Ok(None) => named.map(|named| unseen(id, path, None, named.missing(), findings)),
        Err(Unusable::OutOfReach(_)) if is_system_bundle(node.root, path) => None,
        Err(Unusable::OutOfReach(problem)) => Some(unseen(id, path, None, problem, findings)),
        Err(Unusable::Other(_)) if may_be_something_else => None,
        Err(Unusable::Other(problem) | Unusable::Damaged(problem)) => Some(node.entry_of(
            Wanted {
                id,
                certificate: path,
                key: None,
                authority: None,
            },
            Err(problem),
        )),
    }
}

/// The entry of a certificate that was read.
fn present(
    node: &Node<'_>,
    id: CertificateId,
    file: CertificateFile,
    path: &Path,
    named: Option<&Named>,
    budget: &mut Budget,
    findings: &mut Findings,
) -> Entry {
    let is_ca = file.leaf.is_ca;
    if file.is_cut && !is_ca {
        findings.unseen(Problem::new(
            path,
            Fault::CertificatesNotLookedAt {
                seen: file.chain.len() + 1,
            },
        ));
    }
    let beside = leaves::key_beside(path);
    let key = named.and_then(|named| named.key.clone()).or_else(|| {
        if beside != path && is_there(node.root, &beside) {
            Some(beside)
        } else {
            pem_files::holds_key(&file).then(|| path.to_path_buf())
        }
    });
    // The key of an authority is not for anybody to read, and one key after the other costs time.
    let is_read = !is_ca
        && key
            .as_deref()
            .is_some_and(|key| key == path || budget.admits(key, read::size(node.root, key)));
    let mut entry = node.entry_of(
        Wanted {
            id,
            certificate: path,
            key: key.as_deref().filter(|_| is_read),
            authority: None,
        },
        Ok(Some(file)),
    );
    if let CertificateState::Present(present) = &mut entry.state {
        if key.is_some() && !is_read {
            present.key = KeyState::Unread;
        }
        if is_ca {
            // A bundle of authorities is no chain: one that ends early takes nothing from the others.
            present.chain.clear();
        }
    }
    entry.key_path = key;
    entry
}

/// The entry of a file that was to be looked at and could not be.
fn unseen(
    id: CertificateId,
    path: &Path,
    key: Option<&Path>,
    problem: Problem,
    findings: &mut Findings,
) -> Entry {
    findings.unseen(problem.clone());
    Entry {
        id,
        path: path.to_path_buf(),
        certificate_path: path.to_path_buf(),
        key_path: key.map(Path::to_path_buf),
        authority: None,
        state: CertificateState::Unreadable(problem),
        described: None,
    }
}

/// Whether there is anything at the end of the links.
fn is_there(root: &Root, path: &Path) -> bool {
    matches!(root.look(&resolved(root, path)), Ok(Some(_)))
}

fn is_system_bundle(root: &Root, path: &Path) -> bool {
    let path = root.node_path(path);
    SYSTEM_BUNDLES
        .iter()
        .any(|directory| path.starts_with(directory))
}

/// The path below the certificates directory, the file's name for a kubeconfig beside kubeadm's, else the whole path.
fn id(node: &Node<'_>, path: &Path) -> CertificateId {
    let below = path
        .strip_prefix(&node.directories.certificates)
        .or_else(|_| path.strip_prefix(&node.directories.kubernetes));
    let name = match below {
        Ok(below) => below.display().to_string(),
        Err(_) => node.root.node_path(path).display().to_string(),
    };
    CertificateId::Found(name.into())
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
