//! What Nodes say of their addresses, without the rest, which is long.

use serde::Deserialize;

use jiff::Timestamp;

/// A Node as far as it is looked at here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct AddressedNode {
    /// What the API server keeps of it.
    #[serde(default)]
    pub metadata: AddressedNodeMetadata,
    /// What its kubelet, or the cloud's controller, wrote.
    #[serde(default)]
    pub status: AddressedNodeStatus,
}

/// `metadata`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddressedNodeMetadata {
    /// Its name.
    pub name: String,
    /// When it was made, by the API server's clock.
    pub creation_timestamp: Option<Timestamp>,
    /// Since when it is being removed.
    pub deletion_timestamp: Option<Timestamp>,
}

/// `status`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AddressedNodeStatus {
    /// Its addresses and names.
    pub addresses: Vec<NodeAddress>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NodeAddress {
    /// `InternalIP`, `Hostname`
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What is said.
    #[serde(default)]
    pub address: String,
}
