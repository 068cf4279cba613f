//! Asking the running components: whether they are well, whom they let in, which certificates they use.

mod authenticate;
mod endpoint;
mod health;
mod in_use;
mod nodes;
mod peer;
mod peers;
mod picked_up;
mod prove;
mod reachable;
mod ready;

pub use authenticate::{Authenticated, AuthenticationError, authenticate};
pub(crate) use endpoint::{health_endpoint, node_address};
pub(crate) use health::{healthy, kubelet_answers};
pub use in_use::{Seen, Usage, look_at_use};
pub use nodes::node_is_ready;
pub use peers::ControlPlanes;
pub(crate) use peers::control_planes;
pub use picked_up::picked_up;
pub use prove::{Proof, ProofError, prove};
pub use reachable::reachability;
pub(crate) use ready::Readiness;
