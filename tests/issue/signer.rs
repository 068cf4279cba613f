//! An API server with the certificates API, over TLS, and a signer and an approver that the test plays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{NewLeaf, SubjectAltName, Validity};
use serde_json::{Value, json};
use testkit::pair::Pair;
use testkit::peer::{Asked, Clients, Replier, Reply, listen_as};
use testkit::{Node, PKI};

use crate::away::openssl;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
pub(crate) const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
pub(crate) const OWN: &str = "example.com/own";

/// What the signer makes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signs {
    /// What is asked for.
    Well,
    /// Nothing.
    Never,
    /// For another subject.
    OtherSubject,
    /// For another key.
    OtherKey,
    /// By another CA of the same name.
    OtherAuthority,
    /// For so long that the present one ends later.
    Short,
    /// No certificate.
    Nonsense,
    /// Says that it cannot.
    Fails,
}

/// What the API server keeps, and how it behaves.
pub(crate) struct Stored {
    pub(crate) requests: BTreeMap<String, Value>,
    pub(crate) signs: Signs,
    /// Whether somebody else approves what comes.
    pub(crate) approves: bool,
    /// Whether somebody denies it.
    pub(crate) denies: bool,
    /// The answer to everything, or to every decision.
    pub(crate) instead: Option<Vec<u8>>,
    pub(crate) no_decision: Option<Vec<u8>>,
    /// Whether what is made is there, and the answer to that is lost.
    pub(crate) loses_answers: bool,
    pub(crate) silent: bool,
    /// First lines of what was asked.
    pub(crate) asked: Vec<String>,
    uids: u32,
    ca: tempfile::TempDir,
}

/// A node twenty days before the end, and that API server.
pub(crate) struct Api {
    pub(crate) node: Arc<Node>,
    pub(crate) stored: Arc<Mutex<Stored>>,
}

impl Api {
    pub(crate) fn start() -> Self {
        let node = Arc::new(Node::due());
        let ca = tempfile::tempdir().unwrap();
        for name in ["ca.crt", "ca.key"] {
            let file = format!("{}/{name}", PKI);
            std::fs::copy(node.path(&file), ca.path().join(name)).unwrap();
        }
        let stored = Arc::new(Mutex::new(Stored {
            requests: BTreeMap::new(),
            signs: Signs::Well,
            approves: false,
            denies: false,
            instead: None,
            no_decision: None,
            loses_answers: false,
            silent: false,
            asked: Vec::new(),
            uids: 0,
            ca,
        }));
        let kept = Arc::clone(&stored);
        let replier: Replier = Arc::new(move |asked| kept.lock().unwrap().reply(asked));
        let clients = Clients::may(&node.ca);
        let leaf = NewLeaf {
            common_name: "kube-apiserver".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: vec![SubjectAltName::Ip("127.0.0.1".parse().unwrap())],
            server_auth: true,
            client_auth: false,
        };
        let now = Timestamp::now();
        let validity = Validity {
            not_before: now - SignedDuration::from_hours(1),
            not_after: now + SignedDuration::from_hours(24),
        };
        let served = Pair::sign(&leaf, &node.ca, validity);
        node.write("/served.crt", served.certificate_pem());
        node.write("/served.key", served.key_pem());
        let pair = (node.path("/served.crt"), node.path("/served.key"));
        // The program is waited for by blocking, so the server has a thread of its own.
        let (says, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let listener = listen_as(("127.0.0.1", 0), pair, clients, true, replier).await;
                says.send(listener.port).unwrap();
                std::future::pending::<()>().await;
            });
        });
        let port = port.recv().unwrap();
        let command = [
            "kube-apiserver".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--client-ca-file={}/ca.crt", PKI),
        ];
        node.manifest("kube-apiserver", &command);
        let admin = node.read("/etc/kubernetes/admin.conf");
        let server = admin
            .lines()
            .find(|line| line.trim().starts_with("server:"))
            .unwrap();
        let own = format!("    server: https://127.0.0.1:{port}");
        node.write("/etc/kubernetes/admin.conf", admin.replace(server, &own));
        let api = Self { node, stored };
        api.configure(OWN, "\"controller-manager.conf\"", "approve = true\n");
        api
    }

    pub(crate) fn configure(&self, signer: &str, certificates: &str, more: &str) {
        self.node.configure(&format!(
            "[issuer.api]\nsigner-name = {signer:?}\ncertificates = [{certificates}]\n{more}"
        ));
    }

    pub(crate) fn stored(&self) -> std::sync::MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    /// One pass over the certificate, by hand; what was said.
    pub(crate) fn renew(&self) -> String {
        testkit::said(&self.node.run(&["renew", "controller-manager.conf"]))
    }

    pub(crate) fn serial(&self) -> String {
        self.node.serial("controller-manager.conf")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.stored().requests.keys().cloned().collect()
    }

    /// How many requests were made, those that came to nothing included.
    pub(crate) fn made(&self) -> usize {
        let asked = &self.stored().asked;
        asked.iter().filter(|line| line.starts_with("POST")).count()
    }

    /// The directory of the one open order.
    pub(crate) fn order(&self) -> String {
        let orders = self.node.path(crate::away::ORDERS);
        let mut names = std::fs::read_dir(orders).unwrap();
        let name = names.next().unwrap().unwrap().file_name();
        assert!(names.next().is_none());
        format!("{}/{}", crate::away::ORDERS, name.to_str().unwrap())
    }

    pub(crate) fn contact(&self) -> Value {
        let text = self.node.read(&format!("{}/contact.json", self.order()));
        serde_json::from_str(&text).unwrap()
    }

    /// The name of the first request, as whoever knew the key could tell it.
    pub(crate) fn first_name(&self) -> String {
        let text = self.node.read(&format!("{}/order.json", self.order()));
        let order: Value = serde_json::from_str(&text).unwrap();
        let text = |key: &str| order[key].as_str().unwrap().to_owned();
        format!("kubecertd-{}{}-1", text("id"), &text("publicKey")[8..16])
    }
}

