//! One process at a time.
//!
//! What is locked is the state directory itself: that can be done where nothing can be written, and there is no lock file
//! whose removal would let a second process in.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::error::TransactionError;
use super::store::Store;
use crate::host::{Place, read_at_most};

/// How often, and with what pause, a lock that is taken is asked for again: another process may only be looking.
const ATTEMPTS: u32 = 25;
/// More than any process id takes, in bytes.
const HOLDER_LIMIT: u64 = 64;
const PAUSE: Duration = Duration::from_millis(20);

/// Held while an operation runs; released when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct Lock {
    _directory: File,
}

impl Lock {
    /// Takes the lock (making the state directory, mode 0700, if needed), waiting half a second at most.
    ///
    /// # Errors
    /// [`TransactionError::Busy`] with the holder's process id where it can be told.
    pub fn take(store: &Store) -> Result<Self, TransactionError> {
        for _ in 1..ATTEMPTS {
            match Self::take_at_once(store) {
                Err(TransactionError::Busy { .. }) => std::thread::sleep(PAUSE),
                taken => return taken,
            }
        }
        Self::take_at_once(store)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_at_once(store: &Store) -> Result<Self, TransactionError> {
        // Where it cannot be prepared, a process that holds it must be recognised all the same.
        let prepared = store.prepare();
        let path = store.directory();
        let directory = match open(path) {
            Ok(directory) => directory,
            Err(error) => return prepared.and(Err(error)),
        };
        let failed = || TransactionError::file(path, "could not be locked");
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TransactionError::Busy {
                    holder: holder(&store.holder_file()),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed()(source)),
        }
        prepared?;
        if !is_still_at(&directory, path).map_err(failed())? {
            let replaced = std::io::Error::other("it was replaced meanwhile");
            return Err(failed()(replaced));
        }
        write_holder(&store.holder_file());
        Ok(Self {
            _directory: directory,
        })
    }

    /// Whether somebody holds it. Looking keeps nobody from taking it for longer than a moment.
    #[must_use]
    pub fn is_taken(store: &Store) -> bool {
        open(store.directory()).is_ok_and(|directory| {
            matches!(directory.try_lock_shared(), Err(TryLockError::WouldBlock))
        })
    }
}

fn open(directory: &Path) -> Result<File, TransactionError> {
    Place::at(directory)
        .and_then(|place| place.open(OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK))
        .map_err(TransactionError::file(directory, "could not be opened"))
}

/// Whether a path still leads to what was opened there.
fn is_still_at(open: &File, path: &Path) -> std::io::Result<bool> {
    let open = open.metadata()?;
    let there = Place::at(path)?.look()?;
    Ok(there.is_some_and(|there| there.identity == (open.dev(), open.ino())))
}

/// Writes down this process's id. Only a courtesy to whoever finds the lock taken: a full disk must not keep manifests
/// from coming back.
fn write_holder(path: &Path) {
    let signed = Place::at(path)
        .and_then(|place| place.open_or_create(OFlags::WRONLY | OFlags::TRUNC, 0o600))
        .and_then(|mut file| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
    if let Err(error) = signed {
        tracing::debug!(path = %path.display(), %error, "the process id could not be written down");
    }
}

fn holder(path: &Path) -> Option<u32> {
    let written = read_at_most(path, HOLDER_LIMIT).ok()?;
    std::str::from_utf8(&written).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use crate::host::Root;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    fn store(directory: &tempfile::TempDir) -> Store {
        Store::new(&Root::new(directory.path()).unwrap())
    }

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        assert!(!Lock::is_taken(&store));
        let lock = Lock::take(&store).unwrap();
        match Lock::take(&store) {
            Err(TransactionError::Busy { holder }) => {
                assert_eq!(holder, Some(std::process::id()));
            }
            other => panic!("{other:?}"),
        }
        assert!(Lock::is_taken(&store));
        let mode = std::fs::metadata(store.holder_file())
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o7777, 0o600);
        drop(lock);
        Lock::take(&store).unwrap();
    }

    #[test]
    fn removing_files_lets_no_second_process_in() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        let _lock = Lock::take(&store).unwrap();
        for entry in std::fs::read_dir(store.directory()).unwrap() {
            let path = entry.unwrap().path();
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
        let busy = Lock::take_at_once(&store);
        assert!(matches!(busy, Err(TransactionError::Busy { .. })));
    }

    #[test]
    fn somebody_who_only_looks_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        store.prepare().unwrap();
        let looks = File::open(store.directory()).unwrap();
        looks.lock_shared().unwrap();
        let begun = Instant::now();
        let looking = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(looks);
        });
        Lock::take(&store).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(100));
        looking.join().unwrap();
    }
}
