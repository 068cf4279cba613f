//! Directories whose paths have no links in them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, OFlags, statat};
use rustix::io::Errno;

use super::found::Found;
use super::place::Place;
use super::straight::open_straight;

/// The names in a directory, sorted.
///
/// # Errors
/// What the system says; where the last component is a link, `ENOTDIR` or `ELOOP`.
pub fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    some_names(directory, usize::MAX).map(|(names, _)| names)
}

/// So many of the names in a directory, sorted, and whether there are more.
///
/// # Errors
/// As [`names`].
pub fn some_names(directory: &Path, limit: usize) -> io::Result<(Vec<OsString>, bool)> {
    names_of(&mut opened(directory)?, limit)
}

fn opened(directory: &Path) -> io::Result<Dir> {
    let opened = open_straight(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
    Ok(Dir::new(opened)?)
}

fn names_of(directory: &mut Dir, limit: usize) -> io::Result<(Vec<OsString>, bool)> {
    let mut names = Vec::new();
    for entry in directory {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if names.len() == limit {
            names.sort();
            return Ok((names, true));
        }
        names.push(name.to_owned());
    }
    names.sort();
    Ok((names, false))
}

/// What is in a directory, by name, links not followed. What goes away meanwhile is left out.
///
/// # Errors
/// As [`names`].
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<(OsString, Found)>> {
    let mut directory = opened(directory)?;
    let (names, _) = names_of(&mut directory, usize::MAX)?;
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        match statat(directory.fd()?, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => entries.push((name, found.into())),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(entries)
}

/// Whether a directory, and no link to one, is there.
#[must_use]
pub fn is_directory(path: &Path) -> bool {
    Place::at(path)
        .and_then(|place| place.look())
        .is_ok_and(|found| found.is_some_and(|found| found.is_directory()))
}

/// Makes a directory and those above it where they are missing, with this mode. Not flushed.
///
/// # Errors
/// What the system says.
pub fn make_directories(directory: &Path, mode: u32) -> io::Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !is_directory(ancestor))
        .collect();
    for one in missing.into_iter().rev() {
        match Place::at(one)?.make_directory(mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_directory(one) => {}
            made => made?,
        }
    }
    Ok(())
}
