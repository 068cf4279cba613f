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

/// What keeps these files and directories from being changed. Each is looked at once; what is not there cannot hinder.
/// Paths that could not be looked at come second.
pub(super) fn hindered(
    files: &BTreeSet<PathBuf>,
    directories: &BTreeSet<PathBuf>,
) -> (Vec<Hindered>, BTreeMap<PathBuf, io::Error>) {
    let mut hindered = Vec::new();
    let mut unread = BTreeMap::new();
    let looked_at = directories
        .iter()
        .map(|path| (path, of_directory(path)))
        .chain(files.iter().map(|path| (path, marked(path))));
    for (path, found) in looked_at {
        match found {
            Ok(None) => {}
            Ok(Some(by)) => hindered.push(Hindered {
                path: path.clone(),
                by,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                unread.insert(path.clone(), error);
            }
        }
    }
    (hindered, unread)
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
