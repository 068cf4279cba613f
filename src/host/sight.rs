//! One look at each path, for whoever asks about many of them: a directory is opened once, and no file is looked at twice.
//!
//! What is seen so is for reporting and planning. Whoever replaces a file looks at it again, by a handle of its directory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::found::Found;
use super::root::Root;
use super::way::Way;

/// What a path leads to.
#[derive(Debug, Clone)]
pub struct Seen {
    /// How it leads there.
    pub way: Way,
    /// What is there; `None` for nothing.
    pub found: Option<Found>,
}

/// What was seen below a root so far.
#[derive(Debug)]
pub struct Sight {
    /// Holds the directories.
    root: Root,
    /// `None` for what cannot be reached.
    seen: RefCell<HashMap<PathBuf, Option<Rc<Seen>>>>,
}

impl Sight {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        Self {
            root: root.holding(),
            seen: RefCell::default(),
        }
    }

    /// How a real path leads to a file, and what is there; `None` where that cannot be found out.
    #[must_use]
    pub fn of(&self, path: &Path) -> Option<Rc<Seen>> {
        if let Some(seen) = self.seen.borrow().get(path) {
            return seen.clone();
        }
        let seen = self.look(path).map(Rc::new);
        self.seen
            .borrow_mut()
            .insert(path.to_path_buf(), seen.clone());
        seen
    }

    /// Where a path leads to; the path itself where that cannot be found out.
    #[must_use]
    pub fn real(&self, path: &Path) -> PathBuf {
        self.of(path)
            .map_or_else(|| path.to_path_buf(), |seen| seen.way.real.clone())
    }

    fn look(&self, path: &Path) -> Option<Seen> {
        if let Some(found) = self.look_straight(path) {
            let way = Way::straight(path.to_path_buf());
            return Some(Seen { way, found });
        }
        let way = self.root.way(path).ok()?;
        let found = self.root.look(&way.real).ok()?;
        Some(Seen { way, found })
    }

    /// What is at a path, if no link is on the way to it nor at its end.
    fn look_straight(&self, path: &Path) -> Option<Option<Found>> {
        if path.file_name().is_none() || !self.root.is_plain(path) {
            return None;
        }
        match self.root.place(path).and_then(|place| place.look()) {
            Ok(found) if !found.is_some_and(|found| found.is_link()) => Some(found),
            Ok(_) | Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::symlink;

    /// What is seen of a path is what asking for it alone gives.
    #[test]
    fn it_sees_what_the_root_sees() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let pki = root.join("/data/pki");
        std::fs::create_dir_all(&pki).unwrap();
        std::fs::write(pki.join("ca.crt"), "x").unwrap();
        symlink("/data/pki", root.join("/pki")).unwrap();
        symlink("ca.crt", pki.join("link.crt")).unwrap();
        symlink("/nowhere", pki.join("nowhere.crt")).unwrap();
        symlink("loop.crt", pki.join("loop.crt")).unwrap();
        let sight = Sight::new(&root);
        for path in [
            "/data/pki/ca.crt",
            "/data/pki/link.crt",
            "/data/pki/nowhere.crt",
            "/data/pki/none.crt",
            "/data/none/none.crt",
            "/pki/ca.crt",
            "/pki/link.crt",
            "/pki/loop.crt",
            "/data/pki/ca.crt/below",
            "/data/pki",
        ] {
            let path = root.join(path);
            let alone = root.way(&path).ok().and_then(|way| {
                let found = root.look(&way.real).ok()?;
                Some((way, found))
            });
            for _ in 0..2 {
                let seen = sight.of(&path).map(|seen| (seen.way.clone(), seen.found));
                assert_eq!(seen, alone, "{}", path.display());
            }
        }
    }
}
