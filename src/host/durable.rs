//! The few things done to a file system here, each so that a power cut leaves it done or not done.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, fadvise};

use super::digest::copy_hashed;
use super::directory::{is_directory, names};
use super::error::FileError;
use super::link;
use super::owner::is_trusted_owner;
use super::place::Place;
use super::read::TO_READ;
use super::root::Root;
use super::straight::open_straight;

/// Threads that flush: one journal commit of the file system then covers several files, and four already give most
/// of what there is to gain.
const FLUSHERS: usize = 4;

/// Flushes a directory: the names in it are then durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), FileError> {
    open_straight(directory, OFlags::RDONLY | OFlags::NONBLOCK)
        .and_then(|opened| opened.sync_all())
        .map_err(FileError::of(directory, "could not be flushed to disk"))
}

/// Has what was written to a file put on its way to the disk, without waiting for it. Flushing is then left to wait for little:
/// the first flush of many commits what all of them need. Only a hint; what is to be durable is flushed all the same.
pub(crate) fn begin_flush(file: &File) {
    // Starts writing out what is not yet on the disk (posix_fadvise(2)); sync_file_range(2) is not to be had without unsafe code.
    if let Err(error) = fadvise(file, 0, None, Advice::DontNeed) {
        tracing::trace!(%error, "writing out could not be begun early");
    }
}

/// Flushes files and directories, several at a time.
pub(crate) fn sync_all(paths: &[PathBuf]) -> Result<(), FileError> {
    let share = paths.len().div_ceil(FLUSHERS).max(1);
    let mut shares = paths.chunks(share);
    let own = shares.next().unwrap_or_default();
    let flush = |paths: &[PathBuf]| paths.iter().try_for_each(|path| sync_directory(path));
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for share in shares {
            match std::thread::Builder::new().spawn_scoped(scope, || flush(share)) {
                Ok(thread) => threads.push(thread),
                Err(_no_thread_to_be_had) => flush(share)?,
            }
        }
        let mut result = flush(own);
        for thread in threads {
            let theirs = match thread.join() {
                Ok(theirs) => theirs,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            result = result.and(theirs);
        }
        result
    })
}

/// Makes a directory with mode 0700 where it is missing, durably.
pub(crate) fn make_private_directory(directory: &Path) -> Result<(), FileError> {
    match (make_unflushed_directory(directory)?, directory.parent()) {
        (true, Some(parent)) => sync_directory(parent),
        _ => Ok(()),
    }
}

/// Takes a directory's mode back to 0700 if others have any part in it. Where that cannot be done it is said.
///
/// # Errors
/// Where it belongs to another user: whoever owns it decides what is in it.
pub(crate) fn keep_private(directory: &Path) -> Result<(), FileError> {
    let looked_at = || FileError::of(directory, "could not be looked at");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
    let opened = open_straight(directory, flags).map_err(looked_at())?;
    let metadata = opened.metadata().map_err(looked_at())?;
    check_owner(&metadata).map_err(FileError::of(directory, "is not relied on"))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    match opened.set_permissions(Permissions::from_mode(0o700)) {
        Ok(()) => tracing::warn!(
            path = %directory.display(),
            "{}: had mode {mode:04o} and has 0700 again; it is root's alone", directory.display()
        ),
        Err(error) => tracing::warn!(
            path = %directory.display(), %error,
            "{}: has mode {mode:04o}, and it should be 0700", directory.display()
        ),
    }
    Ok(())
}

/// That what is kept of operations was written by root, or by this program's own user.
pub(crate) fn check_owner(metadata: &std::fs::Metadata) -> io::Result<()> {
    let uid = metadata.uid();
    if is_trusted_owner(uid) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "it belongs to user {uid}, who could make kubecertd change any file; see what is in it, then move it away or give it to root (chown)"
        ),
    ))
}

/// The same for a caller that flushes the parent later. Whether it was made.
pub(crate) fn make_unflushed_directory(directory: &Path) -> Result<bool, FileError> {
    match Place::at(directory).and_then(|place| place.make_directory(0o700)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_directory(directory) => {
            Ok(false)
        }
        Err(error) => Err(FileError::of(directory, "could not be made")(error)),
    }
}

/// Makes the directories above a file where they are missing, durably and with the mode of kubeadm's, 0755.
pub(crate) fn make_directories_above(file: &Path) -> Result<(), FileError> {
    let missing: Vec<&Path> = file
        .ancestors()
        .skip(1)
        .take_while(|directory| !is_directory(directory))
        .collect();
    for directory in missing.into_iter().rev() {
        Place::at(directory)
            .and_then(|place| {
                place.make_directory(0o755)?;
                // Whatever this process's umask is.
                let made = place.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
                made.set_permissions(Permissions::from_mode(0o755))
            })
            .map_err(FileError::of(directory, "could not be made"))?;
        if let Some(parent) = directory.parent() {
            sync_directory(parent)?;
        }
    }
    Ok(())
}

