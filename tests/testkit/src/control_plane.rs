//! The components of one node, as far as they can be asked: listeners that serve what was on the disk when their pod
//! started, a container runtime, a kubelet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubecertd::pki::certificates_from_pem;

use crate::cri::{self, Runtime, Shared};
use crate::kubelet::{self, Containers, Kubelet};
use crate::loopback::{NODE_ADDRESS, manifest_text, words};
use crate::node::{Node, PKI};
use crate::peer::{Clients, Handler, Listener, listen};

/// Which files each pod reads when it starts.
pub const PODS: [(&str, &[&str]); 4] = [
    (
        "etcd",
        &[
            "/etc/kubernetes/pki/etcd/server.crt",
            "/etc/kubernetes/pki/etcd/server.key",
            "/etc/kubernetes/pki/etcd/peer.crt",
            "/etc/kubernetes/pki/etcd/peer.key",
        ],
    ),
    (
        "kube-apiserver",
        &[
            "/etc/kubernetes/pki/apiserver.crt",
            "/etc/kubernetes/pki/apiserver.key",
            "/etc/kubernetes/pki/apiserver-etcd-client.crt",
            "/etc/kubernetes/pki/apiserver-etcd-client.key",
            "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
            "/etc/kubernetes/pki/apiserver-kubelet-client.key",
            "/etc/kubernetes/pki/front-proxy-client.crt",
            "/etc/kubernetes/pki/front-proxy-client.key",
        ],
    ),
    (
        "kube-controller-manager",
        &["/etc/kubernetes/controller-manager.conf"],
    ),
    ("kube-scheduler", &["/etc/kubernetes/scheduler.conf"]),
];

const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";
const GRACE: Duration = Duration::from_millis(50);

/// What a pod read: path to contents.
pub type Read = BTreeMap<&'static str, Vec<u8>>;

pub struct ControlPlane {
    runtime: Shared,
    read: Arc<Mutex<BTreeMap<&'static str, Read>>>,
    _kubelet: Kubelet,
    _listeners: Vec<Listener>,
}

impl ControlPlane {
    /// Starts the pods of the node at `root`, whose certificates are those of `authorities`. The API server gets well only
    /// with the certificate that it has now if `is_wary`.
    pub async fn start(root: &Path, authorities: &Node, is_wary: bool) -> Self {
        let runtime = Runtime::new("v1");
        let read = Arc::new(Mutex::new(BTreeMap::new()));
        let node = Parts {
            root: root.to_path_buf(),
            served: root.join("served"),
            runtime: Arc::clone(&runtime),
        };
        for (component, _) in PODS {
            read.lock().unwrap().insert(component, node.read(component));
            runtime.lock().unwrap().start(component);
        }
        let listeners = node.listen(authorities, is_wary).await;
        node.write_manifests(&listeners);
        node.write_kubeconfigs(listeners[0].port);
        for (component, _) in PODS {
            read.lock().unwrap().insert(component, node.read(component));
        }
        let socket = root.join("run/containerd/containerd.sock");
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        cri::serve(&socket, Arc::clone(&runtime));
        let started = {
            let read = Arc::clone(&read);
            move |component: &str| {
                let (name, _) = PODS
                    .into_iter()
                    .find(|(name, _)| *name == component)
                    .unwrap();
                read.lock().unwrap().insert(name, node.read(name));
            }
        };
        let kubelet = kubelet::watch(
            root.join("etc/kubernetes/manifests"),
            GRACE,
            Containers {
                runtime: Arc::clone(&runtime),
                started,
                lingers: None,
            },
        );
        Self {
            runtime,
            read,
            _kubelet: kubelet,
            _listeners: listeners,
        }
    }

    /// Pods that do not run.
    pub fn down(&self) -> BTreeSet<&'static str> {
        let runtime = self.runtime.lock().unwrap();
        let all = PODS.into_iter().map(|(component, _)| component);
        all.filter(|component| !runtime.runs(component)).collect()
    }

    /// What the pods that run now read when they started.
    pub fn read(&self) -> BTreeMap<&'static str, Read> {
        self.read.lock().unwrap().clone()
    }
}

