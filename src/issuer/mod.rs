//! Turning due entries into new key material.
//!
//! An [`order`](order) names one certificate, its key and its authority; what an issuer answers goes through
//! [`accept`](accept). One kind of issuer so far: the CA key on this node.

mod accept;
mod authorities;
mod error;
mod files;
mod kubeconfig;
mod kubelet;
mod local_ca;
mod old_key;
mod order;

pub use authorities::ReadKey;
pub use error::IssuanceError;
pub use files::{Replacement, replacements};
pub use kubelet::{KubeletClient, kubelet_client};
pub use local_ca::{issue, issue_with_keys};
pub use order::{Issued, Wanted};
