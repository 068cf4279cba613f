//! The certificate requests and Nodes that an API server keeps, as lists in pages.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubecertd::pki::{KeyAlgorithm, NewLeaf, PrivateKey, SubjectAltName};
use serde_json::{Value, json};
use testkit::peer::Reply;

use crate::lease_api::{Api, status};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const NODES: &str = "/api/v1/nodes?";

/// What is kept.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) requests: BTreeMap<String, Value>,
    pub(crate) nodes: Vec<Value>,
    version: u64,
    /// So many decisions meet another write that was before them, which leaves this annotation.
    pub(crate) conflicts: u32,
    /// So many questions are too many.
    pub(crate) throttled: u32,
    /// Whether the request is gone when a decision comes.
    pub(crate) vanishes: bool,
    /// The answer to every decision.
    pub(crate) no_decision: Option<(u16, String)>,
    /// How many objects each page had.
    pub(crate) pages: Vec<usize>,
}

impl Requests {
    /// The answer, if the question is about them.
    pub(crate) fn reply(&mut self, method: &str, path: &str, body: &str) -> Option<Reply> {
        let is_list = path.starts_with(NODES);
        let rest = path.strip_prefix(REQUESTS);
        if !is_list && rest.is_none() {
            return None;
        }
        if self.throttled > 0 {
            self.throttled -= 1;
            return Some(status(429, "TooManyRequests"));
        }
        if is_list {
            let nodes = self.nodes.clone();
            return (path.contains("limit=") && !path.contains("labelSelector"))
                .then(|| self.page(path, nodes));
        }
        let rest = rest.unwrap();
        if rest.is_empty() || rest.starts_with('?') {
            let wanted =
                path.contains("fieldSelector=spec.signerName%3Dkubernetes.io%2Fkubelet-serving");
            let all = self.requests.values();
            let all = all.filter(|one| {
                !wanted || one["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
            });
            let all = all.cloned().collect();
            return Some(self.page(path, all));
        }
        let name = rest.trim_start_matches('/').trim_end_matches('?');
        Some(match (method, name.strip_suffix("/approval")) {
            ("GET", None) => match self.requests.get(name) {
                Some(request) => Reply::Answer(200, request.to_string()),
                None => status(404, "NotFound"),
            },
            ("PUT", Some(name)) => self.decide(name, body),
            _ => status(405, "MethodNotAllowed"),
        })
    }

    fn decide(&mut self, name: &str, body: &str) -> Reply {
        if let Some((code, body)) = &self.no_decision {
            return Reply::Answer(*code, body.clone());
        }
        if self.vanishes {
            self.requests.remove(name);
        }
        let new: Value = serde_json::from_str(body).unwrap();
        let Some(old) = self.requests.get_mut(name) else {
            return status(404, "NotFound");
        };
        if self.conflicts > 0 {
            self.conflicts -= 1;
            self.version += 1;
            old["metadata"]["resourceVersion"] = json!(self.version.to_string());
            return status(409, "Conflict");
        }
        if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return status(409, "Conflict");
        }
        self.version += 1;
        old["metadata"]["resourceVersion"] = json!(self.version.to_string());
        old["status"] = new["status"].clone();
        Reply::Answer(200, old.to_string())
    }

    fn page(&mut self, path: &str, all: Vec<Value>) -> Reply {
        let value = |key: &str| {
            let (_, rest) = path.split_once(&format!("{key}="))?;
            rest.split('&').next()?.parse::<usize>().ok()
        };
        let (limit, from) = (value("limit").unwrap(), value("continue").unwrap_or(0));
        let items: Vec<Value> = all.iter().skip(from).take(limit).cloned().collect();
        let next = from + items.len();
        let next = if next < all.len() {
            next.to_string()
        } else {
            String::new()
        };
        self.pages.push(items.len());
        let list = json!({
            "kind": "List", "apiVersion": "v1",
            "metadata": {"resourceVersion": "7", "continue": next}, "items": items,
        });
        Reply::Answer(200, list.to_string())
    }

    pub(crate) fn put(&mut self, name: &str, node: &str, names: &[SubjectAltName]) {
        self.version += 1;
        let object = json!({
            "kind": "CertificateSigningRequest", "apiVersion": "certificates.k8s.io/v1",
            "metadata": {
                "name": name, "uid": format!("uid-{name}"), "resourceVersion": self.version.to_string(),
                "creationTimestamp": "2026-06-01T00:00:00Z",
            },
            "spec": {
                "request": STANDARD.encode(pem(node, names)),
                "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["digital signature", "server auth"],
                "username": format!("system:node:{node}"),
                "groups": ["system:nodes", "system:authenticated"],
            },
            "status": {},
        });
        self.requests.insert(name.to_owned(), object);
    }

    pub(crate) fn put_node(&mut self, name: &str, address: &str) {
        self.nodes.push(json!({
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"podCIDR": "10.244.0.0/24"},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": address},
                    {"type": "Hostname", "address": name},
                ],
                "images": [{"names": ["registry.example/etcd:3.6.1"], "sizeBytes": 1}],
            },
        }));
    }
}

/// What a kubelet asks for.
fn pem(node: &str, names: &[SubjectAltName]) -> String {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf = NewLeaf {
        common_name: format!("system:node:{node}"),
        organizations: vec!["system:nodes".to_owned()],
        subject_alt_names: names.to_vec(),
        server_auth: true,
        client_auth: false,
    };
    leaf.request(&key).unwrap()
}

pub(crate) fn dns(name: &str) -> SubjectAltName {
    SubjectAltName::Dns(name.to_owned())
}

pub(crate) fn ip(address: &str) -> SubjectAltName {
    SubjectAltName::Ip(address.parse().unwrap())
}

/// The conditions of a request: type and reason.
pub(crate) fn conditions(api: &Api, name: &str) -> Vec<(String, String)> {
    let stored = api.stored.lock().unwrap();
    let conditions = stored.requests.requests[name]["status"]["conditions"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = conditions.as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|one| (text(&one["type"]), text(&one["reason"])))
        .collect()
}
