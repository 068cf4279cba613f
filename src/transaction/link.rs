//! Symbolic links as files of an operation: what counts of one is where it leads.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::{Path, PathBuf};

use super::durable;

/// Where a link leads; `None` where there is none, or something else.
pub(super) fn target_of(path: &Path) -> io::Result<Option<PathBuf>> {
    match std::fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        // EINVAL: it is there, but no link.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A digest that no file's contents have by chance.
pub(super) fn digest(target: &Path) -> String {
    let mut text = b"symbolic link to ".to_vec();
    text.extend_from_slice(target.as_os_str().as_bytes());
    durable::digest(&text)
}

/// Makes a link under a free name, with the owner of the one whose place it takes.
pub(super) fn make(target: &Path, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    symlink(target, path)?;
    let made = std::fs::symlink_metadata(path)?;
    match owner {
        Some((uid, gid)) if (made.uid(), made.gid()) != (uid, gid) => {
            lchown(path, Some(uid), Some(gid))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
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
