//! The container runtime, asked over its unix socket (CRI v1 and v1alpha2).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower::service_fn;

use super::codec::{Bounded, MESSAGE_LIMIT};
use super::messages::{
    ContainerFilter, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
    ListPodSandboxResponse, PodSandbox, PodSandboxFilter, VersionRequest, VersionResponse,
};
use super::pod::sibling_names;
use super::pod::{ContainerState, PodName, PodState, SandboxState, select};
use crate::config::Restart;
use crate::node::Inventory;

/// Bound of each call, besides what the call itself is asked to wait.
pub(super) const CALL_BOUND: Duration = Duration::from_secs(5);

/// Where runtimes listen by default, the most common first.
const USUAL_SOCKETS: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/var/run/crio/crio.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
];

const NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";

/// Why the runtime did not answer.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Nothing listens on the socket.
    #[error("{}: cannot connect to the container runtime: {reason}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Something listens that is no container runtime for Kubernetes, or its interface is switched off.
    #[error("{}: speaks neither CRI v1 nor v1alpha2: {reason}", socket.display())]
    NoInterface {
        /// The socket.
        socket: PathBuf,
        /// What it answered.
        reason: String,
    },
    /// A call failed.
    #[error("{}: {call}: {reason}", socket.display())]
    Call {
        /// The socket.
        socket: PathBuf,
        /// The method.
        call: &'static str,
        /// What the runtime or the transport said.
        reason: String,
    },
}

/// The versions of the interface, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interface {
    V1,
    V1Alpha2,
}

impl Interface {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Alpha2 => "v1alpha2",
        }
    }
}

/// A connection to the container runtime. It is made anew when the runtime is restarted.
#[derive(Debug, Clone)]
pub struct ContainerRuntime {
    socket: PathBuf,
    channel: Channel,
    interface: Interface,
    name: String,
}

