//! New files beside old ones, and their renames.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::backup::Backup;
use crate::host::{self, Attributes, Place, Way, durable, is_immutable, link, write};
use crate::issuer::Replacement;
use crate::journal::{StagedFile, Store, TransactionError};
use crate::node::{Replaceable, trusted};

/// Of a mode, what a file with a private key may have of it.
const PRIVATE: u32 = 0o640;

/// How a target compares with what the journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// As before the operation.
    Old,
    /// As the operation wants it.
    New,
    /// There is no file although there was one.
    Gone,
    /// Somebody else wrote it.
    Foreign,
}

/// What came of finishing the renames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Every file is the new one, except those that somebody else changed.
    Done { left_alone: Vec<PathBuf> },
    /// This new file is gone although its target is still the old one: only the way back is left.
    Impossible { missing: PathBuf },
}

impl StagedFile {
    pub(crate) fn target(&self, store: &Store) -> PathBuf {
        store.root().join(&self.target)
    }

    pub(crate) fn staged(&self, store: &Store) -> PathBuf {
        store.root().join(&self.staged)
    }

    /// Where the old file is staged on its way back.
    fn restored(&self, store: &Store) -> PathBuf {
        let mut name = self.staged(store).into_os_string();
        name.push("-old");
        PathBuf::from(name)
    }

    pub(crate) fn contents(&self, store: &Store) -> Result<Contents, TransactionError> {
        let now = durable::digest_of(&self.target(store))?;
        Ok(match now {
            Some(now) if now == self.new_digest => Contents::New,
            now if now == self.old_digest => Contents::Old,
            None => Contents::Gone,
            Some(_) => Contents::Foreign,
        })
    }
}

/// Puts files of one certificate next to each other, in the order given.
pub(crate) fn pair(replacements: Vec<Replacement>) -> Vec<Replacement> {
    let mut paired: Vec<Replacement> = Vec::with_capacity(replacements.len());
    for replacement in replacements {
        let behind = paired
            .iter()
            .rposition(|earlier| earlier.name == replacement.name)
            .map_or(paired.len(), |position| position + 1);
        paired.insert(behind, replacement);
    }
    paired
}

/// Whether new files could take these places, before an operation begins: each path must lead to a regular file that may be
/// replaced and whose attributes can be kept, or to nothing in a directory that is there. Leaves nothing behind.
///
/// # Errors
/// [`TransactionError::File`] with the first that could not.
pub fn check_targets(
    store: &Store,
    replacements: &[Replacement],
    replaceable: &Replaceable,
) -> Result<(), TransactionError> {
    for file in survey(store, "check", replacements, Some(replaceable))? {
        if !file.link {
            try_attributes(&file.target(store))?;
        }
    }
    Ok(())
}

/// Gives a file without a name, or one that is removed at once, everything that a file has besides its contents.
fn try_attributes(target: &Path) -> Result<(), TransactionError> {
    let Some(attributes) = attributes_of(target)? else {
        return Ok(());
    };
    let failed = || TransactionError::file(target, "its successor could not be staged");
    let temporary = write::temporary_beside(target)?;
    let place = Place::at(&temporary).map_err(failed())?;
    match place.create_nameless() {
        Ok(file) => attributes.give_to(&file).map_err(failed()),
        // Not every file system has files without names.
        Err(_) => {
            let given = place
                .create(0o600)
                .and_then(|file| attributes.give_to(&file));
            if let Err(error) = place.remove() {
                tracing::warn!(path = %temporary.display(), %error, "a temporary file is left behind");
            }
            given.map_err(failed())
        }
    }
}

/// Makes a directory for files that are to be put there, with those above it, durably and with mode 0755, where it is missing.
///
/// # Errors
/// [`TransactionError::File`].
pub fn make_directory(store: &Store, directory: &Path) -> Result<(), TransactionError> {
    let real = store.resolve(directory).map_err(TransactionError::file(
        directory,
        "its links could not be followed",
    ))?;
    Ok(durable::make_directories_above(&real.join("file"))?)
}

