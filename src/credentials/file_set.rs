//! Files that are put in place together: all of them, or none.
//!
//! Each is written beside its place and flushed. Then a mark in the certificates directory says that the set is whole, and
//! the files get their names. What was killed before the mark is removed by the next command, what was killed after it is
//! finished. Meanwhile the directory is locked, so no two sets get into each other's way.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::CredentialError;
use super::places::{Places, check_directory};
use super::reading;
use crate::host::write::hidden_beside;
use crate::host::{FileError, Place, Root, digest, durable, remove_temporaries, write_atomically};

/// One file to be.
pub(super) struct NewFile {
    pub(super) path: PathBuf,
    pub(super) contents: Zeroizing<Vec<u8>>,
    pub(super) mode: u32,
    /// What is there now, where it is to be replaced.
    pub(super) replaces: Option<Zeroizing<Vec<u8>>>,
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
}

/// The mark of a set that is whole.
const MARK: &str = ".set-of-kubecertd";
/// What the name of a file contains that gets a free name, and of one that takes another's place.
const FREE: &str = "set-";
const OVER: &str = "set-over-";

/// The only one that makes sets in these directories. Released when dropped.
pub(super) struct Sets<'a> {
    places: &'a Places,
    _locked: File,
}

impl<'a> Sets<'a> {
    /// Makes the directories where they are missing, locks them, and finishes or removes what a killed command left.
    pub(super) fn open(places: &'a Places) -> Result<Self, CredentialError> {
        let root = places.root();
        for directory in places.directories() {
            check_directory(root, &directory)?;
        }
        for directory in places.directories() {
            durable::make_directories_above(&directory.join("x"))?;
        }
        Self::lock(places)
    }

    /// The same where the directories have to be there; `None` where the first is not.
    pub(super) fn open_existing(places: &'a Places) -> Result<Self, CredentialError> {
        let root = places.root();
        for directory in places.directories() {
            check_directory(root, &directory)?;
        }
        if reading::look(root, &places.certificates)?.is_none() {
            return Err(CredentialError::NothingThere(format!(
                "{}: there is no such directory",
                places.shown(&places.certificates).display()
            )));
        }
        Self::lock(places)
    }

