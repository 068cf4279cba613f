//! The renames of an operation: done, finished or taken back.

use std::path::PathBuf;

use super::backup::Backup;
use super::stage::{directories, unstage};
use super::staged_file::Contents;
use crate::host::{self, Root, durable, link};
use crate::journal::{StagedFile, Store, TransactionError};

/// What came of finishing the renames.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// Every file is the new one, except those that somebody else changed.
    Done { left_alone: Vec<PathBuf> },
    /// This new file is gone although its target is still the old one: only the way back is left.
    Impossible { missing: PathBuf },
}

/// Whether a new file is in place already.
pub(crate) fn is_any_renamed(
    store: &Store,
    files: &[StagedFile],
) -> Result<bool, TransactionError> {
    for file in files {
        if file.old_digest.as_ref() != Some(&file.new_digest)
            && file.contents(store)? == Contents::New
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an old file is in place again.
pub(crate) fn is_any_put_back(
    store: &Store,
    files: &[StagedFile],
) -> Result<bool, TransactionError> {
    for file in files {
        if file.old_digest.as_ref() != Some(&file.new_digest)
            && file.contents(store)? == Contents::Old
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Renames every new file over its old one.
pub(super) fn commit(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    let names = files
        .iter()
        .map(|file| (file.staged(store), file.target(store)));
    rename_at_once(&store.root().holding(), names)?;
    flush_directories(store, files)
}

/// Renames one after the other with no other call in between: a handshake of etcd reads key and certificate anew, and fails if it falls
/// between the two.
fn rename_at_once(
    root: &Root,
    names: impl Iterator<Item = (PathBuf, PathBuf)>,
) -> Result<(), TransactionError> {
    const REFUSED: &str = "could not be replaced";
    let mut places = Vec::new();
    for (from, to) in names {
        let both = root
            .place(&from)
            .and_then(|from| Ok((from, root.place(&to)?)));
        places.push((both.map_err(TransactionError::file(&to, REFUSED))?, to));
    }
    for ((from, to), target) in &places {
        from.rename_over(to)
            .map_err(TransactionError::file(target, REFUSED))?;
    }
    Ok(())
}

/// Finishes the renames that a crash left undone.
pub(crate) fn roll_forward(
    store: &Store,
    files: &[StagedFile],
) -> Result<Forward, TransactionError> {
    let mut ready = Vec::new();
    let mut left_alone = Vec::new();
    for group in groups(files) {
        let mut foreign = false;
        let mut waiting = Vec::new();
        for file in group {
            let now = file.contents(store)?;
            foreign |= now == Contents::Foreign;
            if matches!(now, Contents::Old | Contents::Gone) {
                waiting.push(file);
            }
        }
        if foreign {
            left_alone.extend(group.iter().map(|file| file.target(store)));
            continue;
        }
        for file in waiting {
            if durable::digest_of(&file.staged(store))?.as_ref() != Some(&file.new_digest) {
                return Ok(Forward::Impossible {
                    missing: file.staged(store),
                });
            }
            ready.push(file.clone());
        }
    }
    commit(store, &ready)?;
    // An earlier process may have been killed between its renames and their flush.
    flush_directories(store, files)?;
    unstage(store, files)?;
    Ok(Forward::Done { left_alone })
}

/// Puts the files of the backup back, certificate by certificate; one whose files somebody else changed is left alone.
/// One whose new files all still stand beside the old ones was never touched.
/// All of them are tried; gives the files left alone, or the first error.
pub(super) fn put_back(
    store: &Store,
    files: &[StagedFile],
    backup: &Backup,
) -> Result<Vec<PathBuf>, TransactionError> {
    let mut result = Ok(());
    let mut left_alone = Vec::new();
    for group in groups(files) {
        match put_group_back(store, group, backup) {
            Ok(true) => {}
            Ok(false) => left_alone.extend(group.iter().map(|file| file.target(store))),
            Err(error) => result = result.and(Err(error)),
        }
    }
    result?;
    flush_directories(store, files)?;
    unstage(store, files)?;
    Ok(left_alone)
}

fn put_group_back(
    store: &Store,
    group: &[StagedFile],
    backup: &Backup,
) -> Result<bool, TransactionError> {
    let mut changed = Vec::new();
    let mut foreign = false;
    let mut untouched = true;
    for file in group {
        match file.contents(store)? {
            Contents::Foreign => foreign = true,
            Contents::Old => {}
            Contents::New | Contents::Gone => changed.push(file),
        }
        untouched &= durable::exists(&file.staged(store)).map_err(TransactionError::file(
            &file.staged(store),
            "could not be looked at",
        ))?;
    }
    if untouched {
        return Ok(true);
    }
    if foreign {
        return Ok(false);
    }
    let mut staged = Vec::new();
    for file in &changed {
        let restored = file.restored(store);
        durable::remove_if_there(&restored)?;
        if file.old_digest.is_some() {
            // Gone with a file system in memory, say: then nobody else could put the files back either.
            durable::make_directories_above(&restored)?;
            backup.copy_out(&file.target, &restored)?;
            // Opening a link to flush it would open what it leads to; its name is flushed with the directory.
            if !link::target_of(&restored).is_ok_and(|target| target.is_some()) {
                staged.push(restored);
            }
        }
    }
    durable::sync_all(&staged)?;
    // A link goes back before the new file that it leads to is removed, so that it never leads nowhere.
    let (replaced, made): (Vec<&StagedFile>, Vec<&StagedFile>) = changed
        .into_iter()
        .partition(|file| file.old_digest.is_some());
    let names = replaced
        .into_iter()
        .map(|file| (file.restored(store), file.target(store)));
    rename_at_once(&store.root().holding(), names)?;
    if !made.is_empty() {
        flush_directories(store, group)?;
    }
    for file in made {
        durable::remove_if_there(&file.target(store))?;
    }
    Ok(true)
}

/// The files of each certificate.
fn groups(files: &[StagedFile]) -> impl Iterator<Item = &[StagedFile]> {
    files.chunk_by(|one, next| one.id == next.id)
}

fn flush_directories(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    let targets: Vec<PathBuf> = files.iter().map(|file| file.target(store)).collect();
    let mut there = directories(&targets);
    // Where a directory is gone there is no name to be flushed.
    there.retain(|directory| host::is_directory(directory));
    Ok(durable::sync_all(&there)?)
}
