//! Private keys in backups that are older than they should get.

use jiff::Timestamp;

use super::Context;
use crate::files::{generations, remove_old_keys};
use crate::journal::{Lock, TransactionError};

/// Removes the private keys from backups that are older than `backup.max-age`, or whose certificates have ended. While
/// another process is at work nothing is done. Gives the operations whose backups changed.
///
/// # Errors
/// [`TransactionError`].
pub fn tidy_backups(context: &Context, now: Timestamp) -> Result<Vec<String>, TransactionError> {
    let store = context.store();
    // Nothing is made where nothing was done yet.
    if generations(&store)?.is_empty() {
        return Ok(Vec::new());
    }
    let lock = match Lock::take_at_once(&store) {
        Ok(lock) => lock,
        Err(TransactionError::Busy { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    remove_old_keys(&store, &lock, context.config.backup.max_age, now)
}
