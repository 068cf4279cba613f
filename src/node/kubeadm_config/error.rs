//! A configuration of kubeadm that cannot be followed.

use std::path::PathBuf;

/// Which file, and what is wrong with it: a sentence that says what would be right, with the line where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct KubeadmConfigError {
    /// The node's path of the file.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl KubeadmConfigError {
    pub(super) fn new(path: PathBuf, reason: String) -> Self {
        Self { path, reason }
    }
}
