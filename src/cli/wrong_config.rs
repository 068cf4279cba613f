//! A configuration that was refused.

use crate::config::ConfigError;

/// A configuration that was refused, with everything that is wrong in it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(super) struct WrongConfig(pub(super) Vec<ConfigError>);
