//! The cluster's own configuration as it was kept, and what it means for this node.

use std::net::IpAddr;

use crate::cluster::Known;
use crate::node::{ControlPlane, Defaults, Inventory, parse_kubeadm_config};

/// What was kept, as it is for this node; `None` where nothing was, or nothing that can be understood.
pub(super) fn own_configuration(known: &Known, inventory: &Inventory) -> Option<ControlPlane> {
    let text = known.configuration.as_deref()?;
    understand(text, inventory)
        .inspect_err(|reason| {
            tracing::debug!(reason, "the cluster's own configuration is not understood")
        })
        .ok()
}

/// What a text of it means for this node, or why it means nothing.
pub(super) fn understand(text: &str, inventory: &Inventory) -> Result<ControlPlane, String> {
    let own_address = inventory
        .static_pod("kube-apiserver")
        .and_then(|pod| pod.flag("advertise-address"))
        .and_then(|address| address.parse::<IpAddr>().ok());
    let defaults = Defaults {
        node_name: inventory.node_name.clone(),
        advertise_address: own_address,
        only_server: false,
    };
    parse_kubeadm_config(text, &defaults)
}
