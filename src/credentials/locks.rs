//! Directories that one command has for itself.

use std::cell::RefCell;
use std::fs::{File, TryLockError};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::CredentialError;
use crate::host::{FileError, Found, Place, Root};

/// The directories that are locked. Released when dropped.
#[derive(Default)]
pub(super) struct Locks {
    /// Each with its device and number, since one may be reached by several names.
    held: RefCell<Vec<((u64, u64), File)>>,
}

impl Locks {
    /// Locks one more directory; one that is locked by this command already stays so. Never waits, so no two commands can wait for
    /// each other.
    pub(super) fn lock(&self, root: &Root, directory: &Path) -> Result<(), CredentialError> {
        let failed = || FileError::of(directory, "could not be locked");
        let opened = Place::at(directory)
            .and_then(|place| place.open(OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK))
            .map_err(failed())?;
        let identity = Found::of(&opened).map_err(failed())?.identity;
        if self.held.borrow().iter().any(|(held, _)| *held == identity) {
            return Ok(());
        }
        match opened.try_lock() {
            Ok(()) => {
                self.held.borrow_mut().push((identity, opened));
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(CredentialError::PlaceRefused {
                path: root.node_path(directory),
                reason: "another kubecertd makes or signs files there; wait until it has ended"
                    .to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(failed()(error).into()),
        }
    }
}
