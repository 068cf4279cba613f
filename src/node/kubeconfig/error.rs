//! Why a kubeconfig cannot be used.

use crate::node::Fault;

/// Why a kubeconfig cannot be used. Positions are 1-based lines of the file.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum KubeconfigError {
    /// Not YAML or JSON, or a field of the wrong type.
    #[error("not a kubeconfig: {0}")]
    Syntax(String),
    /// current-context is empty, or names no context.
    #[error("{0}")]
    Context(String),
    /// Two entries of one name, so nobody can say which one counts.
    #[error("{0}")]
    Duplicate(String),
    /// The user has no client certificate (a token or an exec plugin, say).
    #[error("{0}")]
    NoCertificate(String),
    /// base64 or PEM damage in a data field.
    #[error("{field}: {reason}")]
    Data {
        /// `users[kubernetes-admin].client-certificate-data`
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// The edit would have changed something else, so it was not made.
    #[error("cannot edit in place: {0}")]
    Edit(String),
}

impl KubeconfigError {
    /// What is no text is no YAML either.
    #[allow(clippy::needless_pass_by_value)]
    pub(super) fn not_text(fault: Fault) -> Self {
        Self::Syntax(fault.to_string())
    }
}
