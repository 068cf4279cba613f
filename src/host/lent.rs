//! A file in a directory that another user may own, read and replaced as root without relying on that user.
//!
//! Whoever owns the directory may do anything in it at any moment: put a symbolic link, a hard link to a foreign file, a FIFO or
//! a huge file in the file's place, move the directory away, swap files while they are looked at, write at the same time.
//! Therefore everything is done by one handle of the directory, whose way had no link on it; what is opened is looked at by its
//! own handle; a new file is made with a name that was free and is changed by its handle only; and the two change places, so that
//! what was there in that moment is seen and given back if it is not what was read. What the owner can still bring about, names in
//! a directory of his own that lead to other files of his own, he could without it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::Dir;
use zeroize::Zeroizing;

use super::attributes::{Attributes, is_immutable};
use super::found::Found;
use super::place::Place;
use super::read::{TO_READ, regular};
use super::straight::LinkOnTheWay;
use super::write::{is_temporary_of, temporary_beside};

/// More names than this are not looked through for what a killed process left behind.
const NAMES_LIMIT: usize = 1000;

/// Why such a file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum LentFault {
    /// It is a symbolic link, or one is on the way to it.
    #[error("a symbolic link is in its place or on the way to it, which is not followed")]
    Link,
    /// It has other names, which may be in directories of other users.
    #[error("it has {0} names (hard links), of which only one would be changed")]
    HardLinks(u64),
    /// It is marked immutable or append-only.
    #[error("it is marked immutable or append-only; `chattr -i -a` takes that away")]
    Immutable,
    /// kubectl is writing to it.
    #[error("its lock {} is there: another program is changing it, or was ended meanwhile", .0.display())]
    Locked(std::path::PathBuf),
    /// Another process changed it meanwhile.
    #[error("another process changed it at the same moment")]
    Changed,
    /// Anything else: what is no file, too large a file, no room.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A file that was read, and the directory that it is in, both held open.
#[derive(Debug)]
pub struct LentFile {
    place: Place,
    name: OsString,
    file: File,
    found: Found,
    contents: Zeroizing<Vec<u8>>,
}

