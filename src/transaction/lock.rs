//! One process at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Store, TransactionError};

/// Held while an operation runs; released when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock (making the state directory, mode 0700, if needed) without waiting.
    ///
    /// # Errors
    /// [`TransactionError::Busy`] with the holder's process id where it can be told.
    pub fn take(store: &Store) -> Result<Self, TransactionError> {
        store.prepare()?;
        let path = store.lock_file();
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(TransactionError::file(&path, "could not be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TransactionError::Busy {
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(TransactionError::file(&path, "could not be locked")(source));
            }
        }
        sign(&mut file, &path);
        Ok(Self { _file: file })
    }
}

/// Writes this process's id into the lock file. Only a courtesy to whoever finds it taken: a full disk must not keep
/// manifests from coming back.
fn sign(file: &mut File, path: &Path) {
    let signed = file
        .set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
    if let Err(error) = signed {
        tracing::warn!(path = %path.display(), %error, "the process id could not be written into the lock file");
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(&Root::new(directory.path()).unwrap());
        let lock = Lock::take(&store).unwrap();
        match Lock::take(&store) {
            Err(TransactionError::Busy { holder }) => {
                assert_eq!(holder, Some(std::process::id()));
            }
            other => panic!("{other:?}"),
        }
        let mode = std::fs::metadata(store.lock_file()).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o600);
        drop(lock);
        Lock::take(&store).unwrap();
    }
}
