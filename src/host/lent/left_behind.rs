//! What a process that was killed while it replaced a file left beside it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::Dir;

use super::super::place::Place;
use super::super::straight::LinkOnTheWay;
use super::super::write::is_temporary;

/// More names than this are not looked through.
const NAMES_LIMIT: usize = 1000;

/// Temporary files beside a file, whether that is there or not: the new one, or the old one after the two changed places. Either holds a
/// key.
#[derive(Debug)]
pub struct LeftBehind(Vec<Place>);

impl LeftBehind {
    /// Those beside a path without links; `None` where there are none, no directory, or a link on the way.
    ///
    /// # Errors
    /// What the system says.
    pub fn beside(path: &Path) -> io::Result<Option<Self>> {
        let name = path.file_name().unwrap_or(OsStr::new("."));
        let place = match Place::at(path) {
            Err(error) if is_no_directory(&error) => return Ok(None),
            place => place?,
        };
        let found = Self::of(&place, name)?;
        Ok((!found.0.is_empty()).then_some(found))
    }

    /// Those in the directory of a place that has this name.
    pub(super) fn of(place: &Place, name: &OsStr) -> io::Result<Self> {
        let mut directory = Dir::new(place.directory()?)?;
        let mut left = Vec::new();
        for entry in directory.by_ref().take(NAMES_LIMIT) {
            let entry = entry?;
            let found: OsString = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            if is_temporary(&found, Some(name)) {
                left.push(place.beside(&found));
            }
        }
        Ok(Self(left))
    }

    /// Removes them.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|place| match place.remove() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    kinds.contains(&error.kind()) || LinkOnTheWay::is_cause_of(error)
}
