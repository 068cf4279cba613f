//! The cluster's own configuration: read when the API answers, kept for when it does not. It is shown, and names of it are put into
//! certificates where an administrator asks for that; nothing follows from it by itself.

use super::Context;
use super::api_access::api_access;
use super::kept_configuration::understand;
use crate::api::ApiError;
use crate::cluster::{Known, OwnConfiguration, read_own_configuration};
use crate::host::FileError;
use crate::node::Inventory;

/// What is known of it after it was read.
#[derive(Debug)]
pub enum Learned {
    /// It is known, or the cluster has none.
    All,
    /// Nothing: what is there is too long, or no text of such a configuration.
    Unfit,
    /// Nothing: it is not understood, for this reason.
    NotUnderstood(String),
    /// What was known before: it could not be kept.
    NotKept(FileError),
}

/// Reads it and keeps it: what is asked later goes by what was kept.
///
/// # Errors
/// [`ApiError`]: nothing was read.
pub async fn look_at_own_configuration(
    context: &Context,
    inventory: &Inventory,
) -> Result<Learned, ApiError> {
    let store = context.store();
    let known = Known::read(&store);
    let (access, servers) = api_access(context, inventory, &known)?;
    let (text, learned) = match read_own_configuration(&access, &servers).await? {
        OwnConfiguration::Absent => (None, Learned::All),
        OwnConfiguration::Unfit => (None, Learned::Unfit),
        OwnConfiguration::Text(text) => match understand(&text, inventory) {
            Ok(_) => (Some(text), Learned::All),
            Err(reason) => (Some(text), Learned::NotUnderstood(reason)),
        },
    };
    match Known::update(&store, |known| known.configuration = text) {
        Ok(()) => Ok(learned),
        Err(error) => Ok(Learned::NotKept(error)),
    }
}