impl Stored {
    fn reply(&mut self, asked: &Asked) -> Reply {
        self.asked.push(asked.line.clone());
        if self.silent {
            return Reply::Silence;
        }
        if let Some(bytes) = &self.instead {
            return Reply::Bytes(bytes.clone());
        }
        let mut words = asked.line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let name = path.split('?').next().unwrap().strip_prefix(REQUESTS);
        let Some(name) = name else {
            return status(404, "NotFound");
        };
        let name = name.trim_start_matches('/').to_owned();
        let (_, body) = asked.text.split_once("\r\n\r\n").unwrap();
        match (method, name.strip_suffix("/approval")) {
            ("POST", None) => self.make(&serde_json::from_str(body).unwrap()),
            ("GET", None) => match self.requests.get(&name).cloned() {
                Some(_) => {
                    self.go_on(&name);
                    Reply::Answer(200, self.requests[&name].to_string())
                }
                None => status(404, "NotFound"),
            },
            ("PUT", Some(name)) => self.decide(name, &serde_json::from_str(body).unwrap()),
            _ => status(405, "MethodNotAllowed"),
        }
    }

    fn make(&mut self, object: &Value) -> Reply {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if self.requests.contains_key(&name) {
            return status(409, "AlreadyExists");
        }
        self.put(&name, object.clone());
        if self.loses_answers {
            return Reply::Answer(500, String::new());
        }
        Reply::Answer(201, self.requests[&name].to_string())
    }

    /// As the API server keeps it.
    pub(crate) fn put(&mut self, name: &str, mut object: Value) {
        self.uids += 1;
        object["metadata"]["name"] = json!(name);
        object["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
        object["metadata"]["resourceVersion"] = json!(self.uids.to_string());
        object["spec"]["username"] = json!("kubernetes-admin");
        object["status"] = json!({});
        self.requests.insert(name.to_owned(), object);
    }

    fn decide(&mut self, name: &str, new: &Value) -> Reply {
        if let Some(bytes) = &self.no_decision {
            return Reply::Bytes(bytes.clone());
        }
        let Some(old) = self.requests.get_mut(name) else {
            return status(404, "NotFound");
        };
        if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return status(409, "Conflict");
        }
        old["status"] = new["status"].clone();
        Reply::Answer(200, old.to_string())
    }

