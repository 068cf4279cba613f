//! Turning due entries into new key material.
//!
//! One kind of issuer so far: the CA key on this node.

mod authorities;
mod files;
mod kubeconfig;
mod kubelet;
mod local_ca;
mod old_key;
mod order;

pub use authorities::ReadKey;
pub use files::{Replacement, replacements};
pub use kubelet::{KubeletClient, kubelet_client};
pub use local_ca::{issue, issue_and_tell};
pub use order::{IssuanceError, Issued, Wanted};
