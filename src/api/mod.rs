//! The Kubernetes API: what is read and written there, by the kube crate over this program's own connections, which verify the
//! server, bound every answer and leave nothing open.

mod access;
mod config_map;
mod daemon_set;
mod decision;
mod error;
mod event;
mod first_answer;
mod lease;
mod machine;
mod node;
mod node_addresses;
mod objects;
mod signing_request;
mod transport;

pub use access::Access;
pub use config_map::ConfigMaps;
pub use daemon_set::DaemonSets;
pub use decision::{Decision, DecisionKind};
pub use error::ApiError;
pub use event::{EventObject, Events};
pub use first_answer::first_answer;
pub use lease::{LeaseObject, Leases};
pub use machine::{MachineKind, Machines, certificates_expiry, text};
pub use node::{NodeObject, Nodes};
pub use node_addresses::{AddressedNode, AddressedNodeMetadata, AddressedNodeStatus, NodeAddress};
pub use signing_request::{NewSigningRequest, SigningRequestObject, SigningRequests};
