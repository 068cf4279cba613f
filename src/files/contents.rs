//! What a kept generation holds.

use zeroize::Zeroizing;

use super::backup::Backup;
use super::backup_index::BackedUpFile;
use super::retention::generations;
use crate::journal::{Store, TransactionError};

/// A file of a generation with its contents; `None` where there was no file, or a symbolic link.
pub type Kept = (BackedUpFile, Option<Zeroizing<Vec<u8>>>);

/// All files of the generation `id`, each compared with its digest.
///
/// # Errors
/// [`TransactionError::File`] for the first copy that is missing or not what was backed up.
pub fn contents(store: &Store, id: &str) -> Result<Vec<Kept>, TransactionError> {
    let backup = Backup::open(store, id)?;
    let root = store.root().holding();
    generations(store)?
        .into_iter()
        .filter(|generation| generation.id == id)
        .flat_map(|generation| generation.files)
        .map(|file| {
            let bytes = match &file.contents {
                Some(held) => backup.read(&root, &file.path, held)?,
                None => None,
            };
            Ok((file, bytes))
        })
        .collect()
}
