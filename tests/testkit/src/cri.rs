//! A container runtime on a unix socket: gRPC by hand over HTTP/2, with the field numbers of the published protocol.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use h2::RecvStream;
use h2::server::SendResponse;
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::{UnixListener, UnixStream};

#[derive(Clone, PartialEq, Message)]
pub struct Sandbox {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<SandboxMetadata>,
    #[prost(int32, tag = "3")]
    pub state: i32,
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    #[prost(map = "string, string", tag = "5")]
    pub labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    pub annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SandboxMetadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub uid: String,
    #[prost(string, tag = "3")]
    pub namespace: String,
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Container {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<ContainerMetadata>,
    #[prost(int32, tag = "6")]
    pub state: i32,
    #[prost(int64, tag = "7")]
    pub created_at: i64,
    #[prost(map = "string, string", tag = "8")]
    pub labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Version {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, tag = "2")]
    runtime_name: String,
    #[prost(string, tag = "3")]
    runtime_version: String,
    #[prost(string, tag = "4")]
    runtime_api_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sandboxes {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Sandbox>,
}

#[derive(Clone, PartialEq, Message)]
struct Containers {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Container>,
}

/// Of StopContainer, StopPodSandbox and RemovePodSandbox: whose first field is an id.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

/// A code of gRPC's.
const UNKNOWN: u32 = 2;

pub const READY: i32 = 0;
pub const NOT_READY: i32 = 1;
pub const RUNNING: i32 = 1;
pub const EXITED: i32 = 2;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stopping {
    #[default]
    Done,
    /// An error is the answer.
    Refused,
    /// None comes.
    Unanswered,
}

/// What the runtime holds. `failures` calls to come are answered by an error.
#[derive(Debug, Default)]
pub struct Runtime {
    pub interface: &'static str,
    pub sandboxes: Vec<Sandbox>,
    pub containers: Vec<Container>,
    pub failures: u32,
    /// What becomes of StopContainer.
    pub stopping: Stopping,
    /// Whether a container that is stopped is started anew, as a kubelet does while it has the manifest.
    pub restarts: bool,
    /// What was stopped and removed, in order: `stop etcd`, `remove etcd-cp1`.
    pub ended: Vec<String>,
    made: u64,
}

pub type Shared = Arc<Mutex<Runtime>>;

impl Runtime {
    pub fn new(interface: &'static str) -> Shared {
        Arc::new(Mutex::new(Self {
            interface,
            ..Self::default()
        }))
    }

    /// Starts a pod with one container of its name, in a new sandbox.
    pub fn start(&mut self, component: &str) {
        self.made += 1;
        let id = format!("{component}-{:020}", self.made);
        let labels = HashMap::from([
            (
                "io.kubernetes.pod.namespace".to_owned(),
                "kube-system".to_owned(),
            ),
            (
                "io.kubernetes.pod.name".to_owned(),
                format!("{component}-cp1"),
            ),
        ]);
        self.sandboxes.push(Sandbox {
            id: format!("s-{id}"),
            metadata: Some(SandboxMetadata {
                name: format!("{component}-cp1"),
                uid: format!("uid-of-{component}"),
                namespace: "kube-system".to_owned(),
                attempt: 0,
            }),
            state: READY,
            created_at: 1,
            labels: labels.clone(),
            annotations: HashMap::from([(
                "kubernetes.io/config.source".to_owned(),
                "file".to_owned(),
            )]),
        });
        self.containers.push(Container {
            pod_sandbox_id: format!("s-{id}"),
            id,
            metadata: Some(ContainerMetadata {
                name: component.to_owned(),
                attempt: 0,
            }),
            state: RUNNING,
            created_at: 1_700_000_000_000_000_000,
            labels,
        });
    }

    pub fn stop(&mut self, component: &str) {
        let full = format!("{component}-cp1");
        for sandbox in &mut self.sandboxes {
            if sandbox.metadata.as_ref().unwrap().name == full {
                sandbox.state = NOT_READY;
            }
        }
        for container in &mut self.containers {
            if container.metadata.as_ref().unwrap().name == component {
                container.state = EXITED;
            }
        }
    }

    pub fn runs(&self, component: &str) -> bool {
        self.containers.iter().any(|container| {
            container.state == RUNNING && container.metadata.as_ref().unwrap().name == component
        })
    }