impl ContainerRuntime {
    /// The node's container runtime: by the configuration, else by the kubelet's, else the first of the usual sockets
    /// whose runtime knows one of the static pods, else the first that answers.
    ///
    /// # Errors
    /// [`RuntimeError`] of the first socket that was tried.
    pub async fn find(inventory: &Inventory, settings: &Restart) -> Result<Self, RuntimeError> {
        let told = settings
            .container_runtime
            .as_ref()
            .or(inventory.kubelet.container_runtime_socket.as_ref());
        if let Some(socket) = told {
            return Self::connect(socket).await;
        }
        let mut first_error = None;
        let mut first_answer = None;
        for socket in USUAL_SOCKETS.map(Path::new) {
            if !socket.exists() {
                continue;
            }
            match Self::connect(socket).await {
                Ok(runtime) if runtime.knows_one_of(inventory).await => return Ok(runtime),
                Ok(runtime) => first_answer = first_answer.or(Some(runtime)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_answer.ok_or_else(|| {
            first_error.unwrap_or_else(|| RuntimeError::Unreachable {
                socket: PathBuf::from(USUAL_SOCKETS[0]),
                reason:
                    "no socket there or at any other usual place; set restart.container-runtime"
                        .to_owned(),
            })
        })
    }

    /// Connects and finds out which version of the interface is spoken.
    ///
    /// # Errors
    /// [`RuntimeError`].
    pub async fn connect(socket: &Path) -> Result<Self, RuntimeError> {
        let unreachable = |reason: String| RuntimeError::Unreachable {
            socket: socket.to_path_buf(),
            reason,
        };
        let path = socket.to_path_buf();
        let connector = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The address is never used, but becomes the authority of every request.
        let channel = Endpoint::from_static("http://localhost")
            .connect_timeout(CALL_BOUND)
            .connect_with_connector(connector)
            .await
            .map_err(|error| unreachable(innermost(&error)))?;
        let mut runtime = Self {
            socket: socket.to_path_buf(),
            channel,
            interface: Interface::V1,
            name: String::new(),
        };
        let mut answer = runtime.version().await;
        if matches!(&answer, Err(status) if status.code() == Code::Unimplemented) {
            runtime.interface = Interface::V1Alpha2;
            answer = runtime.version().await;
        }
        let version = answer.map_err(|status| match status.code() {
            Code::Unimplemented => RuntimeError::NoInterface {
                socket: socket.to_path_buf(),
                reason: status.message().to_owned(),
            },
            _ => runtime.failed("Version", &status),
        })?;
        runtime.name = format!("{} {}", version.runtime_name, version.runtime_version);
        Ok(runtime)
    }

    /// In words: `containerd 2.1.0 (CRI v1 at /run/containerd/containerd.sock)`.
    #[must_use]
    pub fn description(&self) -> String {
        format!(
            "{} (CRI {} at {})",
            self.name,
            self.interface.name(),
            self.socket.display()
        )
    }

    /// Everything known of a pod, past containers included.
    ///
    /// # Errors
    /// [`RuntimeError::Call`].
    pub async fn pod(&self, pod: PodName<'_>) -> Result<PodState, RuntimeError> {
        let namespace = HashMap::from([(NAMESPACE_LABEL.to_owned(), pod.namespace.to_owned())]);
        let sandboxes = self.sandboxes(namespace.clone()).await?;
        let own: Vec<&PodSandbox> = select(&sandboxes, pod);
        let request = ListContainersRequest {
            filter: Some(ContainerFilter {
                label_selector: namespace,
            }),
        };
        let response: ListContainersResponse = self
            .call("ListContainers", request)
            .await
            .map_err(|status| self.failed("ListContainers", &status))?;
        let containers = response
            .containers
            .into_iter()
            .filter(|container| {
                own.iter()
                    .any(|sandbox| sandbox.id == container.pod_sandbox_id)
            })
            .map(ContainerState::from)
            .collect();
        let sandboxes = own.into_iter().map(SandboxState::from).collect();
        Ok(PodState {
            sandboxes,
            containers,
        })
    }

    async fn version(&self) -> Result<VersionResponse, Status> {
        self.call("Version", VersionRequest {}).await
    }

    async fn sandboxes(
        &self,
        label_selector: HashMap<String, String>,
    ) -> Result<Vec<PodSandbox>, RuntimeError> {
        let request = ListPodSandboxRequest {
            filter: Some(PodSandboxFilter { label_selector }),
        };
        let response: ListPodSandboxResponse = self
            .call("ListPodSandbox", request)
            .await
            .map_err(|status| self.failed("ListPodSandbox", &status))?;
        Ok(response.items)
    }

    async fn knows_one_of(&self, inventory: &Inventory) -> bool {
        let siblings = sibling_names(inventory);
        for pod in &inventory.static_pods {
            let name = PodName::new(pod, inventory, &siblings);
            if matches!(self.pod(name).await, Ok(state) if state.is_alive()) {
                return true;
            }
        }
        false
    }

    async fn call<Q, A>(&self, method: &'static str, message: Q) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.call_within(CALL_BOUND, method, message).await
    }

    pub(super) async fn call_within<Q, A>(
        &self,
        bound: Duration,
        method: &'static str,
        message: Q,
    ) -> Result<A, Status>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let path = format!("/runtime.{}.RuntimeService/{method}", self.interface.name());
        let path =
            PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
        let mut client = Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT);
        let exchange = async {
            client
                .ready()
                .await
                .map_err(|error| Status::unavailable(innermost(&error)))?;
            client
                .unary(Request::new(message), path, Bounded::<Q, A>::default())
                .await
        };
        // Here and not in the channel, whose bound would not cover waiting for it to reconnect.
        tokio::time::timeout(bound, exchange)
            .await
            .map_err(|_| Status::deadline_exceeded("no answer"))?
            .map(tonic::Response::into_inner)
    }

    pub(crate) fn failed(&self, call: &'static str, status: &Status) -> RuntimeError {
        RuntimeError::Call {
            socket: self.socket.clone(),
            call,
            reason: format!("{}: {}", status.code(), status.message()),
        }
    }
}

/// The deepest cause; tonic's own words (`transport error`) say nothing.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
