//! Nodes (v1).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::Api;

use super::transport::client;
use super::{Access, ApiError};
use crate::net::Address;

/// The cluster's nodes, at one API server.
#[derive(Debug, Clone)]
pub struct Nodes {
    server: Address,
    api: Api<Node>,
}

impl Nodes {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address) -> Self {
        let client = client(Arc::clone(access), server.clone());
        Self {
            server: server.clone(),
            api: Api::all(client),
        }
    }

    /// Whether the cluster has a node of that name.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn has(&self, name: &str) -> Result<bool, ApiError> {
        let found = self.api.get_metadata_opt(name).await;
        found
            .map(|found| found.is_some())
            .map_err(|error| ApiError::of(error, &self.server))
    }

    /// The annotations of the node of that name; none where there is no such node.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn annotations(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let found = self.api.get_metadata_opt(name).await;
        let found = found.map_err(|error| ApiError::of(error, &self.server))?;
        let annotations = found.and_then(|node| node.metadata.annotations);
        Ok(annotations.unwrap_or_default())
    }
}
