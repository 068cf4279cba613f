//! The kubelet's certificates: the client's in or behind kubelet.conf, and the one it serves.

use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::node::{Node, Wanted};
use super::{kubeconfigs, leaves};
use crate::host::Root;
use crate::node::kubelet_files::{KUBELET_CLIENT, KUBELET_CONFIG, KUBELET_OWN, KUBELET_SERVER};
use crate::node::{CertificateId, CertificateState, ClientLink, Entry, Signer};
use crate::pki::AuthorityId;

/// What there is of them, or should be where there is a kubelet.
pub(super) fn entries(node: &Node<'_>, findings: &mut Findings) -> Vec<Entry> {
    let mut entries = Vec::new();
    let path = node.directories.kubernetes.join(KUBELET_CONFIG);
    let found = kubeconfigs::entry(node, CertificateId::KubeletConfig, &path);
    findings.trust(found.trust);
    let config = found.entry;
    let client = node.directories.kubelet_pki.join(KUBELET_CLIENT);
    let refers_to_client = config.certificate_path == client;
    if node.kubelet.present || !matches!(config.state, CertificateState::Missing) {
        entries.push(config);
    }
    if refers_to_client || is_there(node, &client) {
        entries.push(node.entry(Wanted {
            id: CertificateId::KubeletClient,
            certificate: &client,
            key: Some(&client),
            authority: Some(AuthorityId::Kubernetes),
        }));
    }
    entries.extend(serving(node));
    entries
}

/// What lies under the name of the link to its client certificate.
pub(super) fn client_link(root: &Root, directory: &Path) -> ClientLink {
    let path = directory.join(KUBELET_CLIENT);
    let is_there = |path: &Path| root.look(path).is_ok_and(|found| found.is_some());
    match root.look(&path) {
        Ok(Some(found)) if !found.is_link() => ClientLink::NoLink,
        Ok(Some(_)) if root.resolve(&path).is_ok_and(|real| is_there(&real)) => ClientLink::Link,
        Ok(Some(_)) => ClientLink::Dangling,
        Ok(None) | Err(_) => ClientLink::Missing,
    }
}

fn serving(node: &Node<'_>) -> Option<Entry> {
    let directory = &node.directories.kubelet_pki;
    let (certificate, key, authority): (PathBuf, PathBuf, _) =
        if let Some(certificate) = &node.kubelet.tls_certificate {
            let key = node.kubelet.tls_private_key.clone();
            let key = key.unwrap_or_else(|| leaves::key_beside(certificate));
            (certificate.clone(), key, None)
        } else {
            let rotated = directory.join(KUBELET_SERVER);
            let own = directory.join(KUBELET_OWN[0]);
            if node.kubelet.server_tls_bootstrap || is_there(node, &rotated) {
                (rotated.clone(), rotated, Some(AuthorityId::Kubernetes))
            } else if is_there(node, &own) {
                (own, directory.join(KUBELET_OWN[1]), None)
            } else {
                // The kubelet makes it when it starts.
                return None;
            }
        };
    let name = certificate.file_name()?.to_string_lossy();
    let mut entry = node.entry(Wanted {
        id: CertificateId::KubeletServing(name.into()),
        certificate: &certificate,
        key: Some(&key),
        authority,
    });
    if let CertificateState::Present(present) = &mut entry.state {
        // kubelet.crt is signed by a throw-away authority that comes after it in the file.
        let own_authority = present
            .chain
            .iter()
            .any(|own| own.is_self_signed() && present.leaf.is_signed_by(own));
        if own_authority && entry.authority.is_none() {
            present.signer = Signer::SelfSigned;
        }
    }
    Some(entry)
}

/// Whether there is anything of that name, a link that leads nowhere included.
fn is_there(node: &Node<'_>, path: &Path) -> bool {
    node.root.look(path).is_ok_and(|found| found.is_some())
}