impl LentFile {
    /// Opens and reads a regular file of at most `limit` bytes; `None` where nothing is. Waits for no FIFO, and for no other
    /// process that has a lease of the file.
    ///
    /// # Errors
    /// [`LentFault`].
    pub fn read(path: &Path, limit: u64) -> Result<Option<Self>, LentFault> {
        let name = path.file_name().unwrap_or(OsStr::new("."));
        let opened = Place::at(path).and_then(|place| {
            let opened = place.open(TO_READ);
            Ok((place, opened?))
        });
        let (place, opened) = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_link(&error) => return Err(LentFault::Link),
            opened => opened?,
        };
        let (file, found) = regular(Ok(opened), limit)?;
        if found.links > 1 {
            return Err(LentFault::HardLinks(found.links));
        }
        let contents = read_whole(&file, found.size)?;
        Ok(Some(Self {
            place,
            name: name.to_owned(),
            file,
            found,
            contents,
        }))
    }

    /// What is in it.
    #[must_use]
    pub fn contents(&self) -> &[u8] {
        &self.contents
    }

    /// What it is.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Puts a new file with other contents in its place, which has its owner, group, mode and extended attributes; unless it is not
    /// what was read any more.
    ///
    /// # Errors
    /// [`LentFault`]; then what was there is there.
    pub fn replace(mut self, contents: &[u8]) -> Result<(), LentFault> {
        if is_immutable(&self.file)? {
            return Err(LentFault::Immutable);
        }
        self.check_lock()?;
        let attributes = Attributes::of(&self.file)?;
        self.remove_left_behind()?;
        let temporary = self.free_name()?;
        let new = match write_new(&temporary, contents, &attributes) {
            Ok(new) => new.identity,
            Err(error) => {
                discard(&temporary);
                return Err(error.into());
            }
        };
        if !self.is_there(&self.place)? {
            discard(&temporary);
            return Err(LentFault::Changed);
        }
        match temporary.exchange(&self.place) {
            Ok(()) => self.look_back(&temporary, new)?,
            Err(error) => {
                let replaced = match error.kind() {
                    io::ErrorKind::Unsupported => temporary.rename_over(&self.place),
                    _ => Err(error),
                };
                if replaced.is_err() {
                    discard(&temporary);
                }
                replaced?;
            }
        }
        Ok(self.place.directory()?.sync_all()?)
    }

    /// Removes what had the name until then, or gives it the name back if it is not what was read. What the two names lead to is looked
    /// at first: nothing is removed that nobody has read.
    fn look_back(&mut self, temporary: &Place, new: (u64, u64)) -> Result<(), LentFault> {
        let leads_to = |place: &Place| Ok::<_, io::Error>(place.look()?.map(|one| one.identity));
        if leads_to(&self.place)? != Some(new) {
            return Err(LentFault::Changed);
        }
        if self.is_there(temporary)? && self.is_as_it_was_read()? && self.check_lock().is_ok() {
            return Ok(temporary.remove()?);
        }
        temporary.exchange(&self.place)?;
        if leads_to(temporary)? == Some(new) {
            discard(temporary);
        }
        Err(LentFault::Changed)
    }

    /// Whether what was read has that name.
    fn is_there(&self, place: &Place) -> io::Result<bool> {
        let found = place.look()?;
        Ok(found.is_some_and(|found| found.identity == self.found.identity))
    }

    /// Whether nobody wrote to it, nor gave it another owner or another mode.
    fn is_as_it_was_read(&mut self) -> io::Result<bool> {
        let now = Found::of(&self.file)?;
        let known = |found: &Found| {
            let Found {
                size,
                modified,
                uid,
                gid,
                mode,
                links,
                ..
            } = *found;
            (size, modified, uid, gid, mode, links)
        };
        if known(&now) != known(&self.found) {
            return Ok(false);
        }
        self.file.rewind()?;
        Ok(*read_whole(&self.file, now.size)? == *self.contents)
    }

    /// kubectl makes a file beside a kubeconfig while it changes it. It is not made here: after a crash it would keep its owner from
    /// every change.
    fn check_lock(&self) -> Result<(), LentFault> {
        let mut name = self.name.clone();
        name.push(".lock");
        match self.place.beside(&name).look()? {
            Some(_) => Err(LentFault::Locked(name.into())),
            None => Ok(()),
        }
    }

    fn free_name(&self) -> Result<Place, LentFault> {
        let hidden = temporary_beside(Path::new(&self.name))
            .map_err(|error| LentFault::System(error.source))?;
        Ok(self.place.beside(hidden.as_os_str()))
    }

    /// Removes what a killed process left in the place of a temporary file: it may hold a key.
    fn remove_left_behind(&self) -> io::Result<()> {
        let mut directory = Dir::new(self.place.directory()?)?;
        for entry in directory.by_ref().take(NAMES_LIMIT) {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if is_temporary_of(&self.name, name) {
                self.place.beside(name).remove()?;
            }
        }
        Ok(())
    }
}

/// Writes a new file: root's alone until its contents are whole.
fn write_new(place: &Place, contents: &[u8], attributes: &Attributes) -> io::Result<Found> {
    let mut new = place.create(0o600)?;
    new.write_all(contents)?;
    attributes.give_to(&new)?;
    new.sync_all()?;
    Found::of(&new)
}

/// Removes a temporary file after an error that is about to be reported; a second one is only logged.
fn discard(temporary: &Place) {
    if let Err(error) = temporary.remove()
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a temporary file is left behind");
    }
}

/// Reads as much as a file had when it was looked at, never into a second buffer: it may hold a key.
fn read_whole(file: &File, size: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let capacity = usize::try_from(size).unwrap_or(0).saturating_add(1);
    let mut contents = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(size).read_to_end(&mut contents)?;
    Ok(contents)
}

