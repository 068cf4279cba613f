//! Why credentials were not made, signed or put in place.

use std::path::PathBuf;

use crate::host::FileError;
use crate::pki::IssueError;

/// Why credentials were not made, signed or put in place. Nothing was changed then, unless it says so.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum CredentialError {
    /// A file could not be read or written.
    #[error(transparent)]
    CredentialFile(#[from] FileError),
    /// Files that would be overwritten.
    #[error("already there: {}; nothing was written. Move them away, or give other directories", listed(.0))]
    AlreadyThere(Vec<PathBuf>),
    /// kubeadm's configuration cannot be followed.
    #[error("{0}")]
    KubeadmConfiguration(String),
    /// A request is not signed.
    #[error("{}: {reason}", path.display())]
    RequestRefused {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An authority cannot sign, or is not what it should be.
    #[error("{}: {reason}", path.display())]
    AuthorityUnusable {
        /// The file that is at fault.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file with the last serial number cannot be relied on.
    #[error("{}: {reason}", path.display())]
    SerialFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A certificate, key or kubeconfig is not what it should be.
    #[error("{}: {reason}", path.display())]
    CredentialRefused {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A directory is not one to put keys into, or another process works in it.
    #[error("{}: {reason}", path.display())]
    PlaceRefused {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is nothing to do.
    #[error("{0}")]
    NothingThere(String),
    /// A certificate or request could not be made.
    #[error("{name}: {source}")]
    CredentialNotSigned {
        /// Which.
        name: String,
        /// Why.
        source: IssueError,
    },
    /// Several at once.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<Self>),
}

impl CredentialError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// One error, or all of them.
    pub(super) fn of_all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several(errors)),
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
