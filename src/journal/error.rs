//! Why files could not be changed.

use super::step::UndoReason;
use std::path::{Path, PathBuf};

use crate::host::FileError;

/// Each kind asks for another decision of the caller.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum TransactionError {
    /// Another process holds the lock.
    #[error("another kubecertd is at work{}; try again when it is done", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Busy {
        /// Its process id, where it can be told.
        holder: Option<u32>,
    },
    /// An earlier operation was cut off and must be recovered first.
    #[error(
        "operation {id} was interrupted; kubecertd recovers it when the daemon starts, or with `kubecertd recover`"
    )]
    Unfinished {
        /// Its id.
        id: String,
    },
    /// A file could not be read or changed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file changed between reading and replacing it; somebody else is at work.
    #[error("{}: was changed by another process meanwhile; nothing was replaced", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
    /// The journal cannot be understood beyond a torn last record.
    #[error("{}: {reason}", path.display())]
    Journal {
        /// The journal's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A rollback is done except for files that are neither what kubecertd wrote nor what was there before.
    #[error(
        "{} changed by another process since kubecertd replaced it, and left so; everything else is put back",
        in_a_row(paths)
    )]
    LeftAlone {
        /// Which files, with the others of the same certificate.
        paths: Vec<PathBuf>,
    },
    /// An installation failed after its first rename, and putting the old files back failed as well.
    #[error(
        "{cause}; putting the old files back failed as well: {undo}. The journal is kept: remove the cause, then run `kubecertd recover`"
    )]
    NotUndone {
        /// Why the installation failed.
        cause: Box<Self>,
        /// Why it could not be undone.
        undo: Box<Self>,
    },
}

fn in_a_row(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

impl From<&TransactionError> for UndoReason {
    fn from(error: &TransactionError) -> Self {
        Self {
            text: error.to_string(),
            code: Some(error.code().to_owned()),
        }
    }
}

impl TransactionError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// For `map_err`: the file and what was being done with it.
    pub(crate) fn file(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let located = FileError::of(path, action);
        move |source| Self::File(located(source))
    }
}
