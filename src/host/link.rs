//! Symbolic links as files of an operation: what counts of one is where it leads.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::digest::digest as sha256;
use super::place::Place;

/// Where a link leads; `None` where there is none, or something else.
pub(crate) fn target_of(path: &Path) -> io::Result<Option<PathBuf>> {
    match Place::at(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        place => place?.link_target(),
    }
}

/// A digest that no file's contents have by chance.
pub(crate) fn digest(target: &Path) -> String {
    let mut text = b"symbolic link to ".to_vec();
    text.extend_from_slice(target.as_os_str().as_bytes());
    sha256(&text)
}

/// Makes a link under a free name, with the owner of the one whose place it takes.
pub(crate) fn make(target: &Path, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let place = Place::at(path)?;
    place.make_link(target)?;
    match (owner, place.look()?) {
        (Some(owner), Some(made)) if (made.uid, made.gid) != owner => {
            place.give_owner(owner.0, owner.1)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::super::durable;
    use super::*;

    #[test]
    fn only_links_are_links_and_differ_by_where_they_lead() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "/somewhere").unwrap();
        make(Path::new("/somewhere"), &link, None).unwrap();
        assert_eq!(target_of(&link).unwrap(), Some("/somewhere".into()));
        assert_eq!(target_of(&file).unwrap(), None);
        assert_eq!(target_of(&directory.path().join("none")).unwrap(), None);
        let digests = [&link, &file].map(|path| durable::digest_of(path).unwrap().unwrap());
        assert_eq!(digests[0], digest(Path::new("/somewhere")));
        assert_ne!(digests[0], digests[1]);
        assert!(make(Path::new("/elsewhere"), &link, None).is_err());
    }
}
