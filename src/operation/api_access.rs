//! By what and where the Kubernetes API is asked.

use std::path::Path;
use std::sync::Arc;

use super::Context;
use crate::api::{Access, ApiError};
use crate::cluster::Known;
use crate::net::Address;
use crate::node::Inventory;
use crate::probe::{access, api_servers};

/// By the kubeconfig that the configuration names, else the node's admin.conf; at this node's own API server first, then at the
/// others'.
///
/// # Errors
/// [`ApiError::ApiUnauthorized`] where the kubeconfig is of no use.
pub(super) fn api_access(
    context: &Context,
    inventory: &Inventory,
    known: &Known,
) -> Result<(Arc<Access>, Vec<Address>), ApiError> {
    let own = context.config.turn.kubeconfig.as_ref();
    let path = own.map_or_else(
        || inventory.directories.kubernetes.join("admin.conf"),
        |path| context.root.join(path),
    );
    access_by(context, inventory, known, &path)
}

/// By that kubeconfig, at the same servers.
///
/// # Errors
/// [`ApiError::ApiUnauthorized`] where the kubeconfig is of no use.
pub(super) fn access_by(
    context: &Context,
    inventory: &Inventory,
    known: &Known,
    path: &Path,
) -> Result<(Arc<Access>, Vec<Address>), ApiError> {
    let access = credential(context, path)?;
    let hosts = known.others.iter().map(|(_, host)| host.as_str());
    let servers = api_servers(inventory, hosts, &access);
    Ok((Arc::new(access), servers))
}

/// What a kubeconfig has.
///
/// # Errors
/// [`ApiError::ApiUnauthorized`].
pub(super) fn credential(context: &Context, path: &Path) -> Result<Access, ApiError> {
    let resolved = context.root.resolve(path);
    resolved
        .map_err(|error| format!("{}: {error}", path.display()))
        .and_then(|path| access(&path).map_err(|error| error.to_string()))
        .map_err(|reason| ApiError::ApiUnauthorized {
            server: Address {
                host: path.display().to_string(),
                port: 0,
            },
            reason,
        })
}
