//! Whether an API server still takes requests.

use std::io;

use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::endpoint::{API_SERVER, api_server_address, runs};
use crate::net::Address;
use crate::node::StaticPod;

/// A port of this machine refuses at once or not at all.
const BOUND: Duration = Duration::from_millis(500);

/// Where an API server of this node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiServerPort(Address);

/// Where the pod listens; `None` if it is no API server, or serves no TLS.
pub(crate) fn api_server_port(pod: &StaticPod) -> Option<ApiServerPort> {
    if !runs(pod, API_SERVER) {
        return None;
    }
    api_server_address(pod).map(ApiServerPort)
}

impl ApiServerPort {
    /// Whether connections are refused there. What cannot be found out counts as open.
    pub(crate) async fn is_closed(&self) -> bool {
        let Address { host, port } = &self.0;
        let connected = timeout(BOUND, TcpStream::connect((host.as_str(), *port))).await;
        matches!(connected, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}
