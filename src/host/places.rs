//! Directories that are held open while one step goes over many files.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::place::Place;
use super::straight::{directory_handle, parted};

/// So many directories are held open; more than that are opened for each file. A process may have a thousand files open.
const MOST_HELD: usize = 64;

/// Directories that are held open while one step of a look or of an operation goes over its files, so that the way to each is
/// gone once and not once for every file.
///
/// Made anew for each step and never kept from one to the next: what is done at a place is done in the directory that was
/// opened, and a step that relies on where a path leads has to go the way itself.
#[derive(Debug, Default)]
pub struct Places {
    held: Mutex<HashMap<PathBuf, Arc<OwnedFd>>>,
    /// Where directories that are behind links lead.
    followed: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl Places {
    /// As [`Place::at`]. That no link leads to the directory was seen by this step.
    ///
    /// # Errors
    /// As [`Place::at`].
    pub fn at(&self, path: &Path) -> io::Result<Place> {
        let (directory, name) = parted(path)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = held.get(directory) {
            return Ok(Place::within(Arc::clone(opened), name));
        }
        let opened = Arc::new(directory_handle(directory)?);
        if held.len() < MOST_HELD {
            held.insert(directory.to_path_buf(), Arc::clone(&opened));
        }
        Ok(Place::within(opened, name))
    }

    /// Where a directory leads, which `follow` finds out the first time.
    ///
    /// # Errors
    /// As `follow`.
    pub(super) fn followed(
        &self,
        directory: &Path,
        follow: impl FnOnce() -> io::Result<PathBuf>,
    ) -> io::Result<PathBuf> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(real) = followed.get(directory) {
            return Ok(real.clone());
        }
        let real = follow()?;
        if followed.len() < MOST_HELD {
            followed.insert(directory.to_path_buf(), real.clone());
        }
        Ok(real)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn few_directories_are_held_open_however_many_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        let places = Places::default();
        for number in 0..MOST_HELD + 10 {
            let below = base.join(number.to_string());
            std::fs::create_dir(&below).unwrap();
            std::fs::write(below.join("x"), "x").unwrap();
            for _ in 0..2 {
                let place = places.at(&below.join("x")).unwrap();
                assert!(place.look().unwrap().is_some());
            }
        }
        assert_eq!(places.held.lock().unwrap().len(), MOST_HELD);
    }

    /// A directory that becomes a link is refused by the next step; the one that has it open stays where it was.
    #[test]
    fn a_directory_that_is_swapped_for_a_link_leads_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("own")).unwrap();
        std::fs::create_dir(base.join("others")).unwrap();
        for name in ["own/one", "own/two", "others/one", "others/two"] {
            std::fs::write(base.join(name), name).unwrap();
        }
        let step = Places::default();
        step.at(&base.join("own/one")).unwrap();
        std::fs::rename(base.join("own"), base.join("moved")).unwrap();
        symlink("others", base.join("own")).unwrap();
        step.at(&base.join("own/two")).unwrap().remove().unwrap();
        assert!(!base.join("moved/two").exists());
        assert!(base.join("others/two").exists());
        Places::default().at(&base.join("own/one")).unwrap_err();
    }
}
