//! What the kubelet's own files are called, which are also the names of their entries.

/// Its kubeconfig, in kubeadm's directory.
pub(super) const KUBELET_CONFIG: &str = "kubelet.conf";

/// The link to its client certificate, which it keeps itself.
pub const KUBELET_CLIENT: &str = "kubelet-client-current.pem";

/// The link to the serving certificate that the cluster signed for it.
pub(super) const KUBELET_SERVER: &str = "kubelet-server-current.pem";

/// The serving certificate that it made itself, and its key.
pub(super) const KUBELET_OWN: [&str; 2] = ["kubelet.crt", "kubelet.key"];