    fn stop_container(&mut self, id: &str) {
        let Some(container) = self.containers.iter_mut().find(|one| one.id == id) else {
            return;
        };
        container.state = EXITED;
        let component = container.metadata.as_ref().unwrap().name.clone();
        self.ended.push(format!("stop {component}"));
        if self.restarts {
            self.start(&component);
        }
    }

    fn remove_sandbox(&mut self, id: &str) {
        if let Some(sandbox) = self.sandboxes.iter().find(|one| one.id == id) {
            let name = &sandbox.metadata.as_ref().unwrap().name;
            self.ended.push(format!("remove {name}"));
        }
        self.sandboxes.retain(|one| one.id != id);
        self.containers.retain(|one| one.pod_sandbox_id != id);
    }

    /// (status, message) of a call; `None` where it is never answered.
    fn answer(&mut self, path: &str, request: &[u8]) -> Option<(u32, Vec<u8>)> {
        if path.ends_with("/StopContainer") {
            match self.stopping {
                Stopping::Done => {}
                Stopping::Refused => return Some((UNKNOWN, Vec::new())),
                Stopping::Unanswered => return None,
            }
        }
        Some(self.answer_at_once(path, request))
    }

    fn answer_at_once(&mut self, path: &str, request: &[u8]) -> (u32, Vec<u8>) {
        const UNIMPLEMENTED: u32 = 12;
        const UNAVAILABLE: u32 = 14;
        let prefix = format!("/runtime.{}.RuntimeService/", self.interface);
        let Some(method) = path.strip_prefix(&prefix) else {
            return (UNIMPLEMENTED, Vec::new());
        };
        if self.failures > 0 {
            self.failures -= 1;
            return (UNAVAILABLE, Vec::new());
        }
        let message = match method {
            "Version" => Version {
                version: "0.1.0".to_owned(),
                runtime_name: "fakerd".to_owned(),
                runtime_version: "9.9".to_owned(),
                runtime_api_version: self.interface.to_owned(),
            }
            .encode_to_vec(),
            "ListPodSandbox" => Sandboxes {
                items: self.sandboxes.clone(),
            }
            .encode_to_vec(),
            "ListContainers" => Containers {
                containers: self.containers.clone(),
            }
            .encode_to_vec(),
            "StopContainer" => {
                self.stop_container(&id_of(request));
                Vec::new()
            }
            "StopPodSandbox" => {
                for sandbox in &mut self.sandboxes {
                    if sandbox.id == id_of(request) {
                        sandbox.state = NOT_READY;
                    }
                }
                Vec::new()
            }
            "RemovePodSandbox" => {
                self.remove_sandbox(&id_of(request));
                Vec::new()
            }
            _ => return (UNIMPLEMENTED, Vec::new()),
        };
        (0, message)
    }
}

fn id_of(request: &[u8]) -> String {
    Id::decode(request).unwrap().id
}

/// Serves until the test's runtime ends.
pub fn serve(socket: &Path, runtime: Shared) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(connection(stream, Arc::clone(&runtime)));
        }
    });
}

async fn connection(stream: UnixStream, runtime: Shared) {
    // A client that is killed is no fault of the runtime's.
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        // Not here: the rest of a request arrives only while the connection is asked for the next one.
        tokio::spawn(answer(request, respond, Arc::clone(&runtime)));
    }
}

/// Answers one request; `None` when the client is gone.
async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    runtime: Shared,
) -> Option<()> {
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    let mut received = Vec::new();
    while let Some(part) = body.data().await {
        received.extend(part.ok()?);
    }
    // Behind a byte for compression and four for the length.
    let message = received.get(5..).unwrap_or_default();
    let answer = runtime.lock().unwrap().answer(&path, message);
    let Some((status, message)) = answer else {
        return std::future::pending().await;
    };
    let head = http::Response::builder().header("content-type", "application/grpc");
    if status != 0 {
        let head = head.header("grpc-status", status).body(()).unwrap();
        respond.send_response(head, true).ok()?;
        return Some(());
    }
    let mut body = respond.send_response(head.body(()).unwrap(), false).ok()?;
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    body.send_data(Bytes::from(frame), false).ok()?;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    body.send_trailers(trailers).ok()
}
