//! A file that could not be read or changed.

use std::path::{Path, PathBuf};

/// Which file, what was tried, and why it did not work.
#[derive(Debug, thiserror::Error)]
#[error("{}: {action}: {source}", path.display())]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// What did not work, as a predicate: `could not be written`.
    pub action: &'static str,
    /// The operating system's reason.
    pub source: std::io::Error,
}

impl FileError {
    /// For `map_err`: the same error with its file and what was tried.
    pub(crate) fn of(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self {
            path,
            action,
            source,
        }
    }
}
