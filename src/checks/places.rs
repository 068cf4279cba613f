//! Whether files can be replaced where they lie.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, OFlags, StatVfsMountFlags, accessat, fstatvfs};
use rustix::io::Errno;

use crate::host::{Found, Place, Root, is_immutable};

/// What keeps a file or directory from being changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// Its file system is mounted read-only, for this process at least.
    ReadOnly,
    /// It is marked immutable or append-only.
    Immutable,
    /// It is a directory, where kubecertd's own file belongs.
    Directory,
    /// This process may not write there: what the system says.
    Forbidden(String),
}

/// A file or directory that cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindered {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub by: Hindrance,
}

/// What was found, and the paths that could not be looked at.
type Looked = (Vec<Hindered>, BTreeMap<PathBuf, io::Error>);

/// What keeps these files from being replaced, besides their directories.
pub(super) fn hindered_files(root: &Root, files: &BTreeSet<PathBuf>) -> Looked {
    gathered(
        files
            .iter()
            .map(|path| (path.as_path(), marked(root, path))),
    )
}

/// What keeps names in these directories from being changed.
pub(super) fn hindered_directories(root: &Root, directories: &BTreeSet<PathBuf>) -> Looked {
    gathered(
        directories
            .iter()
            .map(|path| (path.as_path(), of_directory(root, path))),
    )
}

/// What keeps the history from being written: the first file is appended to, the second one replaced.
pub(super) fn hindered_history(root: &Root, appended: &Path, replaced: &Path) -> Looked {
    gathered([
        (appended, of_appended(root, appended)),
        (replaced, of_replaced(root, replaced)),
    ])
}

/// What is not there cannot hinder.
fn gathered<'path>(
    looked_at: impl IntoIterator<Item = (&'path Path, io::Result<Option<Hindrance>>)>,
) -> Looked {
    let mut hindered = Vec::new();
    let mut unread = BTreeMap::new();
    for (path, found) in looked_at {
        match found {
            Ok(None) => {}
            Ok(Some(by)) => hindered.push(Hindered {
                path: path.to_path_buf(),
                by,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                unread.insert(path.to_path_buf(), error);
            }
        }
    }
    (hindered, unread)
}

/// Opening changes nothing, and says what appending would: a file marked append-only is as good as any.
fn of_appended(root: &Root, path: &Path) -> io::Result<Option<Hindrance>> {
    let opened = root
        .place(path)
        .and_then(|place| place.open(OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK));
    let Err(error) = opened else {
        return Ok(None);
    };
    match error.kind() {
        io::ErrorKind::IsADirectory => Ok(Some(Hindrance::Directory)),
        io::ErrorKind::ReadOnlyFilesystem => Ok(Some(Hindrance::ReadOnly)),
        io::ErrorKind::PermissionDenied => {
            Ok(Some(marked(root, path).ok().flatten().unwrap_or_else(
                || Hindrance::Forbidden(error.to_string()),
            )))
        }
        _ => Err(error),
    }
}

fn of_replaced(root: &Root, path: &Path) -> io::Result<Option<Hindrance>> {
    let place = root.place(path)?;
    if look(&place)?.is_directory() {
        return Ok(Some(Hindrance::Directory));
    }
    if is_read_only(&place.open(OFlags::PATH)?)? {
        return Ok(Some(Hindrance::ReadOnly));
    }
    marked(root, path)
}

fn of_directory(root: &Root, path: &Path) -> io::Result<Option<Hindrance>> {
    let directory = root.place(path)?.open(OFlags::PATH)?;
    if is_read_only(&directory)? {
        return Ok(Some(Hindrance::ReadOnly));
    }
    if let Some(mark) = marked(root, path)? {
        return Ok(Some(mark));
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(&directory, ".", wanted, AtFlags::empty()) {
        Ok(()) => Ok(None),
        Err(Errno::ROFS) => Ok(Some(Hindrance::ReadOnly)),
        Err(error @ (Errno::ACCESS | Errno::PERM)) => Ok(Some(Hindrance::Forbidden(
            io::Error::from(error).to_string(),
        ))),
        Err(error) => Err(error.into()),
    }
}

fn look(place: &Place) -> io::Result<Found> {
    place.look()?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn is_read_only(opened: &File) -> io::Result<bool> {
    Ok(fstatvfs(opened)?.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// A file need not be writable to be replaced, but it must not be marked.
fn marked(root: &Root, path: &Path) -> io::Result<Option<Hindrance>> {
    let place = root.place(path)?;
    let found = look(&place)?;
    if !found.is_file() && !found.is_directory() {
        return Ok(None);
    }
    let opened = place.open(OFlags::RDONLY | OFlags::NONBLOCK)?;
    Ok(is_immutable(&opened)?.then_some(Hindrance::Immutable))
}