/// The kubelet's own port, with the API server's client. One listener is enough for all nodes of the same authority.
pub async fn kubelet_port(authorities: &Node) -> Listener {
    let handler: Handler = Arc::new(|_, user| match user {
        Some(KUBELET_CLIENT) => (200, "ok".to_owned()),
        _ => (401, "Unauthorized".to_owned()),
    });
    listen(
        (NODE_ADDRESS, 10250),
        authorities.pair("apiserver"),
        Clients::may(&authorities.ca),
        true,
        handler,
    )
    .await
}

struct Parts {
    root: PathBuf,
    /// Copies of what the listeners serve.
    served: PathBuf,
    runtime: Shared,
}

impl Parts {
    fn path(&self, node_path: &str) -> PathBuf {
        self.root.join(node_path.trim_start_matches('/'))
    }

    /// As the pod does when it starts. A file may be missing only before everything is in place.
    fn read(&self, component: &str) -> Read {
        let (_, files) = PODS
            .into_iter()
            .find(|(name, _)| *name == component)
            .unwrap();
        let read: Read = files
            .iter()
            .filter_map(|path| Some((*path, fs::read(self.path(path)).ok()?)))
            .collect();
        for (path, contents) in &read {
            let served = self.served.join(path.trim_start_matches('/'));
            fs::create_dir_all(served.parent().unwrap()).unwrap();
            fs::write(served, contents).unwrap();
        }
        read
    }

    fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        let path = |end: &str| {
            let path = format!("{PKI}/{name}.{end}");
            self.served.join(path.trim_start_matches('/'))
        };
        (path("crt"), path("key"))
    }

    /// API server, etcd's clients, etcd's peers, controller-manager, scheduler.
    async fn listen(&self, authorities: &Node, is_wary: bool) -> Vec<Listener> {
        let may = Clients::may(&authorities.ca);
        let must = Clients::must(&authorities.etcd_ca);
        let etcd = || self.up("etcd", r#"{"health":"true"}"#);
        let api = self.api_server(is_wary);
        let controller_manager = self.up("kube-controller-manager", "ok");
        let scheduler = self.up("kube-scheduler", "ok");
        let own = self.pair("apiserver");
        let all = [
            (NODE_ADDRESS, own.clone(), may, api),
            ("127.0.0.1", self.pair("etcd/server"), must.clone(), etcd()),
            ("127.0.0.1", self.pair("etcd/peer"), must, etcd()),
            (
                "127.0.0.1",
                own.clone(),
                Clients::Anybody,
                controller_manager,
            ),
            ("127.0.0.1", own, Clients::Anybody, scheduler),
        ];
        let mut listeners = Vec::new();
        for (address, pair, clients, handler) in all {
            listeners.push(listen((address, 0), pair, clients, true, handler).await);
        }
        listeners
    }

    /// Answers well as long as the pod runs.
    fn up(&self, component: &'static str, answer: &'static str) -> Handler {
        let runtime = Arc::clone(&self.runtime);
        Arc::new(move |_, _| {
            if runtime.lock().unwrap().runs(component) {
                (200, answer.to_owned())
            } else {
                (503, "down".to_owned())
            }
        })
    }

    fn api_server(&self, is_wary: bool) -> Handler {
        let runtime = Arc::clone(&self.runtime);
        let certificate = self.pair("apiserver").0;
        let only = is_wary.then(|| serial(&certificate));
        Arc::new(move |request, user| {
            let is_well = only
                .as_ref()
                .is_none_or(|only| serial(&certificate) == *only);
            match user {
                _ if !runtime.lock().unwrap().runs("kube-apiserver") => (503, "down".to_owned()),
                _ if request.starts_with("GET /readyz") && is_well => (200, "ok".to_owned()),
                _ if request.starts_with("GET /readyz") => (503, "not well".to_owned()),
                None => (401, "Unauthorized".to_owned()),
                Some(user) if request.starts_with("POST ") => (
                    201,
                    format!(r#"{{"status":{{"userInfo":{{"username":"{user}"}}}}}}"#),
                ),
                Some(_) if request.starts_with("GET /api/v1/nodes/") => (
                    200,
                    r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#.to_owned(),
                ),
                Some(_) if request.contains("/kube-node-lease/leases/") => {
                    let now = jiff::Timestamp::now();
                    (200, format!(r#"{{"spec":{{"renewTime":"{now}"}}}}"#))
                }
                Some(_) => (200, "{}".to_owned()),
            }
        })
    }

    fn write_manifests(&self, listeners: &[Listener]) {
        let port = |index: usize| listeners[index].port;
        let commands = [
            vec![
                "etcd".to_owned(),
                format!("--listen-client-urls=https://127.0.0.1:{}", port(1)),
                format!("--listen-peer-urls=https://127.0.0.1:{}", port(2)),
                format!("--cert-file={PKI}/etcd/server.crt"),
                format!("--key-file={PKI}/etcd/server.key"),
                format!("--peer-cert-file={PKI}/etcd/peer.crt"),
                format!("--peer-key-file={PKI}/etcd/peer.key"),
            ],
            vec![
                "kube-apiserver".to_owned(),
                format!("--advertise-address={NODE_ADDRESS}"),
                format!("--secure-port={}", port(0)),
                format!("--tls-cert-file={PKI}/apiserver.crt"),
                format!("--tls-private-key-file={PKI}/apiserver.key"),
                format!("--etcd-certfile={PKI}/apiserver-etcd-client.crt"),
                format!("--etcd-keyfile={PKI}/apiserver-etcd-client.key"),
                format!("--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt"),
                format!("--kubelet-client-key={PKI}/apiserver-kubelet-client.key"),
                format!("--proxy-client-cert-file={PKI}/front-proxy-client.crt"),
                format!("--proxy-client-key-file={PKI}/front-proxy-client.key"),
                format!("--requestheader-client-ca-file={PKI}/front-proxy-ca.crt"),
            ],
            words(&[
                "kube-controller-manager",
                "--bind-address=127.0.0.1",
                &format!("--secure-port={}", port(3)),
                "--kubeconfig=/etc/kubernetes/controller-manager.conf",
            ]),
            words(&[
                "kube-scheduler",
                "--bind-address=127.0.0.1",
                &format!("--secure-port={}", port(4)),
                "--kubeconfig=/etc/kubernetes/scheduler.conf",
            ]),
        ];
        let directory = self.path("/etc/kubernetes/manifests");
        fs::create_dir_all(&directory).unwrap();
        for ((component, _), command) in PODS.into_iter().zip(commands) {
            let mut text = manifest_text(component, &command);
            let conf = component.trim_start_matches("kube-");
            if command.iter().any(|word| word.starts_with("--kubeconfig=")) {
                let path = format!("/etc/kubernetes/{conf}.conf");
                text = text
                    .replace(
                        "    volumeMounts:\n",
                        &format!(
                            "    volumeMounts:\n    - {{mountPath: {path}, name: kubeconfig}}\n"
                        ),
                    )
                    .replace(
                        "  volumes:\n",
                        &format!(
                            "  volumes:\n  - {{name: kubeconfig, hostPath: {{path: {path}}}}}\n"
                        ),
                    );
            }
            fs::write(directory.join(format!("{component}.yaml")), text).unwrap();
        }
    }

    /// They come from a template that knows no ports.
    fn write_kubeconfigs(&self, api_port: u16) {
        for name in KUBECONFIGS {
            let path = self.path(&format!("/etc/kubernetes/{}", name.0));
            let text = fs::read_to_string(&path).unwrap();
            let url = format!("https://{NODE_ADDRESS}:{api_port}");
            fs::write(path, text.replace(NO_PORT_YET, &url)).unwrap();
        }
    }
}

/// kubeadm's kubeconfigs and their users.
pub const KUBECONFIGS: [(&str, &str); 4] = [
    ("admin.conf", "kubernetes-admin"),
    ("super-admin.conf", "kubernetes-super-admin"),
    ("controller-manager.conf", "system:kube-controller-manager"),
    ("scheduler.conf", "system:kube-scheduler"),
];

/// Where the template's kubeconfigs lead.
pub const NO_PORT_YET: &str = "https://port.invalid";

fn serial(certificate: &Path) -> String {
    let pem = fs::read(certificate).unwrap();
    certificates_from_pem(&pem).unwrap()[0].serial.clone()
}
