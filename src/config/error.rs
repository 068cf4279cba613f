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
        /// What kind of mistake it is.
        mistake: Mistake,
        /// The key, what is wrong with it, and what would be right.
        message: String,
    },
}

/// Kinds of mistakes. `docs/codes.md` lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Mistake {
    /// The file cannot be read.
    ConfigUnreadable,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not TOML.
    NotToml,
    /// There is no such section.
    UnknownSection,
    /// A section has no such key.
    UnknownKey,
    /// A table, a list of tables or a value where another of them belongs.
    WrongShape,
    /// A table may not have that name.
    WrongTableName,
    /// A value of another type.
    WrongType,
    /// A word that is not one of those that are possible.
    UnknownWord,
    /// A value that is not possible.
    WrongValue,
    /// A table lacks a key that it has to have.
    MissingKey,
    /// Two values that do not fit together.
    Contradiction,
}

/// Kinds of what is valid and probably not meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Oddity {
    /// `before` is longer than has an effect.
    BeforeTooLong,
    /// `jitter` is longer than has an effect.
    JitterTooLong,
    /// `log.level` names something that logs nothing.
    UnmatchedTarget,
    /// Nothing, or something else, is at a path.
    PathAbsent,
    /// This node has no such certificate.
    UnknownCertificate,
}

impl ConfigError {
    /// Whether a file is no TOML at that place.
    pub(super) fn is_syntax(&self) -> bool {
        matches!(
            self,
            Self::Wrong {
                mistake: Mistake::NotToml,
                ..
            }
        )
    }

    /// The kind, which never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => Mistake::ConfigUnreadable,
            Self::Wrong { mistake, .. } => *mistake,
        }
        .into()
    }

    /// The 1-based line, 0 for a mistake that concerns the whole file.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::Read { .. } => 0,
            Self::Wrong { line, .. } => *line,
        }
    }

    /// The 1-based column in that line, in the same way.
    pub(super) fn column(&self) -> usize {
        match self {
            Self::Read { .. } => 0,
            Self::Wrong { column, .. } => *column,
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
    /// What kind it is.
    pub oddity: Oddity,
    /// The key, what it leads to, and what would be right.
    pub message: String,
}

impl ConfigWarning {
    /// The kind, which never changes its meaning.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.oddity.into()
    }
}
