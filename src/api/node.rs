//! Nodes (v1).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use kube::Resource as _;

use super::objects::Objects;
use super::{Access, AddressedNode, ApiError};
use crate::net::Address;

/// What kubeadm labels its control planes with.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// So many of them are looked at; etcd itself advises against more than seven members.
const MOST: u32 = 32;

/// A node as it was read.
pub type NodeObject = Node;

/// The cluster's nodes, at one API server.
#[derive(Debug, Clone)]
pub struct Nodes(Objects<Node>, Objects<AddressedNode>);

impl Nodes {
    /// Nothing is asked yet.
    #[must_use]
    pub fn at(access: &Arc<Access>, server: &Address) -> Self {
        let path = Node::url_path(&(), None);
        Self(
            Objects::of(access, server, None),
            Objects::at(access, server, path),
        )
    }

    /// Shows every node of the cluster with its addresses, a page at a time.
    ///
    /// # Errors
    /// [`ApiError`]: then some may have been shown.
    pub async fn each_addressed(&self, see: impl FnMut(AddressedNode)) -> Result<(), ApiError> {
        self.1.each(None, see).await
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

    /// The control planes.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn control_planes(&self) -> Result<Vec<NodeObject>, ApiError> {
        self.0.labelled(CONTROL_PLANE, MOST).await
    }
}