fn is_link(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|source| source.is::<LinkOnTheWay>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use std::os::unix::fs::{MetadataExt, PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;

    const LIMIT: u64 = 1 << 10;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("config");
        (directory, path)
    }

    fn opened(path: &Path) -> LentFile {
        LentFile::read(path, LIMIT).unwrap().unwrap()
    }

    fn names(path: &Path) -> Vec<OsString> {
        crate::host::names(path.parent().unwrap()).unwrap()
    }

    #[test]
    fn a_file_is_replaced_with_all_that_it_has_and_nothing_is_left_beside_it() {
        let (_directory, path) = directory();
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12), Some(34)).unwrap();
        }
        let before = std::fs::metadata(&path).unwrap();
        // What a killed process left.
        std::fs::write(path.with_file_name(".config.kubecertd-0"), "key").unwrap();
        std::fs::write(path.with_file_name(".other.kubecertd-0"), "key").unwrap();
        let old = opened(&path);
        assert_eq!(old.contents(), b"old");
        old.replace(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let after = std::fs::metadata(&path).unwrap();
        for of in [MetadataExt::uid, MetadataExt::gid, MetadataExt::mode] {
            assert_eq!(of(&after), of(&before));
        }
        assert_eq!(names(&path), [".other.kubecertd-0", "config"]);
    }

    #[test]
    fn what_is_no_file_of_its_own_is_refused() {
        let (directory, path) = directory();
        let refused = |path: &Path| LentFile::read(path, LIMIT).unwrap_err();
        assert!(LentFile::read(&path, LIMIT).unwrap().is_none());
        let foreign = directory.path().join("shadow");
        std::fs::write(&foreign, "root's").unwrap();

        symlink("shadow", &path).unwrap();
        assert!(matches!(refused(&path), LentFault::Link));
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&foreign, &path).unwrap();
        assert!(matches!(refused(&path), LentFault::HardLinks(2)));
        std::fs::remove_file(&path).unwrap();
        // Opening it for reading would wait for ever.
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(refused(&path).to_string(), "is a FIFO, not a file");
        std::fs::remove_file(&path).unwrap();
        let huge = File::create(&path).unwrap();
        huge.set_len(1 << 40).unwrap();
        assert!(refused(&path).to_string().starts_with("is larger than"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(refused(&path).to_string(), "is a directory, not a file");
        assert_eq!(std::fs::read(&foreign).unwrap(), b"root's");
    }

    #[test]
    fn a_directory_that_is_swapped_for_a_link_leads_nowhere_else() {
        let (directory, _) = directory();
        let base = directory.path().canonicalize().unwrap();
        for name in ["home", "foreign"] {
            std::fs::create_dir(base.join(name)).unwrap();
            std::fs::write(base.join(name).join("config"), name).unwrap();
        }
        let path = base.join("home/config");
        let read = opened(&path);
        std::fs::rename(base.join("home"), base.join("moved")).unwrap();
        symlink("foreign", base.join("home")).unwrap();
        read.replace(b"new").unwrap();
        assert_eq!(std::fs::read(base.join("moved/config")).unwrap(), b"new");
        assert_eq!(
            std::fs::read(base.join("foreign/config")).unwrap(),
            b"foreign"
        );
        assert!(matches!(
            LentFile::read(&path, LIMIT).unwrap_err(),
            LentFault::Link
        ));
    }

    #[test]
    fn what_its_owner_does_meanwhile_is_kept() {
        let (_directory, path) = directory();
        let changed = |read: LentFile| {
            let error = read.replace(b"new").unwrap_err();
            assert!(matches!(error, LentFault::Changed), "{error}");
        };
        // Written to in place, after it was read.
        std::fs::write(&path, "old").unwrap();
        let read = opened(&path);
        std::fs::write(&path, "own").unwrap();
        changed(read);
        assert_eq!(std::fs::read(&path).unwrap(), b"own");
        // Another file in its place.
        let read = opened(&path);
        std::fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        changed(read);
        assert!(path.is_symlink());
        // Nothing in its place: none is made.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "old").unwrap();
        let read = opened(&path);
        std::fs::remove_file(&path).unwrap();
        changed(read);
        assert!(names(&path).is_empty());
        // kubectl is at it.
        std::fs::write(&path, "old").unwrap();
        let read = opened(&path);
        std::fs::write(path.with_file_name("config.lock"), "").unwrap();
        let error = read.replace(b"new").unwrap_err();
        assert!(matches!(error, LentFault::Locked(_)), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&path), ["config", "config.lock"]);
    }

    /// What happens between the two changing places and the look at what came out.
    #[test]
    fn what_came_out_and_was_not_read_goes_back() {
        let (_directory, path) = directory();
        std::fs::write(&path, "old").unwrap();
        let mut read = opened(&path);
        let temporary = read.free_name().unwrap();
        let new = write_new(&temporary, b"new", &Attributes::of(&read.file).unwrap()).unwrap();
        temporary.exchange(&read.place).unwrap();
        // Its writer had it open all the time.
        let kept: PathBuf = path.with_file_name(&names(&path)[0]);
        std::fs::write(kept, "own").unwrap();
        let error = read.look_back(&temporary, new.identity).unwrap_err();
        assert!(matches!(error, LentFault::Changed), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"own");
        assert_eq!(names(&path), ["config"]);
    }
}