    fn lock(places: &'a Places) -> Result<Self, CredentialError> {
        let directory = &places.certificates;
        let failed = || FileError::of(directory, "could not be locked");
        let locked = Place::at(directory)
            .and_then(|place| place.open(OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK))
            .map_err(failed())?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CredentialError::PlaceRefused {
                    path: places.shown(directory),
                    reason: "another kubecertd makes files there; wait until it has ended"
                        .to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error).into()),
        }
        let sets = Self {
            places,
            _locked: locked,
        };
        sets.settle()?;
        Ok(sets)
    }

    fn mark(&self) -> PathBuf {
        self.places.certificates.join(MARK)
    }

    /// Finishes a set that was whole, and removes what is left of one that was not.
    fn settle(&self) -> Result<(), CredentialError> {
        let mark = self.mark();
        let root = self.places.root();
        remove_temporaries(&self.places.certificates, mark.file_name())?;
        let is_whole = reading::find(root, &mark)?;
        let id = is_whole
            .as_ref()
            .map(|id| String::from_utf8_lossy(id).into_owned());
        for path in self.places.files() {
            let Some(directory) = path.parent() else {
                continue;
            };
            for name in durable::names_in(directory)? {
                let Some(over) = staged_kind(&path, &name) else {
                    continue;
                };
                let staged = directory.join(&name);
                let of_whole = id.as_deref().is_some_and(|id| {
                    name.to_str()
                        .is_some_and(|name| name.ends_with(&format!("-{id}")))
                });
                let is_free = reading::look(root, &path)?.is_none();
                if of_whole && (over || is_free) {
                    durable::rename_over(&staged, &path)?;
                } else {
                    durable::remove_if_there(&staged)?;
                }
            }
        }
        self.flush()?;
        if is_whole.is_some() {
            tracing::warn!(path = %mark.display(), "a set of files that a killed command left half in place was finished");
            durable::remove_if_there(&mark)?;
            durable::sync_directory(&self.places.certificates)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), CredentialError> {
        for directory in self.places.directories() {
            if reading::look(self.places.root(), &directory)?.is_some() {
                durable::sync_directory(&directory)?;
            }
        }
        Ok(())
    }

    /// Puts the files in place. On an error everything is as it was before.
    pub(super) fn put(&self, files: &[NewFile]) -> Result<(), CredentialError> {
        self.check_names(files)?;
        let id = random_id(&self.places.certificates)?;
        let mut staged = Vec::with_capacity(files.len());
        let written = files.iter().try_for_each(|file| {
            let kind = if file.replaces.is_some() { OVER } else { FREE };
            let path = hidden_beside(&file.path, &format!("{kind}{id}"))?;
            staged.push(path.clone());
            stage(&path, file)
        });
        let committed = written
            .and_then(|()| self.flush())
            .and_then(|()| Ok(write_atomically(&self.mark(), id.as_bytes(), SECRET)?));
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
            durable::remove_if_there(&self.mark())?;
            discard(&staged);
            take_back(files.get(..done).unwrap_or_default())?;
            return Err(error);
        }
        self.flush()?;
        durable::remove_if_there(&self.mark())?;
        durable::sync_directory(&self.places.certificates)?;
        Ok(())
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

/// Whether a name is one that [`Sets::put`] gives a file on its way to `path`, and then whether it replaces what is there.
fn staged_kind(path: &Path, name: &std::ffi::OsStr) -> Option<bool> {
    let own = path.file_name()?.to_str()?;
    let id = name
        .to_str()?
        .strip_prefix('.')?
        .strip_prefix(own)?
        .strip_prefix(".kubecertd-")?;
    let over = id.strip_prefix(OVER);
    let id = over.or_else(|| id.strip_prefix(FREE))?;
    let is_id = id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id.then_some(over.is_some())
}

fn random_id(directory: &Path) -> Result<String, FileError> {
    let mut random = [0u8; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|error| {
        FileError::of(directory, "no random name could be made in")(io::Error::other(error))
    })?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

fn stage(path: &Path, file: &NewFile) -> Result<(), CredentialError> {
    durable::create_private(path)
        .and_then(|mut staged| {
            staged.write_all(&file.contents)?;
            staged.set_permissions(Permissions::from_mode(file.mode))?;
            staged.sync_all()
        })
        .map_err(FileError::of(&file.path, "could not be written"))?;
    Ok(())
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
    if durable::digest_of(&file.path)? != Some(digest(old)) {
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
            Some(old) => write_atomically(&file.path, old, file.mode)?,
            None => {
                durable::remove_if_there(&file.path)?;
            }
        }
    }
    Ok(())
}

fn discard(staged: &[PathBuf]) {
    for path in staged {
        crate::host::discard(path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;
    use crate::host::names;

    fn places(directory: &tempfile::TempDir) -> Places {
        let root = Root::new(directory.path()).unwrap();
        Places::new(&root, Path::new("/k/pki"), Path::new("/k")).unwrap()
    }

    #[test]
    fn what_was_put_in_place_is_taken_back_when_a_later_file_cannot_be() {
        let directory = tempfile::tempdir().unwrap();
        let places = places(&directory);
        let sets = Sets::open(&places).unwrap();
        let [first, second, third] =
            ["ca.crt", "ca.key", "sa.key"].map(|name| places.certificates.join(name));
        std::fs::write(&first, "old").unwrap();
        std::fs::write(&third, "changed meanwhile").unwrap();
        let over = |path: &Path| NewFile {
            replaces: Some(Zeroizing::new(b"old".to_vec())),
            ..NewFile::new(path.to_path_buf(), "new", SECRET)
        };
        let files = [
            over(&first),
            NewFile::new(second, "new", SECRET),
            over(&third),
        ];
        let error = sets.put(&files).unwrap_err();
        assert!(
            error.to_string().contains("was changed meanwhile"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "old");
        assert_eq!(
            std::fs::read_to_string(&third).unwrap(),
            "changed meanwhile"
        );
        assert_eq!(
            names(&places.certificates).unwrap(),
            ["ca.crt", "etcd", "sa.key"]
        );
    }

    #[test]
    fn two_commands_do_not_work_in_one_directory() {
        let directory = tempfile::tempdir().unwrap();
        let places = places(&directory);
        let _sets = Sets::open(&places).unwrap();
        let error = Sets::open(&places).err().unwrap();
        assert!(error.to_string().contains("another kubecertd"), "{error}");
    }

    #[test]
    fn a_set_that_was_whole_is_finished_and_one_that_was_not_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let places = places(&directory);
        drop(Sets::open(&places).unwrap());
        let id = "0123456789abcdef";
        let free = places.certificates.join("sa.key");
        let taken = places.certificates.join("sa.pub");
        let over = places.certificates.join("ca.crt");
        std::fs::write(&taken, "another's").unwrap();
        std::fs::write(&over, "old").unwrap();
        let stage = |id: &str| {
            for (path, kind) in [(&free, FREE), (&taken, FREE), (&over, OVER)] {
                std::fs::write(hidden_beside(path, &format!("{kind}{id}")).unwrap(), "new")
                    .unwrap();
            }
        };
        stage(id);
        drop(Sets::open(&places).unwrap());
        assert_eq!(
            names(&places.certificates).unwrap(),
            ["ca.crt", "etcd", "sa.pub"]
        );
        stage(id);
        std::fs::write(places.certificates.join(MARK), id).unwrap();
        drop(Sets::open(&places).unwrap());
        assert_eq!(
            names(&places.certificates).unwrap(),
            ["ca.crt", "etcd", "sa.key", "sa.pub"]
        );
        assert_eq!(std::fs::read_to_string(&over).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "another's");
    }
}
