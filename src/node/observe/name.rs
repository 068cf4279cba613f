//! The node's name in the cluster.

use crate::host::Root;
use crate::node::{CertificateId, Entry, KubeletConfiguration, read};
use crate::pki::LeafName;

/// From the kubelet's own certificate, else from etcd's, else from the kubelet's flags, else the host name.
pub(super) fn node_name(
    root: &Root,
    kubelet: &KubeletConfiguration,
    entries: &[Entry],
) -> Option<String> {
    let common_name = |wanted: fn(&Entry) -> bool| {
        entries
            .iter()
            .filter(|entry| wanted(entry))
            .find_map(|entry| entry.present()?.leaf.common_name.clone())
    };
    let from_kubelet = [CertificateId::KubeletClient, CertificateId::KubeletConfig]
        .into_iter()
        .filter_map(|id| {
            let entry = entries.iter().find(|entry| entry.id == id)?;
            let name = entry.present()?.leaf.common_name.as_deref()?;
            name.strip_prefix("system:node:").map(str::to_owned)
        })
        .next();
    from_kubelet
        .or_else(|| common_name(|entry| entry.id == CertificateId::leaf(LeafName::EtcdServer)))
        .or_else(|| kubelet.hostname_override.clone())
        .or_else(|| host_name(root))
}

/// The host's name; for a tree that is not this machine's, the one in its `/etc/hostname`.
pub(crate) fn host_name(root: &Root) -> Option<String> {
    let name = if root.is_system() {
        nix::unistd::gethostname().ok()?.into_string().ok()?
    } else {
        read::find_text(root, &root.join("/etc/hostname"))
            .ok()??
            .to_string()
    };
    let name = name.trim().to_lowercase();
    (!name.is_empty()).then_some(name)
}
