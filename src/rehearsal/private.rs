//! The directory of a rehearsal: its owner's alone, in memory where possible, and gone afterwards.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::TempDir;

/// What the directories' names begin with.
const PREFIX: &str = "kubecertd-rehearsal-";

/// A directory that only its owner can enter. It is locked as long as a rehearsal uses it, which the kernel ends with the
/// process: what is not locked was left behind.
#[derive(Debug)]
pub struct PrivateDirectory {
    directory: TempDir,
    _lock: File,
}

impl PrivateDirectory {
    /// Makes one in /run, or where that cannot be in the directory for temporary files.
    ///
    /// # Errors
    /// When neither can be.
    pub fn make() -> io::Result<Self> {
        let mut failed = None;
        for parent in parents() {
            match Self::make_in(&parent) {
                Ok(made) => return Ok(made),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o700));
        loop {
            let directory = builder.tempdir_in(parent)?;
            let lock = open(directory.path())?;
            lock.lock()?;
            // A sweep that came before the lock has removed it.
            if lock.metadata()?.nlink() > 0 && directory.path().exists() {
                return Ok(Self {
                    directory,
                    _lock: lock,
                });
            }
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        self.directory.close()
    }
}

/// Removes what rehearsals left behind that were killed: directories of this user's by that name which nobody else can
/// enter and no process has locked. Returns which, each with the error where it could not be removed.
pub fn sweep() -> Vec<(PathBuf, Option<io::Error>)> {
    parents()
        .iter()
        .flat_map(|parent| sweep_in(parent))
        .collect()
}

fn parents() -> Vec<PathBuf> {
    let mut parents = vec![PathBuf::from("/run"), std::env::temp_dir()];
    parents.dedup();
    parents
}

fn sweep_in(parent: &Path) -> Vec<(PathBuf, Option<io::Error>)> {
    let names = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    names
        .filter_map(|name| {
            let path = parent.join(name);
            let _abandoned = abandoned(&path)?;
            // Follows no link, neither the path itself nor one below it.
            let error = fs::remove_dir_all(&path).err();
            Some((path, error))
        })
        .collect()
}

/// The directory, locked, if it is one that a rehearsal left behind.
fn abandoned(path: &Path) -> Option<File> {
    let directory = open(path).ok()?;
    let metadata = directory.metadata().ok()?;
    let own = metadata.uid() == nix::unistd::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
    (own && directory.try_lock().is_ok()).then_some(directory)
}

fn open(directory: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(directory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn swept(parent: &Path) -> Vec<PathBuf> {
        sweep_in(parent)
            .into_iter()
            .map(|(path, error)| {
                assert!(error.is_none(), "{error:?}");
                path
            })
            .collect()
    }

    #[test]
    fn what_was_left_behind_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::create_dir(path.join("copy")).unwrap();
            fs::write(path.join("copy/ca.key"), "secret").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let left = make("kubecertd-rehearsal-AbCdEf", 0o700);
        let open = make("kubecertd-rehearsal-open", 0o755);
        let other = make("somebody-else", 0o700);
        let linked = parent.path().join("kubecertd-rehearsal-link");
        symlink(&other, &linked).unwrap();
        symlink(&other, left.join("copy/link")).unwrap();
        let file = parent.path().join("kubecertd-rehearsal-file");
        fs::write(&file, "").unwrap();
        let in_use = PrivateDirectory::make_in(parent.path()).unwrap();
        assert_eq!(swept(parent.path()), [left]);
        for kept in [&open, &other, &linked, &file, &in_use.path().to_path_buf()] {
            assert!(kept.symlink_metadata().is_ok(), "{}", kept.display());
        }
        assert!(other.join("copy/ca.key").exists());
        let path = in_use.path().to_path_buf();
        in_use.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_another_user_made_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("kubecertd-rehearsal-theirs");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        if std::os::unix::fs::chown(&path, Some(65534), None).is_err() {
            return; // only root can give a directory away
        }
        assert!(swept(parent.path()).is_empty());
        assert!(path.exists());
    }
}
