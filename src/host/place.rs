//! A name in a directory that is held open.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, Uid, chownat, mkdirat, openat, readlinkat, renameat,
    renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::found::Found;
use super::straight::{directory_handle, opened, parted, refused};

/// A name in a directory that is held open: what is done there is done in that directory, wherever its path leads by now.
#[derive(Debug)]
pub struct Place {
    directory: Arc<OwnedFd>,
    name: OsString,
}

impl Place {
    /// Opens the directory of a path that has no links in it.
    ///
    /// # Errors
    /// [`LinkOnTheWay`], else what the system says.
    pub fn at(path: &Path) -> io::Result<Self> {
        let (directory, name) = parted(path)?;
        Ok(Self::within(Arc::new(directory_handle(directory)?), name))
    }

    /// A name in a directory that is open already.
    pub(super) fn within(directory: Arc<OwnedFd>, name: &OsStr) -> Self {
        Self {
            directory,
            name: name.to_owned(),
        }
    }

    /// Opens what is there; a symbolic link is not followed.
    ///
    /// # Errors
    /// [`LinkOnTheWay`], else what the system says.
    pub fn open(&self, flags: OFlags) -> io::Result<File> {
        opened(&self.directory, &self.name, flags)
    }

    /// Makes a new file with this mode from birth, open for writing; an error where the name is taken.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(&self, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(
            &self.directory,
            &self.name,
            flags,
            Mode::from_raw_mode(mode),
        );
        Ok(File::from(opened?))
    }

    /// Makes a file without a name in the same directory, open for writing, of which nothing is left once it is closed.
    ///
    /// # Errors
    /// What the system says; not every file system can do that.
    pub fn create_nameless(&self) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(File::from(openat(&self.directory, ".", flags, mode)?))
    }

    /// Opens a file to write to it, made with this mode where it is missing. `flags` says how it is written to.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_or_create(&self, flags: OFlags, mode: u32) -> io::Result<File> {
        let flags = flags
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let opened = openat(
            &self.directory,
            &self.name,
            flags,
            Mode::from_raw_mode(mode),
        );
        Ok(File::from(opened.map_err(refused)?))
    }

    /// What is there; `None` for nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn look(&self) -> io::Result<Option<Found>> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the symbolic link there leads; `None` where there is none, or something else.
    ///
    /// # Errors
    /// What the system says.
    pub fn link_target(&self) -> io::Result<Option<PathBuf>> {
        match readlinkat(&self.directory, &self.name, Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()).into())),
            // EINVAL: it is there, but no link.
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a symbolic link; an error where the name is taken.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_link(&self, target: &Path) -> io::Result<()> {
        Ok(symlinkat(target, &self.directory, &self.name)?)
    }

    /// Gives what is there, a link itself and not what it leads to, an owner and a group.
    ///
    /// # Errors
    /// What the system says.
    pub fn give_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        Ok(chownat(
            &self.directory,
            &self.name,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Makes a directory; an error where the name is taken.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_directory(&self, mode: u32) -> io::Result<()> {
        Ok(mkdirat(
            &self.directory,
            &self.name,
            Mode::from_raw_mode(mode),
        )?)
    }

    /// Renames over whatever is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn rename_over(&self, to: &Self) -> io::Result<()> {
        Ok(renameat(
            &self.directory,
            &self.name,
            &to.directory,
            &to.name,
        )?)
    }

    /// Has two names change places, so that nothing of what both lead to is lost.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::Unsupported`] where the file system cannot do that.
    pub fn exchange(&self, with: &Self) -> io::Result<()> {
        let flags = RenameFlags::EXCHANGE;
        let (one, other) = (&self.directory, &with.directory);
        match renameat_with(one, &self.name, other, &with.name, flags) {
            Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
            exchanged => Ok(exchanged?),
        }
    }

    /// Another name in the same directory, wherever that lies by now.
    #[must_use]
    pub fn beside(&self, name: &OsStr) -> Self {
        Self::within(Arc::clone(&self.directory), name)
    }

    /// The directory itself, open to be listed or flushed.
    ///
    /// # Errors
    /// What the system says.
    pub fn directory(&self) -> io::Result<File> {
        self.beside(OsStr::new("."))
            .open(OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Renames unless something is there (`EEXIST`).
    ///
    /// # Errors
    /// What the system says.
    pub fn rename_if_free(&self, to: &Self) -> io::Result<()> {
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(&self.directory, &self.name, &to.directory, &to.name, flags) {
            Ok(()) => Ok(()),
            // Some network and overlay file systems do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if to.look()?.is_some() {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                self.rename_over(to)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.directory, &self.name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove_directory(&self) -> io::Result<()> {
        Ok(unlinkat(&self.directory, &self.name, AtFlags::REMOVEDIR)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_done_is_done_in_the_directory_that_was_opened() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("own")).unwrap();
        std::fs::create_dir_all(base.join("others")).unwrap();
        std::fs::write(base.join("others/key"), "others").unwrap();
        let place = Place::at(&base.join("own/key")).unwrap();
        std::fs::rename(base.join("own"), base.join("moved")).unwrap();
        symlink("others", base.join("own")).unwrap();
        drop(place.create(0o600).unwrap());
        assert!(base.join("moved/key").exists());
        place.remove().unwrap();
        assert_eq!(
            std::fs::read_to_string(base.join("others/key")).unwrap(),
            "others"
        );
    }

    #[test]
    fn a_taken_name_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        let (from, to) = (
            Place::at(&base.join("from")).unwrap(),
            Place::at(&base.join("to")).unwrap(),
        );
        drop(from.create(0o600).unwrap());
        to.make_link(Path::new("nowhere")).unwrap();
        let error = from.rename_if_free(&to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            to.create(0o600).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(to.link_target().unwrap(), Some("nowhere".into()));
        to.remove().unwrap();
        from.rename_if_free(&to).unwrap();
        assert_eq!(from.look().unwrap(), None);
        assert_eq!(to.look().unwrap().unwrap().mode, 0o600);
    }
}
