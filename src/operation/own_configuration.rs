//! The cluster's own configuration: read when the API answers, kept for when it does not. It is shown, and names of it are put into
//! certificates where an administrator asks for that; nothing follows from it by itself.

use super::Context;
use super::api_access::api_access;
use crate::api::ApiError;
use crate::cluster::{Known, read_own_configuration};
use crate::node::Inventory;

/// Reads it and keeps it.
///
/// # Errors
/// [`ApiError`]. That it cannot be kept only means that it is not known while the API is away.
pub async fn look_at_own_configuration(
    context: &Context,
    inventory: &Inventory,
) -> Result<(), ApiError> {
    let store = context.store();
    let known = Known::read(&store);
    let (access, servers) = api_access(context, inventory, &known)?;
    let text = read_own_configuration(&access, &servers).await?;
    let kept = Known::update(&store, |known| known.configuration = text);
    if let Err(error) = kept {
        tracing::debug!(%error, "the cluster's own configuration is not kept");
    }
    Ok(())
}
