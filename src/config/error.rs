//! What can be wrong with a configuration, said so that it can be mended.

use std::path::{Path, PathBuf};

/// One mistake, with its place.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// The key, what is wrong with it, and what would be right.
        message: String,
    },
}

impl ConfigError {
    /// The 1-based line, 0 for a mistake that concerns the whole file.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::Read { .. } => 0,
            Self::Wrong { line, .. } => *line,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::Wrong { path, .. } => path,
        }
    }
}

/// Something in a file that is valid and probably not meant.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{}:{line}:{column}: {message}", path.display())]
pub struct ConfigWarning {
    /// Which file.
    pub path: PathBuf,
    /// 1-based.
    pub line: usize,
    /// 1-based.
    pub column: usize,
    /// The key, what it leads to, and what would be right.
    pub message: String,
}
