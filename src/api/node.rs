//! Nodes (v1).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::objects::Objects;
use super::{Access, ApiError};
use crate::net::Address;

/// The cluster's nodes, at one API server.
#[derive(Debug, Clone)]
pub struct Nodes(Objects<Node>);

impl Nodes {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address) -> Self {
        Self(Objects::of(access, server, None))
    }

    /// Whether the cluster has a node of that name.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn has(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.0.metadata(name).await?.is_some())
    }

    /// The annotations of the node of that name; none where there is no such node.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn annotations(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let found = self.0.metadata(name).await?;
        let annotations = found.and_then(|node| node.metadata.annotations);
        Ok(annotations.unwrap_or_default())
    }
}
