//! Files that are put in place together: all of them, or none.
//!
//! Each is written beside its place and flushed. Then a mark in the certificates directory says that the set is whole and which
//! files belong to it, and the files get their names. What was killed before the mark is removed by the next command for the same
//! directories, what was killed after it is finished, wherever its files lie, unless what they were to replace is another by now.
//! Meanwhile the directories are locked, so no two sets get into each other's way.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::CredentialError;
use super::locks::Locks;
use super::places::{Places, check_directory};
use super::reading::{self, Relied};
use super::set_mark::{Mark, Marked, is_staged, new_id, staged};
use crate::host::{
    Attributes, FileError, Root, digest, durable, remove_temporaries, temporary_beside,
    write_atomically,
};

/// One file to be.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) contents: Zeroizing<Vec<u8>>,
    pub(super) mode: u32,
    /// What is there now, where it is to be replaced; its owner, group, mode and access list are kept.
    pub(super) replaces: Option<Relied>,
}

pub(super) const SECRET: u32 = 0o600;
pub(super) const PUBLIC: u32 = 0o644;

impl NewFile {
    /// A file where there is none.
    pub(super) fn new(path: PathBuf, contents: impl AsRef<[u8]>, mode: u32) -> Self {
        Self {
            path,
            contents: Zeroizing::new(contents.as_ref().to_vec()),
            mode,
            replaces: None,
        }
    }

    /// A file in the place of another.
    pub(super) fn over(path: PathBuf, contents: impl AsRef<[u8]>, old: Relied) -> Self {
        Self {
            mode: old.attributes.mode,
            replaces: Some(old),
            ..Self::new(path, contents, SECRET)
        }
    }
}

/// The only one that makes sets in these directories. Released when dropped.
pub(super) struct Sets<'a> {
    places: &'a Places,
    locks: Locks,
}

impl<'a> Sets<'a> {
    /// Makes the directories where they are missing, locks them, and finishes or removes what a killed command left.
    pub(super) fn open(places: &'a Places) -> Result<Self, CredentialError> {
        places.check()?;
        for directory in places.directories() {
            durable::make_directories_above(&directory.join("x"))?;
        }
        Self::lock(places)
    }

    /// The same where the directories have to be there; `None` where the first is not.
    pub(super) fn open_existing(places: &'a Places) -> Result<Self, CredentialError> {
        places.check()?;
        if reading::look(places.root(), &places.certificates)?.is_none() {
            return Err(CredentialError::NothingThere(format!(
                "{}: there is no such directory",
                places.shown(&places.certificates).display()
            )));
        }
        Self::lock(places)
    }

    fn lock(places: &'a Places) -> Result<Self, CredentialError> {
        let sets = Self {
            places,
            locks: Locks::default(),
        };
        for directory in places.directories() {
            if reading::look(places.root(), &directory)?.is_some() {
                sets.lock_also(&directory)?;
            }
        }
        sets.settle()?;
        Ok(sets)
    }

    /// Locks one more directory for as long as these.
    pub(super) fn lock_also(&self, directory: &Path) -> Result<(), CredentialError> {
        self.locks.lock(self.places.root(), directory)
    }

    /// Finishes a set that was whole, and removes what is left of one that was not.
    fn settle(&self) -> Result<(), CredentialError> {
        let path = Mark::path(self.places);
        remove_temporaries(&self.places.certificates, path.file_name())?;
        let mark = Mark::find(self.places)?;
        if let Some(mark) = &mark {
            for file in &mark.files {
                self.finish(file, &mark.id)?;
            }
        }
        for directory in self.places.directories() {
            for name in durable::names_in(&directory)? {
                if is_staged(&name, self.places) {
                    durable::remove_if_there(&directory.join(&name))?;
                }
            }
        }
        self.flush()?;
        if mark.is_some() {
            tracing::warn!(path = %path.display(), "a set of files that a killed command left half in place was finished");
            durable::remove_if_there(&path)?;
            durable::sync_directory(&self.places.certificates)?;
        }
        Ok(())
    }

    /// Gives a file of a whole set its name, unless another has it by now: that is newer.
    fn finish(&self, file: &Marked, id: &str) -> Result<(), CredentialError> {
        let root = self.places.root();
        let path = root.join(&file.path);
        let Some(directory) = path.parent() else {
            return Ok(());
        };
        check_directory(root, directory)?;
        let staged = staged(&path, file.replaces.is_some(), id)?;
        if reading::look(root, &staged)?.is_none() {
            return Ok(());
        }
        self.lock_also(directory)?;
        let is_as_it_was = match &file.replaces {
            Some(old) => durable::digest_of(&path)?.as_ref() == Some(old),
            None => reading::look(root, &path)?.is_none(),
        };
        if is_as_it_was {
            durable::rename_over(&staged, &path)?;
        } else {
            tracing::warn!(path = %file.path.display(), "{}: is another by now than when a killed command was to write it, and is kept", file.path.display());
            durable::remove_if_there(&staged)?;
        }
        Ok(durable::sync_directory(directory)?)
    }

