//! The directory that stands for `/`.
//!
//! Every path that kubecertd takes from its defaults, from a manifest, a kubeconfig, a kubelet
//! configuration or a symbolic link is a path of the node. [`Root`] turns it into a path of this
//! machine, once, where it is read; everywhere else paths are real. Before one is opened its links are followed below the
//! root ([`Root::resolve`]); [`crate::host`] opens nothing that has a link on its way.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::found::Found;
use super::place::Place;
use super::places::Places;
use super::read::{TO_READ, read_bounded, regular};
use super::straight::{leads_straight, open_straight};
use super::way::{Step, Way};

/// Symbolic links followed before a path is taken for a loop, as in the Linux kernel (path_resolution(7)).
const LINK_LIMIT: usize = 40;

/// The directory under which a node's file system lies; `/` for the node itself.
#[derive(Debug, Clone)]
pub struct Root {
    directory: PathBuf,
    /// Directories that are held open while one step goes over many files.
    places: Option<Arc<Places>>,
}

impl Default for Root {
    fn default() -> Self {
        Self::at(PathBuf::from("/"))
    }
}

impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        self.directory == other.directory
    }
}

impl Eq for Root {}

impl Root {
    /// The root at `directory`: absolute, so that later changes of the working directory do not matter, and without this
    /// machine's links, so that every link which turns up below it is one of the node.
    ///
    /// # Errors
    /// When the working directory cannot be read.
    pub fn new(directory: &Path) -> io::Result<Self> {
        match std::fs::canonicalize(directory) {
            Ok(real) => Ok(Self::at(real)),
            // Not there (yet): whoever opens something below it finds out.
            Err(_) => std::path::absolute(directory).map(Self::at),
        }
    }

    fn at(directory: PathBuf) -> Self {
        Self {
            directory,
            places: None,
        }
    }

