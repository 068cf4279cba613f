//! Why the history cannot be read or written.

use std::io;
use std::path::PathBuf;

use crate::host::FileError;
use crate::journal::TransactionError;

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum HistoryError {
    /// The file.
    #[error("{}: {source}", path.display())]
    #[strum(serialize = "history-file")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state directory could not be made.
    #[error(transparent)]
    Directory(#[from] TransactionError),
    /// A line that does not follow from the one before, or is no receipt.
    #[error("{}:{line}: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl HistoryError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.code(),
            own => own.into(),
        }
    }

    /// Whether it is only for want of room, which passes.
    #[must_use]
    pub fn is_no_room(&self) -> bool {
        let (Self::File { source, .. }
        | Self::Directory(TransactionError::File(FileError { source, .. }))) = self
        else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}