/// Follows each path to its target, looks at what is there, and names the file that will be staged. Changes nothing.
pub(crate) fn survey(
    store: &Store,
    id: &str,
    replacements: &[Replacement],
    replaceable: Option<&Replaceable>,
) -> Result<Vec<StagedFile>, TransactionError> {
    let mut targets = BTreeSet::new();
    let mut linked = Vec::new();
    let mut files = Vec::with_capacity(replacements.len());
    for replacement in replacements {
        let path = &replacement.path;
        let refused = |action| TransactionError::file(path, action);
        let is_link = replacement.link_target().is_some();
        let (target, way) = place(store, path, is_link)?;
        if way.ends_in_link {
            linked.push((replacement, target.clone()));
        }
        if !target.parent().is_some_and(host::is_directory) {
            let absent = io::Error::new(io::ErrorKind::NotFound, "its directory does not exist");
            return Err(refused("cannot be replaced")(absent));
        }
        if !targets.insert(target.clone()) {
            let twice = io::Error::new(
                io::ErrorKind::InvalidInput,
                "another path of the same operation leads to the same file",
            );
            return Err(refused("is not replaced")(twice));
        }
        let old = match link::target_of(&target).map_err(refused("cannot be replaced"))? {
            Some(_) => None,
            None => durable::open_regular(&target).map_err(refused("cannot be replaced"))?,
        };
        may_be_replaced(replacement, &target, &way, replaceable)?;
        if let Some(old) = &old
            && is_immutable(old).map_err(refused("could not be looked at"))?
        {
            let immutable = io::Error::new(
                io::ErrorKind::PermissionDenied,
                "is marked immutable or append-only; remove the mark with `chattr -i -a`",
            );
            return Err(refused("cannot be replaced")(immutable));
        }
        files.push(StagedFile {
            name: replacement.name.clone(),
            path: store.root().node_path(path),
            staged: store.root().node_path(&write::hidden_beside(&target, id)?),
            old_digest: durable::digest_of(&target)?,
            new_digest: match replacement.link_target() {
                Some(target) => link::digest(target),
                None => host::digest(&replacement.contents),
            },
            link: is_link,
            target: store.root().node_path(&target),
        });
    }
    if replaceable.is_some() {
        linked
            .into_iter()
            .try_for_each(|(replacement, target)| is_of_that_kind(replacement, &target))?;
    }
    Ok(files)
}

/// That the links to it are root's alone, and that it is no file that is never replaced.
fn may_be_replaced(
    replacement: &Replacement,
    target: &Path,
    way: &Way,
    replaceable: Option<&Replaceable>,
) -> Result<(), TransactionError> {
    let path = &replacement.path;
    let refused = || TransactionError::file(path, "is not replaced");
    let found = Place::at(target)
        .and_then(|place| place.look())
        .map_err(refused())?;
    match replaceable {
        Some(replaceable) => replaceable.check(&replacement.name, way, found.as_ref()),
        None => trusted(way),
    }
    .map_err(|reason| refused()(io::Error::new(io::ErrorKind::PermissionDenied, reason)))
}