    fn condition(&mut self, name: &str, kind: &str) {
        let object = self.requests.get_mut(name).unwrap();
        let condition = json!({"type": kind, "status": "True", "reason": "Played", "message": "as the test says"});
        match object["status"]["conditions"].as_array_mut() {
            Some(conditions) => conditions.push(condition),
            None => object["status"]["conditions"] = json!([condition]),
        }
    }

    fn has(&self, name: &str, kind: &str) -> bool {
        let conditions = self.requests[name]["status"]["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|one| one["type"] == kind))
    }

    /// What approver and signer have done by the time of the next look.
    fn go_on(&mut self, name: &str) {
        if self.denies && !self.has(name, "Denied") {
            self.condition(name, "Denied");
        }
        if self.approves && !self.has(name, "Approved") {
            self.condition(name, "Approved");
        }
        let is_open = self.has(name, "Approved")
            && !self.has(name, "Failed")
            && self.requests[name]["status"]["certificate"].is_null();
        match self.signs {
            Signs::Never => {}
            _ if !is_open => {}
            Signs::Fails => self.condition(name, "Failed"),
            Signs::Nonsense => self.answer(name, b"no certificate"),
            _ => {
                let certificate = self.signed(name);
                self.answer(name, &certificate);
            }
        }
    }

    fn answer(&mut self, name: &str, bytes: &[u8]) {
        let object = self.requests.get_mut(name).unwrap();
        object["status"]["certificate"] = json!(STANDARD.encode(bytes));
    }

    fn signed(&self, name: &str) -> Vec<u8> {
        let file = |name: &str| self.ca.path().join(name).to_str().unwrap().to_owned();
        let request = self.requests[name]["spec"]["request"].as_str().unwrap();
        std::fs::write(file("r.csr"), STANDARD.decode(request).unwrap()).unwrap();
        let (request, key, certificate, out) =
            (file("r.csr"), file("o.key"), file("ca.crt"), file("r.crt"));
        let other = file("o.csr");
        let mut arguments = vec![
            "x509",
            "-req",
            "-CAcreateserial",
            "-copy_extensions",
            "copyall",
        ];
        arguments.extend(["-out", &out, "-CA", &certificate]);
        let subject = match self.signs {
            Signs::OtherSubject => "/CN=system:kube-scheduler",
            _ => "/CN=system:kube-controller-manager",
        };
        let new = [
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-subj", subject,
        ];
        let usage = ["-addext", "extendedKeyUsage=clientAuth", "-out", &other];
        openssl(&[&new[..], &usage[..]].concat());
        let public = file("public.pem");
        openssl(&["req", "-in", &request, "-noout", "-pubkey", "-out", &public]);
        match self.signs {
            Signs::OtherSubject => arguments.extend(["-in", &other, "-force_pubkey", &public]),
            Signs::OtherKey => arguments.extend(["-in", &other]),
            _ => arguments.extend(["-in", &request]),
        }
        let days = if self.signs == Signs::Short {
            "10"
        } else {
            "365"
        };
        let (own_key, self_signed, foreign) = (file("ca.key"), file("f.crt"), file("f.key"));
        if self.signs == Signs::OtherAuthority {
            let begin = [
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=kubernetes",
            ];
            openssl(&[&begin[..], &["-keyout", &foreign, "-out", &self_signed]].concat());
            let place = arguments
                .iter()
                .position(|word| *word == certificate)
                .unwrap();
            arguments[place] = &self_signed;
            arguments.extend(["-CAkey", &foreign]);
        } else {
            arguments.extend(["-CAkey", &own_key]);
        }
        arguments.extend(["-days", days]);
        openssl(&arguments);
        std::fs::read(&out).unwrap()
    }
}

pub(crate) fn status(code: u16, reason: &str) -> Reply {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code});
    Reply::Answer(code, body.to_string())
}

/// A refusal with a header.
pub(crate) fn refusal(code: u16, header: &str) -> Vec<u8> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as the test says", "code": code});
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{header}\r\n{body}")
        .into_bytes()
}