/// The names in a directory; none where it does not exist.
pub(crate) fn names_in(directory: &Path) -> Result<Vec<OsString>, FileError> {
    match names(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(FileError::of(directory, "could not be listed")),
    }
}

/// Renames over whatever is there. Both lie in one directory; the caller flushes it.
pub(crate) fn rename_over(from: &Path, to: &Path) -> Result<(), FileError> {
    Place::at(from)
        .and_then(|place| place.rename_over(&Place::at(to)?))
        .map_err(FileError::of(to, "could not be replaced"))
}

/// Renames unless something is there (`EEXIST`). The caller flushes both directories.
pub(crate) fn rename_if_free(from: &Path, to: &Path) -> io::Result<()> {
    Place::at(from)?.rename_if_free(&Place::at(to)?)
}

/// Whether anything, be it a dangling link, has this name.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match Place::at(path).and_then(|place| place.look()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        looked => looked.map(|found| found.is_some()),
    }
}

/// Removes a file; an error where there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    Place::at(path)?.remove()
}

/// Removes a file; whether there was one.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool, FileError> {
    match remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::of(path, "could not be removed")(error)),
    }
}

/// Opens a regular file for reading; `None` where there is none. Never waits for a fifo, never follows a link.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    regular(open_straight(path, TO_READ))
}

fn regular(opened: io::Result<File>) -> io::Result<Option<File>> {
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is no regular file",
        ));
    }
    Ok(Some(file))
}

/// A new file, mode 0600 from birth; an error where the name is taken.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    Place::at(path)?.create(0o600)
}

/// What an operation finds under a name.
pub(crate) enum There {
    /// Nothing.
    Nothing,
    /// A symbolic link, and where it leads.
    Link(PathBuf),
    /// A regular file, opened for reading.
    File(File),
}

impl There {
    /// What is there, opened where it is a regular file.
    ///
    /// # Errors
    /// As [`open_regular`], but for a link.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Self::of(open_straight(path, TO_READ), || link::target_of(path))
    }

    /// The same in a directory that this root may hold open.
    ///
    /// # Errors
    /// As [`There::at`].
    pub(crate) fn below(root: &Root, path: &Path) -> io::Result<Self> {
        match root.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            place => {
                let place = place?;
                Self::of(place.open(TO_READ), || place.link_target())
            }
        }
    }

    fn of(
        opened: io::Result<File>,
        link_target: impl FnOnce() -> io::Result<Option<PathBuf>>,
    ) -> io::Result<Self> {
        match regular(opened) {
            Ok(opened) => Ok(opened.map_or(Self::Nothing, Self::File)),
            Err(error) => match link_target() {
                Ok(Some(target)) => Ok(Self::Link(target)),
                Ok(None) | Err(_) => Err(error),
            },
        }
    }

    /// SHA-256 of a file's contents, from where it was read to so far, or what a link has in their place.
    pub(crate) fn digest(&mut self) -> io::Result<Option<String>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Link(target) => Ok(Some(link::digest(target))),
            Self::File(file) => copy_hashed(file, &mut io::sink()).map(|(digest, _)| Some(digest)),
        }
    }
}

/// SHA-256 of a regular file, or what a symbolic link has in its place; `None` where there is neither.
pub(crate) fn digest_of(path: &Path) -> Result<Option<String>, FileError> {
    There::at(path)
        .and_then(|mut there| there.digest())
        .map_err(FileError::of(path, "could not be read"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::super::digest::digest;
    use super::*;

    #[test]
    fn a_taken_name_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::write(&from, "from").unwrap();
        std::os::unix::fs::symlink("nowhere", &to).unwrap();
        let error = rename_if_free(&from, &to).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_file(&to).unwrap();
        rename_if_free(&from, &to).unwrap();
        assert_eq!(digest_of(&to).unwrap(), Some(digest(b"from")));
        assert_eq!(digest_of(&from).unwrap(), None);
    }

    #[test]
    fn only_regular_files_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_regular(&fifo).is_err());
        assert!(open_regular(directory.path()).is_err());
    }

    #[test]
    fn every_path_is_flushed_and_a_failure_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut paths: Vec<PathBuf> = (0..11)
            .map(|number| directory.path().join(number.to_string()))
            .collect();
        for path in &paths {
            std::fs::write(path, "x").unwrap();
        }
        sync_all(&paths).unwrap();
        sync_all(&[]).unwrap();
        for missing in 0..paths.len() {
            let kept = std::mem::replace(&mut paths[missing], directory.path().join("missing"));
            assert!(sync_all(&paths).is_err(), "{missing}");
            paths[missing] = kept;
        }
    }
}
