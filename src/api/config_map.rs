//! ConfigMaps (v1), as far as kubeadm keeps its configuration in one.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::objects::Objects;
use super::{Access, ApiError};
use crate::net::Address;

/// One namespace's ConfigMaps, at one API server.
#[derive(Debug, Clone)]
pub struct ConfigMaps(Objects<ConfigMap>);

impl ConfigMaps {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address, namespace: &str) -> Self {
        Self(Objects::of(access, server, Some(namespace)))
    }

    /// What the one of that name has under a key; `None` where there is no such ConfigMap, or nothing in it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn text(&self, name: &str, key: &str) -> Result<Option<String>, ApiError> {
        let found = self.0.get(name).await?;
        Ok(found.and_then(|map| map.data?.remove(key)))
    }

    /// The same with the version in which it was read.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn versioned(
        &self,
        name: &str,
        key: &str,
    ) -> Result<Option<(String, String)>, ApiError> {
        let found = self.0.get(name).await?;
        Ok(found.and_then(|map| {
            let text = map.data?.remove(key)?;
            Some((map.metadata.resource_version?, text))
        }))
    }

    /// Sets what it has under a key, upon the version that was read; everything else stays.
    ///
    /// # Errors
    /// [`ApiError::ApiConflict`] where that is not the newest any more.
    pub async fn set(
        &self,
        name: &str,
        version: &str,
        (key, text): (&str, &str),
    ) -> Result<(), ApiError> {
        let patch = json!({"metadata": {"resourceVersion": version}, "data": {key: text}});
        self.0.merge(name, patch).await.map(drop)
    }
}
