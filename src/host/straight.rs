//! Opening along paths without links.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;

/// A symbolic link is on the way to a file, where none was when the way was gone before.
#[derive(Debug, thiserror::Error)]
#[error("a symbolic link is in its place or on the way to it, which is not followed")]
pub struct LinkOnTheWay;

impl LinkOnTheWay {
    /// Whether an error is this one.
    #[must_use]
    pub fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|source| source.is::<Self>())
    }
}

pub(super) fn refused(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::other(LinkOnTheWay),
        error => error.into(),
    }
}

/// A directory for no other use than as the beginning of a way.
const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What a file is opened with, whatever for.
const NEVER_FOLLOWED: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

/// No link is followed, wherever in a path it is.
const STRAIGHT: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Opens what is at a path that has no links in it, nor at its end, with one question to the kernel.
///
/// # Errors
/// [`LinkOnTheWay`], else what the system says.
pub(super) fn open_straight(path: &Path, flags: OFlags) -> io::Result<File> {
    if path.file_name().is_some() {
        let flags = flags | NEVER_FOLLOWED;
        // Without a slash at the end, which would say that a directory is wanted.
        let path = path.components().as_path();
        match openat2(CWD, path, flags, Mode::empty(), STRAIGHT) {
            Ok(opened) => return Ok(File::from(opened)),
            Err(error) if is_about_the_path(error) => return Err(refused(error)),
            Err(_) => {}
        }
    }
    let (directory, name) = parted(path)?;
    opened(&directory_handle(directory)?, name, flags)
}

/// Opens a name in a directory; a symbolic link is not followed.
pub(super) fn opened(directory: &OwnedFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    let flags = flags | NEVER_FOLLOWED;
    let opened = openat(directory, name, flags, Mode::empty());
    Ok(File::from(opened.map_err(refused)?))
}

/// Whether neither the path's last name, if it is there, nor anything on the way to it is a symbolic link. `false` also where
/// that cannot be told so. What the path leads to is not opened, not even to be looked at.
pub(super) fn leads_straight(path: &Path) -> bool {
    parted(path).is_ok_and(|(directory, name)| {
        directory_handle(directory).is_ok_and(|directory| !is_link(&directory, name))
    })
}

/// The directory of a path, and the name in it.
pub(super) fn parted(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => Ok((directory, name)),
        (None, _) if path == Path::new("/") => Ok((path, OsStr::new("."))),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A handle of a directory whose path has no links in it.
pub(super) fn directory_handle(path: &Path) -> io::Result<OwnedFd> {
    // A relative path begins where this process is; only paths given by hand are.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    match openat2(CWD, path, HANDLE, Mode::empty(), STRAIGHT) {
        Ok(handle) => Ok(handle),
        Err(error) if is_about_the_path(error) => Err(refused(error)),
        Err(_) => walk(path),
    }
}

/// Whether an error of openat2's is about what it was asked for, and not from Linux before 5.6, a filter of system calls that does
/// not know it (EPERM), or a rename at the same moment (EAGAIN).
fn is_about_the_path(error: Errno) -> bool {
    !matches!(error, Errno::NOSYS | Errno::PERM | Errno::AGAIN)
}

/// The same step by step.
fn walk(path: &Path) -> io::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    let mut here = openat(CWD, start, HANDLE, Mode::empty())?;
    for component in path.components() {
        let name = match component {
            Component::RootDir | Component::CurDir => continue,
            Component::Normal(name) => name,
            // Not in a path that was resolved.
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        };
        here = match openat(&here, name, HANDLE | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(next) => next,
            Err(Errno::NOTDIR) if is_link(&here, name) => return Err(refused(Errno::LOOP)),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(here)
}

fn is_link(directory: &OwnedFd, name: &OsStr) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::symlink;

    /// Both ways of opening a directory, which must agree.
    const WAYS: [fn(&Path) -> io::Result<OwnedFd>; 2] = [directory_handle, walk];

    #[test]
    fn no_link_on_the_way_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::write(base.join("file"), "x").unwrap();
        symlink("a", base.join("link")).unwrap();
        symlink(base.join("a/b"), base.join("a/absolute")).unwrap();
        for way in WAYS {
            assert!(way(&base.join("a/b")).is_ok());
            for refused in ["link", "link/b", "a/absolute"] {
                let error = way(&base.join(refused)).unwrap_err();
                assert!(LinkOnTheWay::is_cause_of(&error), "{refused}: {error}");
            }
            let error = way(&base.join("file")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
            let error = way(&base.join("none/b")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
    }

    /// Both ways of opening what is not a directory only.
    const OPENINGS: [fn(&Path) -> io::Result<File>; 2] = [
        |path| open_straight(path, OFlags::RDONLY),
        |path| {
            let (directory, name) = parted(path)?;
            opened(&walk(directory)?, name, OFlags::RDONLY)
        },
    ];

    #[test]
    fn nothing_is_opened_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("a")).unwrap();
        std::fs::write(base.join("a/file"), "x").unwrap();
        symlink("a", base.join("link")).unwrap();
        symlink("file", base.join("a/last")).unwrap();
        for open in OPENINGS {
            for opened in ["a", "a/", "a/file", "a/file/"] {
                assert!(open(&base.join(opened)).is_ok(), "{opened}");
            }
            for refused in ["link/file", "a/last", "a/last/"] {
                let error = open(&base.join(refused)).unwrap_err();
                assert!(LinkOnTheWay::is_cause_of(&error), "{refused}");
            }
            let kind = |path: &str| open(&base.join(path)).unwrap_err().kind();
            assert_eq!(kind("a/none"), io::ErrorKind::NotFound);
            assert_eq!(kind("a/file/x"), io::ErrorKind::NotADirectory);
            assert_eq!(kind("a/.."), io::ErrorKind::InvalidInput);
        }
        for (path, straight) in [
            ("a/file", true),
            ("a/none", true),
            ("a/last", false),
            ("link/file", false),
            ("none/x", false),
        ] {
            assert_eq!(leads_straight(&base.join(path)), straight, "{path}");
        }
    }
}