    /// The same root for one step that goes over many files: each directory is opened once and held until this value is
    /// dropped, so what the step sees and does is in the directories that it met first, wherever their paths lead by then.
    /// Not to be kept: the next step makes its own, and finds out anew where the paths lead.
    #[must_use]
    pub fn holding(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            places: Some(Arc::default()),
        }
    }

    /// As [`Place::at`], in a directory that is held open where this root holds them.
    ///
    /// # Errors
    /// As [`Place::at`].
    pub fn place(&self, real: &Path) -> io::Result<Place> {
        match &self.places {
            Some(places) => places.at(real),
            None => Place::at(real),
        }
    }

    /// Opens a regular file of at most `limit` bytes to be read, at a path without links, and says what it is.
    ///
    /// # Errors
    /// As [`crate::host::read_bounded`].
    pub fn open_regular(&self, real: &Path, limit: u64) -> io::Result<(File, Found)> {
        let opened = match &self.places {
            Some(places) => places.at(real).and_then(|place| place.open(TO_READ)),
            None => open_straight(real, TO_READ),
        };
        regular(opened, limit)
    }

    /// The paths from the root's own directory, without that one, down to `real`.
    #[must_use]
    pub fn way_to(&self, real: &Path) -> Vec<PathBuf> {
        let mut way: Vec<PathBuf> = real
            .ancestors()
            .take_while(|one| *one != self.directory)
            .map(Path::to_path_buf)
            .collect();
        way.reverse();
        way
    }

    /// Whether this is the machine's own root.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.directory == Path::new("/")
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the node's path lies on this machine. `..` cannot leave the root.
    #[must_use]
    pub fn join(&self, node_path: impl AsRef<Path>) -> PathBuf {
        let mut joined = self.directory.clone();
        let mut depth = 0usize;
        for component in node_path.as_ref().components() {
            match component {
                Component::Normal(name) => {
                    joined.push(name);
                    depth += 1;
                }
                Component::ParentDir if depth > 0 => {
                    joined.pop();
                    depth -= 1;
                }
                Component::ParentDir
                | Component::CurDir
                | Component::RootDir
                | Component::Prefix(_) => {}
            }
        }
        joined
    }

    /// The node's own name for a real path: the reverse of [`Root::join`].
    #[must_use]
    pub fn node_path(&self, real: &Path) -> PathBuf {
        match real.strip_prefix(&self.directory) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => real.to_path_buf(),
        }
    }

    /// Follows every symbolic link of a real path as the node would, absolute targets starting at
    /// the root. The last component may be absent; then the path where it would be made is returned.
    ///
    /// # Errors
    /// `ELOOP` (as [`io::ErrorKind::FilesystemLoop`] or its raw error) for a loop, and whatever reading a link gives.
    pub fn resolve(&self, real: &Path) -> io::Result<PathBuf> {
        let known = self
            .straight(real)
            .or_else(|| self.in_followed_directory(real));
        match known {
            Some(known) => Ok(known),
            None => self.follow(real, &mut |_, _| Ok(())),
        }
    }

    /// Where a name leads that is no link itself, in a directory whose links were followed by this step already.
    fn in_followed_directory(&self, real: &Path) -> Option<PathBuf> {
        let places = self.places.as_ref().filter(|_| self.is_plain(real))?;
        let (directory, name) = (real.parent()?, real.file_name()?);
        let follow = || self.follow(directory, &mut |_, _| Ok(()));
        let followed = places.followed(directory, follow).ok()?;
        self.straight(&followed.join(name))
    }

    /// The path itself, where it is below the root and no link leads to it: nearly always.
    fn straight(&self, real: &Path) -> Option<PathBuf> {
        let leads_straight = || match &self.places {
            Some(places) => places
                .at(real)
                .and_then(|place| place.look())
                .is_ok_and(|found| !found.is_some_and(|found| found.is_link())),
            None => leads_straight(real),
        };
        (self.is_plain(real) && leads_straight()).then(|| real.to_path_buf())
    }

    /// Whether a path is below the root, without a step back.
    pub(crate) fn is_plain(&self, real: &Path) -> bool {
        let is_name = |component| matches!(component, Component::Normal(_));
        real.strip_prefix(&self.directory)
            .is_ok_and(|below| below.components().all(is_name))
    }

    /// Reads a regular file of at most [`crate::host::FILE_LIMIT`] bytes, following links as the node would.
    ///
    /// # Errors
    /// As [`Root::resolve`] and [`crate::host::read_bounded`].
    pub fn read(&self, real: &Path) -> io::Result<Vec<u8>> {
        read_bounded(&self.resolve(real)?)
    }

    /// Whether a directory is there, following links as the node would.
    #[must_use]
    pub fn is_directory(&self, real: &Path) -> bool {
        self.end(real)
            .is_ok_and(|(_, found)| found.is_some_and(|found| found.is_directory()))
    }

    /// What is there, without following the last name if that is a link; `None` for nothing.
    ///
    /// # Errors
    /// As [`Root::resolve`] for its directory, and what the system says.
    pub fn look(&self, real: &Path) -> io::Result<Option<Found>> {
        let (Some(directory), Some(name)) = (real.parent(), real.file_name()) else {
            return self.place(real)?.look();
        };
        // Nearly always no link is on the way, which going it finds out as well.
        if self.is_plain(real)
            && let Ok(place) = self.place(real)
        {
            return place.look();
        }
        match self.place(&self.resolve(directory)?.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            place => place?.look(),
        }
    }

    /// Where a path leads, as [`Root::resolve`] says it, and what is there; `None` for nothing.
    ///
    /// # Errors
    /// As [`Root::resolve`] and [`Root::look`].
    pub fn end(&self, real: &Path) -> io::Result<(PathBuf, Option<Found>)> {
        if self.is_plain(real)
            && let Ok(place) = self.place(real)
            && let Ok(found) = place.look()
            && !found.is_some_and(|found| found.is_link())
        {
            return Ok((real.to_path_buf(), found));
        }
        let end = self.resolve(real)?;
        let found = self.look(&end)?;
        Ok((end, found))
    }

    /// Where a path leads, with every link and directory on the way: who could have it lead elsewhere.
    ///
    /// # Errors
    /// As [`Root::resolve`], and what looking at a directory or link gives.
    pub fn way(&self, real: &Path) -> io::Result<Way> {
        // Without a link on it, it leads nowhere else, however open the directories are.
        if let Some(straight) = self.straight(real) {
            return Ok(Way::straight(straight));
        }
        let (mut links, mut directories) = (Vec::new(), Vec::new());
        let mut ends_in_link = false;
        let mut looked_at = BTreeSet::new();
        let end = self.follow(real, &mut |here, end| {
            ends_in_link |= end == Followed::LastLink;
            let directory = here.parent().unwrap_or(here);
            if looked_at.insert(directory.to_path_buf()) {
                directories.extend(step(directory)?);
            }
            if end != Followed::Nothing {
                links.extend(step(here)?);
            }
            Ok(())
        })?;
        Ok(Way {
            real: end,
            links,
            directories,
            ends_in_link,
        })
    }

    /// Follows a path; `visit` hears of each name that is looked up, by its real path.
    fn follow(
        &self,
        real: &Path,
        visit: &mut dyn FnMut(&Path, Followed) -> io::Result<()>,
    ) -> io::Result<PathBuf> {
        let relative = real.strip_prefix(&self.directory).unwrap_or(real);
        let mut waiting: Vec<OsString> = components_reversed(relative);
        let mut resolved = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = waiting.pop() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            let here = resolved.join(&name);
            let place = self.join(&here);
            match std::fs::read_link(&place) {
                Ok(target) => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
                    }
                    let is_last = waiting.is_empty();
                    visit(
                        &place,
                        if is_last {
                            Followed::LastLink
                        } else {
                            Followed::Link
                        },
                    )?;
                    if target.is_absolute() {
                        resolved = PathBuf::from("/");
                    }
                    waiting.extend(components_reversed(&target));
                }
                // Not a link, or nothing there: the caller finds out when it opens the path.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
                    ) =>
                {
                    visit(&place, Followed::Nothing)?;
                    resolved = here;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.join(resolved))
    }
}

