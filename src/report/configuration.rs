//! What `config check -o json` prints.

use std::path::PathBuf;

use crate::config::{ConfigError, ConfigWarning};

/// What is wrong with a configuration, and what is odd about it.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationView {
    api_version: &'static str,
    kind: &'static str,
    /// The files that were read; none where something is wrong.
    files: Vec<String>,
    errors: Vec<MistakeView>,
    warnings: Vec<MistakeView>,
}

#[derive(Debug, Clone, serde::Serialize)]
struct MistakeView {
    code: &'static str,
    path: String,
    /// 1-based; absent where the whole file is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    message: String,
}

impl ConfigurationView {
    /// What loading yielded.
    #[must_use]
    pub fn new(files: &[PathBuf], errors: &[ConfigError], warnings: &[ConfigWarning]) -> Self {
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "Configuration",
            files: files
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            errors: errors.iter().map(MistakeView::from).collect(),
            warnings: warnings.iter().map(MistakeView::from).collect(),
        }
    }
}

impl From<&ConfigError> for MistakeView {
    fn from(error: &ConfigError) -> Self {
        let path = error.path().display().to_string();
        let code = error.code();
        match error {
            ConfigError::Read { reason, .. } => Self {
                code,
                path,
                line: None,
                column: None,
                message: reason.clone(),
            },
            ConfigError::Wrong {
                line,
                column,
                message,
                ..
            } => Self {
                code,
                path,
                line: Some(*line),
                column: Some(*column),
                message: message.clone(),
            },
        }
    }
}

impl From<&ConfigWarning> for MistakeView {
    fn from(warning: &ConfigWarning) -> Self {
        Self {
            code: warning.code(),
            path: warning.path.display().to_string(),
            line: Some(warning.line),
            column: Some(warning.column),
            message: warning.message.clone(),
        }
    }
}
