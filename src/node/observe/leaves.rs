//! The seven certificates of the certificates directory, at the paths that the manifests give them.

use std::path::{Path, PathBuf};

use super::node::{Node, Wanted};
use crate::node::{CertificateId, Entry};
use crate::pki::{AuthorityId, LeafName};

/// The entry of a leaf; `None` where etcd is external and the leaf is etcd's.
pub(super) fn entry(node: &Node<'_>, leaf: LeafName) -> Option<Entry> {
    if node.external_etcd && leaf.authority() == AuthorityId::Etcd {
        return None;
    }
    let (certificate, key) = paths(node, leaf);
    Some(node.entry(Wanted {
        id: CertificateId::leaf(leaf),
        certificate: &certificate,
        key: Some(&key),
        authority: Some(leaf.authority()),
    }))
}

/// The certificate's and the key's file. A certificates directory that the configuration names counts before flags.
fn paths(node: &Node<'_>, leaf: LeafName) -> (PathBuf, PathBuf) {
    let base = node.directories.certificates.join(leaf.base());
    let default = (base.with_extension("crt"), base.with_extension("key"));
    if node.locations.certificates.is_some() {
        return default;
    }
    let (component, certificate, key) = match leaf {
        LeafName::Apiserver => ("kube-apiserver", "tls-cert-file", "tls-private-key-file"),
        LeafName::ApiserverEtcdClient => ("kube-apiserver", "etcd-certfile", "etcd-keyfile"),
        LeafName::ApiserverKubeletClient => (
            "kube-apiserver",
            "kubelet-client-certificate",
            "kubelet-client-key",
        ),
        LeafName::FrontProxyClient => (
            "kube-apiserver",
            "proxy-client-cert-file",
            "proxy-client-key-file",
        ),
        LeafName::EtcdServer => ("etcd", "cert-file", "key-file"),
        LeafName::EtcdPeer => ("etcd", "peer-cert-file", "peer-key-file"),
        // Named by no flag: only people and probes use it.
        LeafName::EtcdHealthcheckClient => return default,
    };
    let named = node.pod(component).and_then(|pod| {
        let certificate = pod.file_flag(certificate)?;
        let key = pod
            .file_flag(key)
            .unwrap_or_else(|| key_beside(&certificate));
        Some((certificate, key))
    });
    named.unwrap_or(default)
}

/// `x.key` for `x.crt`.
pub(super) fn key_beside(certificate: &Path) -> PathBuf {
    certificate.with_extension("key")
}
