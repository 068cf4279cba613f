//! DaemonSets (apps/v1), as far as others keep their marks in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;

use super::objects::Objects;
use super::{Access, ApiError};
use crate::net::Address;

/// One namespace's DaemonSets, at one API server.
#[derive(Debug, Clone)]
pub struct DaemonSets(Objects<DaemonSet>);

impl DaemonSets {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address, namespace: &str) -> Self {
        Self(Objects::of(access, server, Some(namespace)))
    }

    /// The annotations of the one of that name; none where there is no such DaemonSet.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn annotations(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let found = self.0.metadata(name).await?;
        let annotations = found.and_then(|set| set.metadata.annotations);
        Ok(annotations.unwrap_or_default())
    }
}