/// That what a link leads to is of the kind that takes its place: since it was observed, it may have been made to lead to
/// anything in those directories.
fn is_of_that_kind(replacement: &Replacement, target: &Path) -> Result<(), TransactionError> {
    let refused = TransactionError::file(&replacement.path, "is not replaced");
    match host::read_bounded(target).map(Zeroizing::new) {
        Ok(old) if kind(&old) == kind(&replacement.contents) => Ok(()),
        Ok(_) => Err(refused(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it leads to {}, which holds something else than what is to be put there; put the file itself in the link's place",
                target.display()
            ),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
    }
}

/// Whether there are certificates and keys in a file, and whether it is a kubeconfig.
fn kind(contents: &[u8]) -> [bool; 3] {
    let holds = |text: &[u8]| contents.windows(text.len()).any(|window| window == text);
    [
        holds(b"-----BEGIN CERTIFICATE-----"),
        holds(b"PRIVATE KEY-----"),
        holds(b"current-context"),
    ]
}

/// Whether the contents are, or hold, a private key: then nobody but its owner and, at most, its group may read them.
fn is_secret(replacement: &Replacement) -> bool {
    let contents = &replacement.contents;
    let holds = |text: &[u8]| contents.windows(text.len()).any(|window| window == text);
    replacement.mode_if_new & 0o077 == 0 || holds(b"PRIVATE KEY-----") || holds(b"client-key-data")
}

/// Writes the new files beside the old ones, with the attributes of those. Gives the paths to be flushed.
pub(crate) fn stage(
    store: &Store,
    files: &[StagedFile],
    replacements: &[Replacement],
) -> Result<Vec<PathBuf>, TransactionError> {
    let mut written = Vec::with_capacity(files.len());
    let mut changed = Vec::with_capacity(files.len());
    for (file, replacement) in files.iter().zip(replacements) {
        let staged = file.staged(store);
        changed.push(staged.clone());
        if let Some(target) = replacement.link_target() {
            link::make(target, &staged, None).map_err(TransactionError::file(
                &file.target(store),
                "its successor could not be staged",
            ))?;
            continue;
        }
        let mut attributes = attributes_of(&file.target(store))?;
        if let Some(attributes) = &mut attributes
            && is_secret(replacement)
        {
            attributes.mode &= PRIVATE;
        }
        durable::create_private(&staged)
            .and_then(|mut new| {
                new.write_all(&replacement.contents)?;
                match &attributes {
                    Some(attributes) => attributes.give_to(&new),
                    None => new
                        .set_permissions(Permissions::from_mode(replacement.mode_if_new & 0o7777)),
                }
            })
            .map_err(TransactionError::file(
                &file.target(store),
                "its successor could not be staged",
            ))?;
        written.push(staged);
    }
    written.extend(directories(&changed));
    Ok(written)
}

/// The file that a path stands for: behind its links, or the link itself where that is to be replaced. With the way that
/// leads there.
fn place(store: &Store, path: &Path, is_link: bool) -> Result<(PathBuf, Way), TransactionError> {
    let unfollowed = |error| TransactionError::file(path, "its links could not be followed")(error);
    match (is_link, path.parent(), path.file_name()) {
        (true, Some(directory), Some(name)) => {
            let mut way = store.root().way(directory).map_err(unfollowed)?;
            way.ends_in_link = false;
            way.real.push(name);
            Ok((way.real.clone(), way))
        }
        _ => {
            let way = store.root().way(path).map_err(unfollowed)?;
            Ok((way.real.clone(), way))
        }
    }
}

/// That nobody changed a file, or what a link leads to, since the survey.
pub(crate) fn check_unchanged(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    for file in files {
        let path = store.root().join(&file.path);
        let (target, way) = place(store, &path, file.link)?;
        trusted(&way)
            .map_err(|reason| io::Error::new(io::ErrorKind::PermissionDenied, reason))
            .map_err(TransactionError::file(&path, "is not replaced"))?;
        if target != file.target(store) || durable::digest_of(&target)? != file.old_digest {
            return Err(TransactionError::Changed { path });
        }
    }
    Ok(())
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
pub(crate) fn commit(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    for file in files {
        durable::rename_over(&file.staged(store), &file.target(store))?;
    }
    flush_directories(store, files)
}

/// Removes what was staged for either way. All of it is tried; the first error is returned.
pub(crate) fn unstage(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    let mut result = Ok(());
    let mut changed = Vec::new();
    for file in files {
        for path in [file.staged(store), file.restored(store)] {
            match durable::remove_if_there(&path) {
                Ok(true) => changed.push(path),
                Ok(false) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
    }
    Ok(result.and_then(|()| durable::sync_all(&directories(&changed)))?)
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
pub(crate) fn put_back(
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
    for file in replaced {
        durable::rename_over(&file.restored(store), &file.target(store))?;
    }
    if !made.is_empty() {
        flush_directories(store, group)?;
    }
    for file in made {
        durable::remove_if_there(&file.target(store))?;
    }
    Ok(true)
}

/// The attributes of a file; `None` where there is none.
fn attributes_of(path: &Path) -> Result<Option<Attributes>, TransactionError> {
    durable::open_regular(path)
        .and_then(|file: Option<File>| file.as_ref().map(Attributes::of).transpose())
        .map_err(TransactionError::file(
            path,
            "its attributes could not be read",
        ))
}

/// The files of each certificate.
fn groups(files: &[StagedFile]) -> impl Iterator<Item = &[StagedFile]> {
    files.chunk_by(|one, next| one.name == next.name)
}

fn flush_directories(store: &Store, files: &[StagedFile]) -> Result<(), TransactionError> {
    let targets: Vec<PathBuf> = files.iter().map(|file| file.target(store)).collect();
    let mut there = directories(&targets);
    // Where a directory is gone there is no name to be flushed.
    there.retain(|directory| host::is_directory(directory));
    Ok(durable::sync_all(&there)?)
}

/// The directories of these paths, each once.
fn directories(paths: &[PathBuf]) -> Vec<PathBuf> {
    let unique: BTreeSet<&OsStr> = paths
        .iter()
        .filter_map(|path| path.parent().map(Path::as_os_str))
        .collect();
    unique.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_certificate_are_renamed_next_to_each_other() {
        let replacement = |name: &str, path: &str| Replacement {
            name: name.into(),
            path: path.into(),
            contents: Vec::new().into(),
            mode_if_new: 0o600,
        };
        let paired: Vec<PathBuf> = pair(vec![
            replacement("a", "a.key"),
            replacement("b", "b.key"),
            replacement("c", "c.conf"),
            replacement("a", "a.crt"),
            replacement("b", "b.crt"),
        ])
        .into_iter()
        .map(|replacement| replacement.path)
        .collect();
        let expected = ["a.key", "a.crt", "b.key", "b.crt", "c.conf"];
        assert_eq!(paired, expected.map(PathBuf::from));
    }
}
