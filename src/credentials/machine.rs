//! What a configuration leaves open, from the machine.

use std::path::Path;

use super::error::CredentialError;
use super::places::real;
use crate::host::Root;
use crate::net::default_address;
use crate::node::{ControlPlane, Defaults, host_name, read_kubeadm_config};

/// The control plane of a configuration, or of kubeadm's defaults on this machine.
///
/// # Errors
/// [`CredentialError::KubeadmConfiguration`].
pub fn control_plane(root: &Root, config: Option<&Path>) -> Result<ControlPlane, CredentialError> {
    read(root, config, false)
}

/// The same where only the way to the cluster matters, as for a user's kubeconfig.
///
/// # Errors
/// [`CredentialError::KubeadmConfiguration`].
pub fn control_plane_of_others(
    root: &Root,
    config: &Path,
) -> Result<ControlPlane, CredentialError> {
    read(root, Some(config), true)
}

fn read(
    root: &Root,
    config: Option<&Path>,
    only_server: bool,
) -> Result<ControlPlane, CredentialError> {
    let defaults = Defaults {
        only_server,
        node_name: host_name(root),
        // Another machine's address is not this one's.
        advertise_address: root.is_system().then(default_address).flatten(),
    };
    let failed = |reason: String| CredentialError::KubeadmConfiguration(reason);
    match config {
        Some(path) => read_kubeadm_config(root, &real(root, path)?, &defaults)
            .map_err(|error| failed(error.to_string())),
        None => ControlPlane::of_defaults(&defaults)
            .map_err(|reason| failed(format!("without --config: {reason}"))),
    }
}
