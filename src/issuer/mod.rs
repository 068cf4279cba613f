//! Turning due entries into new key material.
//!
//! An [`order`](order) names one certificate, its key and its authority; what an issuer answers goes through
//! [`accept`](accept). The CA key on this node signs at once; a CA elsewhere is sent a [`request`](request), and its answer comes
//! hours or days later ([`crate::orders`]).

mod accept;
mod answered;
mod authorities;
mod error;
mod extended;
mod files;
mod fresh;
mod kubeconfig;
mod kubelet;
mod kubelet_serving;
mod local_ca;
mod old_key;
mod order;
mod request;
mod way_up;

pub use accept::accept_signed;
pub use answered::accept_answer;
pub use authorities::ReadKey;
pub use error::{FreshError, IssuanceError};
pub use extended::{
    ExtendedAuthority, extend_authority, load_signing, successor_files, with_authority,
};
pub use files::{Given, Replacement, replacements};
pub use fresh::{Fresh, issue_fresh};
pub use kubelet::{KubeletClient, kubelet_client, kubelet_files};
pub use kubelet_serving::kubelet_serving;
pub use local_ca::{issue, issue_with_keys};
pub(crate) use order::valid_from;
pub use order::{Issued, Wanted};
pub use request::{Asked, ask};