    fn flush(&self) -> Result<(), CredentialError> {
        for directory in self.places.directories() {
            if reading::look(self.places.root(), &directory)?.is_some() {
                durable::sync_directory(&directory)?;
            }
        }
        Ok(())
    }

    /// Puts the files in place. On an error everything is as it was before, unless the error says what could not be put back.
    pub(super) fn put(&self, files: &[NewFile]) -> Result<(), CredentialError> {
        if files.is_empty() {
            return Ok(());
        }
        self.check_names(files)?;
        let path = Mark::path(self.places);
        let mark = Mark {
            id: new_id(self.places)?,
            files: files.iter().map(|file| self.marked(file)).collect(),
        };
        let text = mark.text(self.places)?;
        let mut staged = Vec::with_capacity(files.len());
        let written = files.iter().try_for_each(|file| {
            let path = super::set_mark::staged(&file.path, file.replaces.is_some(), &mark.id)?;
            staged.push(path.clone());
            stage(&path, file)
        });
        let committed = written
            .and_then(|()| self.flush())
            .and_then(|()| Ok(write_atomically(&path, &text, SECRET)?));
        if let Err(error) = committed {
            discard(&staged);
            return Err(error);
        }
        let mut done = 0;
        let placed = files.iter().zip(&staged).try_for_each(|(file, staged)| {
            place(self.places.root(), file, staged)?;
            done += 1;
            Ok(())
        });
        if let Err(error) = placed {
            // The mark goes first: what is left then is removed, and not finished.
            let undone = durable::remove_if_there(&path)
                .map_err(CredentialError::from)
                .and_then(|_| {
                    discard(&staged);
                    take_back(files.get(..done).unwrap_or_default())
                });
            return Err(match undone {
                Ok(()) => error,
                Err(second) => CredentialError::Several(vec![error, second]),
            });
        }
        self.flush()?;
        durable::remove_if_there(&path)?;
        durable::sync_directory(&self.places.certificates)?;
        Ok(())
    }

    fn marked(&self, file: &NewFile) -> Marked {
        Marked {
            path: self.places.shown(&file.path),
            replaces: file.replaces.as_ref().map(|old| digest(&old.contents)),
        }
    }

    /// That no name is taken but those that are to be replaced.
    fn check_names(&self, files: &[NewFile]) -> Result<(), CredentialError> {
        let new = files.iter().filter(|file| file.replaces.is_none());
        let taken = reading::those_there(self.places.root(), new.map(|file| file.path.clone()))?;
        if taken.is_empty() {
            Ok(())
        } else {
            Err(CredentialError::AlreadyThere(taken))
        }
    }
}

fn stage(path: &Path, file: &NewFile) -> Result<(), CredentialError> {
    let old = file.replaces.as_ref();
    write_new(
        path,
        &file.contents,
        old.map(|old| &old.attributes),
        file.mode,
    )
    .map_err(FileError::of(&file.path, "could not be written"))?;
    Ok(())
}

fn write_new(
    path: &Path,
    contents: &[u8],
    attributes: Option<&Attributes>,
    mode: u32,
) -> io::Result<()> {
    let mut new = durable::create_private(path)?;
    new.write_all(contents)?;
    match attributes {
        Some(attributes) => attributes.give_to(&new)?,
        None => new.set_permissions(Permissions::from_mode(mode))?,
    }
    new.sync_all()
}

fn place(root: &Root, file: &NewFile, staged: &Path) -> Result<(), CredentialError> {
    let Some(old) = &file.replaces else {
        return match durable::rename_if_free(staged, &file.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CredentialError::AlreadyThere(vec![
                    root.node_path(&file.path),
                ]))
            }
            renamed => Ok(renamed.map_err(FileError::of(&file.path, "could not be made"))?),
        };
    };
    if durable::digest_of(&file.path)? != Some(digest(&old.contents)) {
        return Err(CredentialError::CredentialRefused {
            path: root.node_path(&file.path),
            reason: "was changed meanwhile by another process; try again".to_owned(),
        });
    }
    Ok(durable::rename_over(staged, &file.path)?)
}

/// Takes back what has its name already, last first.
fn take_back(done: &[NewFile]) -> Result<(), CredentialError> {
    for file in done.iter().rev() {
        match &file.replaces {
            Some(old) => put_back(&file.path, old)?,
            None => {
                durable::remove_if_there(&file.path)?;
            }
        }
    }
    Ok(())
}

fn put_back(path: &Path, old: &Relied) -> Result<(), CredentialError> {
    let temporary = temporary_beside(path)?;
    let put_back = write_new(
        &temporary,
        &old.contents,
        Some(&old.attributes),
        old.attributes.mode,
    )
    .map_err(FileError::of(path, "could not be put back"))
    .and_then(|()| durable::rename_over(&temporary, path));
    if let Err(error) = put_back {
        discard(&[temporary]);
        return Err(error.into());
    }
    if let Some(directory) = path.parent() {
        durable::sync_directory(directory)?;
    }
    Ok(())
}

fn discard(staged: &[PathBuf]) {
    for path in staged {
        crate::host::discard(path);
    }
}

#[cfg(test)]
mod tests;
