//! What of the node the copy is made of, besides its inventory; and what shows whether the node was changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::kubeconfig::{beside, is_kubeconfig, is_kubelets};
use crate::host::Root;
use crate::node::{Entry, Inventory, Kubeconfig};
use crate::pki::{Certificate, certificates_from_pem};

/// The flags of static pods that name files of trusted authorities.
const TRUST_FLAGS: [&str; 8] = [
    "client-ca-file",
    "requestheader-client-ca-file",
    "etcd-cafile",
    "kubelet-certificate-authority",
    "root-ca-file",
    "cluster-signing-cert-file",
    "trusted-ca-file",
    "peer-trusted-ca-file",
];

/// What can be told apart of every file whose change would be a change of the node: nothing of a file is read for it.
#[must_use]
pub(super) fn states(root: &Root, inventory: &Inventory) -> BTreeMap<PathBuf, [i64; 6]> {
    let mut paths: Vec<&Path> = Vec::new();
    for entry in &inventory.entries {
        paths.extend([entry.path.as_path(), entry.certificate_path.as_path()]);
        paths.extend(entry.key_path.as_deref());
    }
    for authority in &inventory.authorities {
        paths.extend(authority.files());
    }
    let service_account = &inventory.service_account;
    paths.extend([
        service_account.key_path.as_path(),
        service_account.public_key_path.as_path(),
    ]);
    paths.extend(inventory.static_pods.iter().map(|pod| pod.path.as_path()));
    paths
        .into_iter()
        .filter_map(|path| {
            let file = root.look(&root.resolve(path).ok()?).ok()??;
            let state = [
                i64::try_from(file.identity.1).unwrap_or_default(),
                i64::try_from(file.size).unwrap_or_default(),
                file.modified.0,
                file.modified.1.into(),
                file.changed.0,
                file.changed.1,
            ];
            Some((path.to_path_buf(), state))
        })
        .collect()
}

/// What is read of the node besides its inventory.
pub(super) struct Sources {
    /// By path: those of entries; `None` where one cannot be read.
    pub(super) kubeconfigs: BTreeMap<PathBuf, Option<Kubeconfig>>,
    /// Files of trusted authorities, by path.
    pub(super) bundles: BTreeMap<PathBuf, Vec<Certificate>>,
    entries: Vec<Certificate>,
}

impl Sources {
    pub(super) fn of(root: &Root, inventory: &Inventory) -> Self {
        let mut kubeconfigs = BTreeMap::new();
        let mut trusted: Vec<PathBuf> = inventory.kubelet.client_ca_file.iter().cloned().collect();
        let mut certificates = Vec::new();
        for entry in inventory.entries.iter().filter(|entry| is_copied(entry)) {
            if let Some(present) = entry.present() {
                certificates.extend(
                    std::iter::once(&present.leaf)
                        .chain(&present.chain)
                        .cloned(),
                );
            }
            if !is_kubeconfig(entry) {
                continue;
            }
            let kubeconfig = read(root, &entry.path)
                .and_then(|bytes| Kubeconfig::parse(std::str::from_utf8(&bytes).ok()?).ok());
            if let Some(kubeconfig) = &kubeconfig {
                if let Some(file) = &kubeconfig.certificate_authority_file {
                    trusted.push(beside(root, &entry.path, file));
                }
                let embedded = kubeconfig.certificate_authority.as_deref();
                certificates.extend(embedded.map(parsed).unwrap_or_default());
            }
            kubeconfigs.insert(entry.path.clone(), kubeconfig);
        }
        for authority in &inventory.authorities {
            certificates.extend(authority.certificates().unwrap_or_default().iter().cloned());
        }
        for pod in &inventory.static_pods {
            trusted.extend(TRUST_FLAGS.iter().filter_map(|flag| pod.file_flag(flag)));
        }
        let bundles = trusted
            .into_iter()
            .filter_map(|path| {
                let found = parsed(&read(root, &path)?);
                (!found.is_empty()).then_some((path, found))
            })
            .collect();
        Self {
            kubeconfigs,
            bundles,
            entries: certificates,
        }
    }

    pub(super) fn certificates(&self) -> Vec<Certificate> {
        let bundled = self.bundles.values().flatten();
        self.entries.iter().chain(bundled).cloned().collect()
    }
}

/// What nobody renews and nobody asks is not needed.
pub(super) fn is_copied(entry: &Entry) -> bool {
    entry.is_renewed_here() || is_kubelets(entry)
}

pub(super) fn parsed(pem: &[u8]) -> Vec<Certificate> {
    certificates_from_pem(pem).unwrap_or_default()
}

pub(super) fn read(root: &Root, path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    root.read(path).ok().map(Zeroizing::new)
}
