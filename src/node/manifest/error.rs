//! Why a manifest cannot be used.

use crate::node::Fault;

/// Why a manifest is not a pod.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    /// Neither UTF-8 nor UTF-16.
    #[error("{0}")]
    Binary(String),
    /// Not YAML.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// It begins as JSON does, so the kubelet reads it as such, and is none.
    #[error("not JSON, as which the kubelet reads what begins with {{: {0}")]
    Json(String),
    /// Well-formed, but no Pod.
    #[error("not a Pod: {0}")]
    NotAPod(String),
    /// An annotation cannot be set without changing something else.
    #[error("cannot be edited in place: {0}")]
    Edit(String),
}

impl ManifestError {
    #[allow(clippy::needless_pass_by_value)]
    pub(super) fn not_text(fault: Fault) -> Self {
        Self::Binary(fault.to_string())
    }
}
