//! An API server that keeps one Lease, over TLS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubecertd::cluster::{Identity, LEASE, Seat, Timing};
use kubecertd::net::Address;
use kubecertd::probe::access;
use serde_json::{Value, json};
use testkit::Node;
use testkit::peer::{Asked, Clients, Listener, Replier, Reply, listen_as};

use crate::request_api::Requests;

pub(crate) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

const EVENTS: &str = "/api/v1/namespaces/default/events";

/// What the API server keeps.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) lease: Option<Value>,
    pub(crate) version: u64,
    pub(crate) uids: u64,
    /// Answers instead of everything else, that many times.
    pub(crate) instead: Option<(u32, u16, String)>,
    pub(crate) asked: Vec<String>,
    /// The bodies of all that was patched.
    pub(crate) patches: Vec<String>,
    /// The cluster's nodes.
    pub(crate) nodes: Vec<String>,
    /// The Events of the namespace `default`, by name.
    pub(crate) events: BTreeMap<String, Value>,
    /// Other objects, by their paths.
    pub(crate) others: BTreeMap<String, Value>,
    /// Certificate requests, and the Nodes that are listed.
    pub(crate) requests: Requests,
    /// The answer to every write.
    pub(crate) no_write: Option<(u16, String)>,
}

impl Stored {
    pub(crate) fn reply(&mut self, asked: &Asked) -> Reply {
        self.asked.push(asked.line.clone());
        if let Some((times, status, body)) = &mut self.instead
            && *times > 0
        {
            *times -= 1;
            return Reply::Answer(*status, body.clone());
        }
        if let Some((code, body)) = &self.no_write
            && !asked.line.starts_with("GET")
        {
            return Reply::Answer(*code, body.clone());
        }
        let mut words = asked.line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.trim_end_matches('?');
        // Only one of the two is asked for in a test.
        let path = path.replace("/leases/kubecertd-approver", "/leases/kubecertd");
        let path = path.as_str();
        let body = asked
            .text
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body);
        if method == "PATCH" {
            self.patches.push(body.to_owned());
        }
        if let Some(reply) = self.requests.reply(method, path, body) {
            return reply;
        }
        match (method, path.strip_prefix(LEASES)) {
            ("GET", Some("/kubecertd")) => match &self.lease {
                Some(lease) => Reply::Answer(200, lease.to_string()),
                None => status(404, "NotFound"),
            },
            ("POST", Some("")) if self.lease.is_some() => status(409, "AlreadyExists"),
            ("POST", Some("")) => {
                self.uids += 1;
                self.store(body, self.uids)
            }
            ("PATCH", Some("/kubecertd")) => {
                let Some(mut new) = self.lease.clone() else {
                    return status(404, "NotFound");
                };
                merge(&mut new, &serde_json::from_str(body).unwrap());
                self.store(&new.to_string(), self.uids)
            }
            ("PUT", Some("/kubecertd")) => {
                let new: Value = serde_json::from_str(body).unwrap();
                let Some(old) = &self.lease else {
                    return status(404, "NotFound");
                };
                if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
                    return status(409, "Conflict");
                }
                self.store(body, self.uids)
            }
            (method, None) if self.others.contains_key(path) => {
                let object = self.others.get_mut(path).unwrap();
                if method == "PATCH" {
                    merge(object, &serde_json::from_str(body).unwrap());
                }
                Reply::Answer(200, object.to_string())
            }
            (method, None) if path.starts_with(EVENTS) => {
                let name = path.trim_start_matches(EVENTS).trim_start_matches('/');
                self.event(method, name, body)
            }
            ("GET", None) if path.starts_with("/api/v1/nodes/") => {
                let name = path.trim_start_matches("/api/v1/nodes/");
                if !self.nodes.iter().any(|node| node == name) {
                    return status(404, "NotFound");
                }
                let node = json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"name": name},
                });
                Reply::Answer(200, node.to_string())
            }
            _ => status(404, "NotFound"),
        }
    }

    fn event(&mut self, method: &str, name: &str, body: &str) -> Reply {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let name = match method {
            "POST" => body["metadata"]["name"].as_str().unwrap(),
            _ => name,
        };
        match (method, self.events.get_mut(name)) {
            ("POST", Some(_)) => status(409, "AlreadyExists"),
            ("POST", None) => {
                self.events.insert(name.to_owned(), body.clone());
                Reply::Answer(201, body.to_string())
            }
            ("GET", Some(event)) => Reply::Answer(200, event.to_string()),
            ("PATCH", Some(event)) => {
                merge(event, &body);
                Reply::Answer(200, event.to_string())
            }
            _ => status(404, "NotFound"),
        }
    }

    pub(crate) fn store(&mut self, body: &str, uid: u64) -> Reply {
        let mut lease: Value = serde_json::from_str(body).unwrap();
        self.version += 1;
        lease["metadata"]["uid"] = json!(format!("uid-{uid}"));
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        Reply::Answer(200, lease.to_string())
    }
}

/// A JSON merge patch (RFC 7386).
fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}

pub(crate) fn status(code: u16, reason: &str) -> Reply {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason} \u{1b}[31m"), "reason": reason, "code": code,
    });
    Reply::Answer(code, body.to_string())
}

pub(crate) struct Api {
    pub(crate) node: Node,
    pub(crate) stored: Arc<Mutex<Stored>>,
    pub(crate) listener: Listener,
}

impl Api {
    pub(crate) async fn start() -> Self {
        let node = Node::with_authorities();
        node.leaf("apiserver", &node.ca, "kube-apiserver");
        node.leaf("admin", &node.ca, "kubernetes-admin");
        let stored: Arc<Mutex<Stored>> = Arc::default();
        let kept = Arc::clone(&stored);
        let replier: Replier = Arc::new(move |asked| kept.lock().unwrap().reply(asked));
        let pair = node.pair("apiserver");
        let clients = Clients::may(&node.ca);
        let listener = listen_as(("127.0.0.1", 0), pair, clients, true, replier).await;
        Self {
            node,
            stored,
            listener,
        }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let data = |path: PathBuf| STANDARD.encode(std::fs::read(path).unwrap());
        let (certificate, key) = self.node.pair("admin");
        let ca = self.node.pair("ca").0;
        let path = self.node.path("/etc/kubernetes/admin.conf");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority-data: {}}}}}]\n\
             users: [{{name: u, user: {{client-certificate-data: {}, client-key-data: {}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            self.listener.port,
            data(ca),
            data(certificate),
            data(key),
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn seat(&self, node: &str) -> Seat {
        let access = access(&self.kubeconfig()).unwrap();
        Seat {
            lease: LEASE,
            me: Identity {
                node: node.into(),
                boot: "boot".into(),
            },
            timing: Timing::of(Duration::from_secs(20)),
            known: None,
            patience: Duration::from_secs(900),
            access: Arc::new(access),
            servers: vec![Address {
                host: "127.0.0.1".into(),
                port: self.listener.port,
            }],
        }
    }

    pub(crate) fn lease(&self) -> Value {
        self.stored.lock().unwrap().lease.clone().unwrap()
    }

    pub(crate) fn instead(&self, times: u32, code: u16, body: impl Into<String>) {
        self.stored.lock().unwrap().instead = Some((times, code, body.into()));
    }
}
