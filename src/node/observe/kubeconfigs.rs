//! Kubeconfigs: embedded certificates, and those that they refer to.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Found, Node, Wanted, pem_files};
use crate::node::kubeconfig::{Credential, Kubeconfig};
use crate::node::read;
use crate::node::{CertificateState, Entry, EntryKind, KeyState, Present, Problem};
use crate::pki::{AuthorityName, Catalogued, KubeconfigName};

/// One of kubeadm's four.
pub(super) fn catalogued(node: &Node<'_>, name: KubeconfigName) -> Found {
    let component = match name {
        KubeconfigName::ControllerManager => Some("kube-controller-manager"),
        KubeconfigName::Scheduler => Some("kube-scheduler"),
        KubeconfigName::Admin | KubeconfigName::SuperAdmin => None,
    };
    let path = component
        .and_then(|component| node.pod(component)?.file_flag("kubeconfig"))
        .unwrap_or_else(|| node.directories.kubernetes.join(name.name()));
    entry(
        node,
        name.name(),
        EntryKind::Catalogued(Catalogued::Kubeconfig(name)),
        &path,
    )
}

/// The entry of a kubeconfig's client certificate, and what is wrong with the kubeconfig besides.
pub(super) fn entry(node: &Node<'_>, name: &str, kind: EntryKind, path: &Path) -> Found {
    match read(node, path) {
        Ok(Some((kubeconfig, text))) => Found {
            entry: from_kubeconfig(node, name, kind, path, &kubeconfig),
            problem: untrusting(node, path, &kubeconfig),
            uneditable: kubeconfig.why_not_replaceable(text.as_bytes()),
        },
        Ok(None) => bare(name, kind, path, CertificateState::Missing).into(),
        Err(reason) => bare(name, kind, path, unreadable(path, reason)).into(),
    }
}

/// A kubeconfig that nobody knows, if its current context has a client certificate.
pub(super) fn unknown(node: &Node<'_>, name: &str, path: &Path) -> Option<Entry> {
    let Ok(Some((kubeconfig, _))) = read(node, path) else {
        // A token, a plugin, or no kubeconfig at all: nothing that expires.
        return None;
    };
    let mut entry = from_kubeconfig(node, name, EntryKind::Extra, path, &kubeconfig);
    entry.authority = entry
        .present()
        .and_then(|present| node.signing_authority(&present.leaf));
    Some(entry)
}

fn read(node: &Node<'_>, path: &Path) -> Result<Option<(Kubeconfig, Zeroizing<String>)>, String> {
    let Some(text) = read::find_text(node.root, path)? else {
        return Ok(None);
    };
    let kubeconfig = Kubeconfig::parse(&text).map_err(|error| error.to_string())?;
    Ok(Some((kubeconfig, text)))
}

fn from_kubeconfig(
    node: &Node<'_>,
    name: &str,
    kind: EntryKind,
    path: &Path,
    kubeconfig: &Kubeconfig,
) -> Entry {
    let key_path = match &kubeconfig.key {
        Credential::Embedded(_) => path.to_path_buf(),
        Credential::File(file) => beside(node, path, file),
    };
    match &kubeconfig.certificate {
        Credential::File(file) => {
            let certificate = beside(node, path, file);
            let mut entry = node.entry(Wanted {
                name: name.to_owned(),
                kind,
                certificate: &certificate,
                key: Some(&key_path),
                authority: Some(AuthorityName::Kubernetes),
            });
            if let (Credential::Embedded(pem), CertificateState::Present(present)) =
                (&kubeconfig.key, &mut entry.state)
            {
                present.key = pem_files::key_of(pem, path, std::slice::from_ref(&present.leaf));
            }
            if matches!(entry.state, CertificateState::Missing) {
                entry.state = unreadable(
                    &certificate,
                    format!(
                        "does not exist, but {} refers to it; restore it from a backup",
                        node.root.node_path(path).display()
                    ),
                );
            }
            entry.path = path.to_path_buf();
            entry
        }
        Credential::Embedded(pem) => {
            let state = match pem_files::certificates_of(pem) {
                Err(reason) => unreadable(
                    path,
                    format!(
                        "users[{}].client-certificate-data {reason}",
                        kubeconfig.user
                    ),
                ),
                Ok((leaf, chain)) => {
                    let own = std::slice::from_ref(&leaf);
                    let key = match &kubeconfig.key {
                        Credential::Embedded(pem) => pem_files::key_of(pem, path, own),
                        Credential::File(_) => pem_files::key_file(node.root, &key_path, own),
                    };
                    CertificateState::Present(Box::new(Present {
                        signer: node.signer(&leaf, Some(AuthorityName::Kubernetes)),
                        key: named_in(key, &kubeconfig.user),
                        leaf,
                        chain,
                        modified: modified(node, path),
                    }))
                }
            };
            Entry {
                key_path: Some(key_path),
                ..bare(name, kind, path, state)
            }
        }
    }
}

/// A kubeconfig that trusts nothing is of no use to anybody, but its certificate can still be read and renewed.
fn untrusting(node: &Node<'_>, path: &Path, kubeconfig: &Kubeconfig) -> Option<Problem> {
    if let Some(pem) = &kubeconfig.certificate_authority {
        let reason = pem_files::certificates_of(pem).err()?;
        return Some(Problem {
            path: path.to_path_buf(),
            reason: format!(
                "clusters[{}].certificate-authority-data {reason}",
                kubeconfig.cluster
            ),
        });
    }
    let file = beside(node, path, kubeconfig.certificate_authority_file.as_ref()?);
    match pem_files::certificates(node.root, &file) {
        Ok(Some(_)) => None,
        Ok(None) => Some(Problem {
            path: file,
            reason: format!(
                "does not exist, but {} refers to it as certificate-authority",
                node.root.node_path(path).display()
            ),
        }),
        Err(problem) => Some(problem),
    }
}

/// Says in the reason which field of the kubeconfig a key is in.
fn named_in(key: KeyState, user: &str) -> KeyState {
    match key {
        KeyState::Damaged(problem) => KeyState::Damaged(Problem {
            reason: format!("users[{user}].client-key-data {}", problem.reason),
            ..problem
        }),
        other => other,
    }
}

/// The real path of a file that a kubeconfig names: relative ones start at the kubeconfig.
fn beside(node: &Node<'_>, kubeconfig: &Path, file: &Path) -> PathBuf {
    let directory = kubeconfig.parent().unwrap_or(kubeconfig);
    node.root.join(node.root.node_path(directory).join(file))
}

fn modified(node: &Node<'_>, path: &Path) -> Option<jiff::Timestamp> {
    match read::find(node.root, path) {
        read::Found::Content(content) => content.modified,
        read::Found::Missing | read::Found::Unreadable(_) => None,
    }
}

fn bare(name: &str, kind: EntryKind, path: &Path, state: CertificateState) -> Entry {
    Entry {
        name: name.to_owned(),
        kind,
        path: path.to_path_buf(),
        certificate_path: path.to_path_buf(),
        key_path: Some(path.to_path_buf()),
        authority: Some(AuthorityName::Kubernetes),
        state,
    }
}

fn unreadable(path: &Path, reason: String) -> CertificateState {
    CertificateState::Unreadable(Problem {
        path: path.to_path_buf(),
        reason,
    })
}
