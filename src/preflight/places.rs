//! Whether files can be replaced where they lie.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use rustix::io::Errno;

use crate::transaction::is_immutable;

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
type Found = (Vec<Hindered>, BTreeMap<PathBuf, io::Error>);

/// What keeps these files from being replaced, besides their directories.
pub(super) fn hindered_files(files: &BTreeSet<PathBuf>) -> Found {
    gathered(files.iter().map(|path| (path.as_path(), marked(path))))
}

/// What keeps names in these directories from being changed.
pub(super) fn hindered_directories(directories: &BTreeSet<PathBuf>) -> Found {
    gathered(
        directories
            .iter()
            .map(|path| (path.as_path(), of_directory(path))),
    )
}

/// What keeps the history from being written: the first file is appended to, the second one replaced.
pub(super) fn hindered_history(appended: &Path, replaced: &Path) -> Found {
    gathered([
        (appended, of_appended(appended)),
        (replaced, of_replaced(replaced)),
    ])
}

/// What is not there cannot hinder.
fn gathered<'path>(
    looked_at: impl IntoIterator<Item = (&'path Path, io::Result<Option<Hindrance>>)>,
) -> Found {
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
fn of_appended(path: &Path) -> io::Result<Option<Hindrance>> {
    let opened = File::options()
        .append(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path);
    let Err(error) = opened else {
        return Ok(None);
    };
    match error.kind() {
        io::ErrorKind::IsADirectory => Ok(Some(Hindrance::Directory)),
        io::ErrorKind::ReadOnlyFilesystem => Ok(Some(Hindrance::ReadOnly)),
        io::ErrorKind::PermissionDenied => {
            Ok(Some(marked(path).ok().flatten().unwrap_or_else(|| {
                Hindrance::Forbidden(error.to_string())
            })))
        }
        _ => Err(error),
    }
}

fn of_replaced(path: &Path) -> io::Result<Option<Hindrance>> {
    if std::fs::metadata(path)?.is_dir() {
        return Ok(Some(Hindrance::Directory));
    }
    if statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(Some(Hindrance::ReadOnly));
    }
    marked(path)
}

fn of_directory(path: &Path) -> io::Result<Option<Hindrance>> {
    if statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(Some(Hindrance::ReadOnly));
    }
    if let Some(mark) = marked(path)? {
        return Ok(Some(mark));
    }
    match access(path, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(None),
        Err(Errno::ROFS) => Ok(Some(Hindrance::ReadOnly)),
        Err(error @ (Errno::ACCESS | Errno::PERM)) => Ok(Some(Hindrance::Forbidden(
            io::Error::from(error).to_string(),
        ))),
        Err(error) => Err(error.into()),
    }
}

/// A file need not be writable to be replaced, but it must not be marked.
fn marked(path: &Path) -> io::Result<Option<Hindrance>> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Ok(None);
    }
    let opened = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW)
        .open(path)?;
    Ok(is_immutable(&opened)?.then_some(Hindrance::Immutable))
}
