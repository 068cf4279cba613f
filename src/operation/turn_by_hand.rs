//! The turn as an administrator sees it, and lifting the halt after a failure.

use super::Context;
use super::table::Table;
use crate::api::ApiError;
use crate::cluster::{Halt, Sight, clear};
use crate::node::Inventory;

/// Whose turn it is; `None` where no turn is needed, since this is the only control plane or the configuration wants none.
///
/// # Errors
/// [`ApiError`].
pub async fn look_at_whose_turn(
    context: &Context,
    inventory: &Inventory,
) -> Result<Option<Sight>, ApiError> {
    let Some(table) = Table::of(context, inventory).await else {
        return Ok(None);
    };
    let seat = table.seat.as_ref().map_err(ApiError::clone)?;
    table.look(seat).await.map(Some)
}

/// Lets the other control planes go on after a failure; gives what had stopped them, if anything had.
///
/// # Errors
/// [`ApiError`].
pub async fn clear_halt(
    context: &Context,
    inventory: &Inventory,
) -> Result<Option<Halt>, ApiError> {
    let Some(table) = Table::of(context, inventory).await else {
        return Ok(None);
    };
    clear(table.seat.as_ref().map_err(ApiError::clone)?).await
}
