//! A file in a directory that another user may own, read and replaced as root without relying on that user.
//!
//! Whoever owns the directory may do anything in it at any moment: put a symbolic link, a hard link to a foreign file, a FIFO or
//! a huge file in the file's place, move the directory away, swap files while they are looked at, write at the same time.
//! Therefore everything is done by one handle of the directory, whose way had no link on it; what is opened is looked at by its
//! own handle; a new file is made with a name that was free and is changed by its handle only; and the two change places, so that
//! what was there in that moment is seen and given back if it is not what was read. What the owner can still bring about, names in
//! a directory of his own that lead to other files of his own, he could without it.

mod fault;
mod left_behind;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::attributes::{Attributes, is_immutable};
use super::found::Found;
use super::place::Place;
use super::read::{TO_READ, regular};
use super::straight::LinkOnTheWay;
use super::write::temporary_beside;

pub use fault::LentFault;
pub use left_behind::LeftBehind;

/// A file that was read, and the directory that it is in, both held open.
#[derive(Debug)]
pub struct LentFile {
    place: Place,
    name: OsString,
    file: File,
    found: Found,
    contents: Zeroizing<Vec<u8>>,
}

/// A new file that has not the name yet that it is to have. It is held open: as long as it is, no other is this one.
struct New {
    place: Place,
    file: File,
    identity: (u64, u64),
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
            Err(error) if LinkOnTheWay::is_cause_of(&error) => return Err(LentFault::Link),
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
    /// what was read any more, or `is_awaited` says that nobody waits for it any more: before anything is written, and once more before
    /// the two change places, since every step may take as long as the directory's owner likes.
    ///
    /// # Errors
    /// [`LentFault`]; then what was there is there, and nothing beside it.
    pub fn replace(
        mut self,
        contents: &[u8],
        is_awaited: &dyn Fn() -> bool,
    ) -> Result<(), LentFault> {
        if is_immutable(&self.file)? {
            return Err(LentFault::Immutable);
        }
        self.check_lock()?;
        let attributes = Attributes::of(&self.file)?;
        if !is_awaited() {
            return Err(LentFault::Abandoned);
        }
        LeftBehind::of(&self.place, &self.name)?.remove()?;
        let mut new = self.make_new()?;
        let replaced = new
            .write(contents, &attributes)
            .map_err(LentFault::from)
            .and_then(|()| self.put(&new, is_awaited));
        if replaced.is_err() {
            new.discard();
        }
        replaced?;
        // What a crash could take back now is the directory's entry alone: the next look finds either file as it found this one.
        if let Err(error) = self.place.directory().and_then(|one| one.sync_all()) {
            tracing::debug!(%error, "a directory could not be flushed");
        }
        Ok(())
    }

    /// Puts a file that is whole in the place of what was read.
    fn put(&mut self, new: &New, is_awaited: &dyn Fn() -> bool) -> Result<(), LentFault> {
        if !self.is_there(&self.place)? {
            return Err(LentFault::Changed);
        }
        if !is_awaited() {
            return Err(LentFault::Abandoned);
        }
        match new.place.exchange(&self.place) {
            Ok(()) => self.look_back(new),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.put_over(new),
            Err(error) => Err(error.into()),
        }
    }

    /// The same where two names cannot change places: what is there then is gone, so it is looked at in the last moment.
    fn put_over(&mut self, new: &New) -> Result<(), LentFault> {
        self.check_lock()?;
        if !self.is_as_it_was_read()? || !self.is_there(&self.place)? {
            return Err(LentFault::Changed);
        }
        Ok(new.place.rename_over(&self.place)?)
    }

    /// Removes what had the name until then, or gives it the name back if it is not what was read, or cannot be looked at or removed.
    fn look_back(&mut self, new: &New) -> Result<(), LentFault> {
        let removed = self.remove_what_came_out(new);
        if removed.is_err() && new.is_at(&self.place)? {
            new.place.exchange(&self.place)?;
        }
        removed
    }

    /// Nothing is removed that nobody has read.
    fn remove_what_came_out(&mut self, new: &New) -> Result<(), LentFault> {
        if !self.is_there(&new.place)? || !self.is_as_it_was_read()? {
            return Err(LentFault::Changed);
        }
        if new.is_at(&self.place)? {
            self.check_lock()?;
            return Ok(new.place.remove()?);
        }
        // Whoever has put another over the new one has put it over the old one.
        new.place.remove()?;
        Err(LentFault::Changed)
    }

    /// Whether what was read has that name.
    fn is_there(&self, place: &Place) -> io::Result<bool> {
        has(place, self.found.identity)
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

    /// An empty file under a free name: root's alone until its contents are whole.
    fn make_new(&self) -> Result<New, LentFault> {
        let hidden = temporary_beside(Path::new(&self.name))
            .map_err(|error| LentFault::System(error.source))?;
        let place = self.place.beside(hidden.as_os_str());
        let file = place.create(0o600)?;
        let identity = Found::of(&file)?.identity;
        Ok(New {
            place,
            file,
            identity,
        })
    }
}

impl New {
    fn write(&mut self, contents: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.file.write_all(contents)?;
        attributes.give_to(&self.file)?;
        self.file.sync_all()
    }

    /// Whether it has that name.
    fn is_at(&self, place: &Place) -> io::Result<bool> {
        has(place, self.identity)
    }

    /// Removes it after an error that is about to be reported; a second one is only logged.
    fn discard(&self) {
        let removed = self.is_at(&self.place).and_then(|is_there| {
            if is_there {
                self.place.remove()
            } else {
                Ok(())
            }
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "a temporary file is left behind");
        }
    }
}

/// Whether a name leads to the file of this identity.
fn has(place: &Place, identity: (u64, u64)) -> io::Result<bool> {
    Ok(place
        .look()?
        .is_some_and(|found| found.identity == identity))
}

/// Reads as much as a file had when it was looked at, never into a second buffer: it may hold a key.
fn read_whole(file: &File, size: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let capacity = usize::try_from(size).unwrap_or(0).saturating_add(1);
    let mut contents = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(size).read_to_end(&mut contents)?;
    Ok(contents)
}

#[cfg(test)]
mod tests;