/// What was done with a name of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Followed {
    /// It is no link.
    Nothing,
    /// It is a link, with more of the path behind it.
    Link,
    /// It is a link at the end of the path.
    LastLink,
}

fn step(path: &Path) -> io::Result<Option<Step>> {
    let found = Place::at(path)?.look()?;
    Ok(found.map(|found| Step {
        path: path.to_path_buf(),
        found,
    }))
}

fn components_reversed(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_os_string()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        })
        .collect();
    names.reverse();
    names
}

/// Reads a file of this machine at a path as a component or kubeconfig names it: links are followed as [`Root::resolve`] does.
///
/// # Errors
/// As [`Root::read`].
pub(crate) fn read_on_machine(path: &Path) -> io::Result<Vec<u8>> {
    Root::default().read(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn parent_directories_cannot_leave_the_root() {
        let root = Root::new(Path::new("/rescue")).unwrap();
        assert_eq!(
            root.join("/../../etc/passwd"),
            Path::new("/rescue/etc/passwd")
        );
        assert_eq!(
            root.node_path(Path::new("/rescue/etc/x")),
            Path::new("/etc/x")
        );
    }

    #[test]
    fn absolute_links_stay_under_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        std::fs::create_dir_all(root.join("/var/lib/kubelet/pki")).unwrap();
        symlink(
            "/var/lib/kubelet/pki/b.pem",
            root.join("/var/lib/kubelet/pki/a.pem"),
        )
        .unwrap();
        assert_eq!(
            root.resolve(&root.join("/var/lib/kubelet/pki/a.pem"))
                .unwrap(),
            root.join("/var/lib/kubelet/pki/b.pem")
        );
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        symlink("/b", root.join("/a")).unwrap();
        symlink("/a", root.join("/b")).unwrap();
        assert!(root.resolve(&root.join("/a")).is_err());
    }
}
