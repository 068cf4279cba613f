//! Writing one file so that at every instant it is either the old one or the new one.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::durable;
use super::error::FileError;

/// What temporary names contain.
const MARK: &str = ".kubecertd-";

/// Replaces `path` (or makes it with `mode`): temporary file beside it with `mode` from birth, fsync, rename, fsync of the
/// directory. For kubecertd's own files; those of the cluster go through an operation.
///
/// # Errors
/// [`FileError`].
pub fn write_atomically(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = temporary_beside(path)?;
    let written = durable::create_private(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    });
    let replaced = written
        .map_err(FileError::of(path, "could not be written"))
        .and_then(|()| durable::rename_over(&temporary, path));
    if let Err(error) = replaced {
        discard(&temporary);
        return Err(error);
    }
    path.parent().map_or(Ok(()), durable::sync_directory)
}

/// A free name beside a file, hidden and therefore ignored by the kubelet.
pub(crate) fn temporary_beside(path: &Path) -> Result<PathBuf, FileError> {
    let mut random = [0u8; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|error| {
        FileError::of(path, "no random name could be made for")(std::io::Error::other(error))
    })?;
    hidden_beside(path, &format!("{:016x}", u64::from_ne_bytes(random)))
}

/// `.NAME.kubecertd-ENDING` beside a file.
pub(crate) fn hidden_beside(path: &Path, ending: &str) -> Result<PathBuf, FileError> {
    let Some(name) = path.file_name() else {
        return Err(FileError::of(path, "is not the name of a file")(
            std::io::ErrorKind::InvalidInput.into(),
        ));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(MARK);
    hidden.push(ending);
    Ok(path.with_file_name(hidden))
}

/// Whether a name is one of [`temporary_beside`] for a file of that name, or of any name.
pub(super) fn is_temporary(name: &OsStr, of: Option<&OsStr>) -> bool {
    let text = name.to_str().and_then(|text| text.strip_prefix('.'));
    text.and_then(|text| text.split_once(MARK))
        .is_some_and(|(stem, _)| of.is_none_or(|of| of == stem))
}

/// Removes what a crash left of [`temporary_beside`] names: of one file, or of every file of the directory.
pub(crate) fn remove_temporaries(directory: &Path, of: Option<&OsStr>) -> Result<(), FileError> {
    for name in durable::names_in(directory)? {
        if is_temporary(&name, of) {
            durable::remove_if_there(&directory.join(&name))?;
        }
    }
    Ok(())
}

/// Removes a temporary file after an error which is about to be reported; a second one is only logged.
pub(crate) fn discard(temporary: &Path) {
    if let Err(error) = durable::remove_if_there(temporary) {
        tracing::warn!(%error, "a temporary file is left behind");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn the_file_is_replaced_with_the_mode_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        for (contents, mode) in [("one", 0o600), ("two", 0o644)] {
            write_atomically(&path, contents.as_bytes(), mode).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), contents);
            let now = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(now & 0o7777, mode);
        }
        assert_eq!(
            durable::names_in(directory.path()).unwrap(),
            ["status.json"]
        );
    }

    #[test]
    fn a_failure_leaves_the_old_one_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("x"), "x").unwrap();
        write_atomically(&path, b"new", 0o600).unwrap_err();
        assert_eq!(durable::names_in(directory.path()).unwrap(), ["taken"]);
        write_atomically(&directory.path().join("missing/x"), b"new", 0o600).unwrap_err();
    }

    #[test]
    fn only_temporaries_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etcd.yaml");
        for name in [
            temporary_beside(&path).unwrap(),
            temporary_beside(&directory.path().join("other.yaml")).unwrap(),
            path.clone(),
            directory.path().join(".hidden"),
        ] {
            std::fs::write(name, "x").unwrap();
        }
        remove_temporaries(directory.path(), path.file_name()).unwrap();
        assert_eq!(durable::names_in(directory.path()).unwrap().len(), 3);
        remove_temporaries(directory.path(), None).unwrap();
        assert_eq!(
            durable::names_in(directory.path()).unwrap(),
            [".hidden", "etcd.yaml"]
        );
    }
}
