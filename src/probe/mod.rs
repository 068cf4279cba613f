//! Asking the running components: whether they are well, whom they let in, which certificates they use.

mod api_servers;
mod authenticate;
mod endpoint;
mod etcd;
mod health;
mod in_memory;
mod in_use;
mod kubelet_saw;
mod nodes;
mod peer;
mod peers;
mod picked_up;
mod port;
mod prove;
mod reachable;
mod ready;
mod served_at;

pub use api_servers::api_servers;
pub use authenticate::{Authenticated, AuthenticationError, access, authenticate};
pub(crate) use endpoint::{
    API_SERVER, ETCD, addresses_of_flag, health_endpoint, kubelet_address, node_address, reachable,
    runs, serving_endpoints,
};
pub use etcd::EtcdError;
pub(crate) use etcd::{
    AlarmRequest, AlarmResponse, Askable, EtcdClient, Member, MoveLeaderRequest,
    MoveLeaderResponse, StatusRequest, StatusResponse, Way, client_address,
};
pub(crate) use health::{healthy, kubelet_answers};
pub use in_memory::{InMemory, look_in_memory};
pub use in_use::{Seen, Usage, look_at_use, running_since};
pub use nodes::node_is_ready;
pub use peers::ControlPlanes;
pub(crate) use peers::{control_planes, known_members, named_members};
pub use picked_up::{Patience, PickedUp, api_release, picked_up};
pub(crate) use port::{ApiServerPort, api_server_port};
pub use prove::{Proof, ProofError, prove};
pub use reachable::reachability;
pub(crate) use ready::Readiness;
pub(crate) use served_at::{address_of, answering};
