//! What restarting needs to know.

use crate::config::Restart;
use crate::node::Inventory;
use crate::runtime::KubeletService;

/// What restarting needs to know.
#[derive(Debug)]
pub struct Restarter<'node> {
    /// The node as it was observed before the operation.
    pub inventory: &'node Inventory,
    /// `[restart]`
    pub settings: &'node Restart,
    /// systemd's hold on the kubelet, for when nothing else helps.
    pub kubelet: KubeletService,
}

/// By what the pods are restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Their manifests were out and are back.
    Manifests,
    /// Their containers were ended; manifests stay where they are.
    Containers,
}
