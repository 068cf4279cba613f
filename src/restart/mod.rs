//! Restarting static pods and proving that the new certificates are in use.
//!
//! Watches real containers through the container runtime, real processes where there is none, health endpoints and
//! TLS handshakes. Moving a manifest is the transaction's work; here is when.

mod addresses;
mod authenticate;
mod containers;
mod endpoint;
mod error;
mod health;
mod http;
mod in_use;
mod ladder;
mod member;
mod nodes;
mod outlook;
mod parked;
mod peer;
mod peers;
mod picked_up;
mod process;
mod progress;
mod prove;
mod reachable;
mod ready;
mod returning;
mod runtime;
mod sequence;
mod service;
mod tls;
mod tls_words;
mod together;
mod wait;
mod watch;
mod witness;

use std::io;
use std::path::Path;

use crate::root::Root;

pub use addresses::{
    Needed, Resolved, Unresolved, Wanted, known_control_planes, needed, resolve, wanted,
};
pub use authenticate::{Authenticated, AuthenticationError, authenticate};
pub use endpoint::Address;
pub use error::RestartError;
pub use in_use::{Seen, Usage, look_at_use};
pub use ladder::Rung;
pub use nodes::node_is_ready;
pub use outlook::outlook;
pub use picked_up::picked_up;
pub use progress::{Progress, RestartReport};
pub use prove::{Proof, ProofError, prove};
pub use reachable::reachability;
pub use runtime::{
    ContainerPhase, ContainerRuntime, ContainerState, PodName, PodState, RuntimeError, SandboxState,
};
pub use sequence::Restarter;
pub use service::{KubeletService, ServiceError};
pub use tls::{Identity, IdentityError, Served, TlsError, handshake};
pub(crate) use wait::stopped;

/// Reads a file of the node that runs on this machine, whose root is the node's own; links are followed below it.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    Root::default().read(path)
}
