//! Writing the file, into a directory that may be another user's.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::host::{FileError, LinkOnTheWay, write_atomically};

/// Why the file is not as it should be. Nothing else depends on it.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum MetricsError {
    /// Its directory is not there.
    #[error("{}: the directory is missing; make it, or correct metrics.textfile", .0.display())]
    MetricsDirectoryMissing(PathBuf),
    /// A link is on the way to it.
    #[error("{}: a link is on the way, which is not followed; name the real directory in metrics.textfile", .0.display())]
    MetricsLink(PathBuf),
    /// Its file system is read-only, to the daemon at least.
    #[error(
        "{}: it is read-only to kubecertd.service; add ReadWritePaths= with its directory in a drop-in, or correct metrics.textfile",
        .0.display()
    )]
    MetricsReadOnly(PathBuf),
    /// It cannot be written for another reason.
    #[error(transparent)]
    MetricsUnwritable(#[from] FileError),
}

impl MetricsError {
    /// Its code, which never changes: `metrics-link`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Replaces the file (0644). Links are not followed, also not those of the directory's owner: it could have any file named
/// `*.prom` replaced.
///
/// # Errors
/// [`MetricsError`].
pub fn write_metrics(path: &Path, text: &str) -> Result<(), MetricsError> {
    write_atomically(path, text.as_bytes(), 0o644).map_err(|error| {
        let path = path.to_path_buf();
        match error.source.kind() {
            _ if LinkOnTheWay::is_cause_of(&error.source) => MetricsError::MetricsLink(path),
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                MetricsError::MetricsDirectoryMissing(path)
            }
            ErrorKind::ReadOnlyFilesystem => MetricsError::MetricsReadOnly(path),
            _ => error.into(),
        }
    })
}
