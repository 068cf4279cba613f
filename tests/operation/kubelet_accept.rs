//! What a control plane made for a worker's kubelet, taken on a worker that runs: proved over TLS at an API server elsewhere, and taken
//! back where that refuses it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Config;
use kubecertd::credentials::NodeFile;
use kubecertd::journal::Outcome;
use kubecertd::operation::{
    Accepted, Context, Event, Machine, OperationError, accept_kubelet, cluster_has_node,
};
use kubecertd::pki::{NewLeaf, certificates_to_pem};
use kubecertd::report::History;
use kubecertd::runtime::KubeletService;
use testkit::Node;
use testkit::kubeadm::kubeconfig_with;
use testkit::live::{leaf, never, serve_what_is_there, valid};
use testkit::loopback::serial_in;
use testkit::pair::Pair;
use testkit::peer::{Clients, Handler, Listener, listen};

const FILE: &str = "/root/w1.conf";
/// Where this worker's administrator keeps the kubelet's certificate.
const CLIENT: &str = "/etc/kubernetes/kubelet.pem";
const CONFIG: &str = "/etc/kubernetes/kubelet.conf";

struct Worker {
    tree: Arc<Node>,
    context: Context,
    server: Listener,
}

/// A worker whose certificate has so long, and an API server that refuses the certificate of a kubelet that was restarted once.
async fn worker(left: SignedDuration, refuses: bool) -> Worker {
    let tree = Arc::new(Node::with_authorities());
    let now = Timestamp::now();
    leaf(&tree, "apiserver", valid(now - hours(1), now + hours(24)));
    serve_what_is_there(&tree);
    for secret in ["ca.key", "apiserver.crt", "apiserver.key"] {
        fs::remove_file(tree.pki_path(secret)).unwrap();
    }
    let server = listen(
        ("127.0.0.1", 0),
        (tree.path("/served.crt"), tree.path("/served.key")),
        Clients::may(&tree.ca),
        true,
        api_server(&tree, refuses),
    )
    .await;
    let old = client(&tree, left);
    write(&tree, CLIENT, &(old.certificate_pem() + &old.key_pem()));
    let config = config(
        &tree,
        server.port,
        "client-certificate: kubelet.pem\n    client-key: kubelet.pem",
    );
    write(&tree, CONFIG, &config);
    tree.write_kubelet_settings("rotateCertificates: true\n");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = restart ] || exit 0\necho \"$@\" >>{}\n",
        tree.path("/told").display()
    );
    let systemctl = tree.write("/systemctl", script);
    fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(tree.path("/proc")).unwrap();
    let machine = Machine {
        kubelet: KubeletService::through(systemctl),
        processes: tree.path("/proc"),
    };
    let mut config = Config::default();
    config.restart.timeout = Duration::from_secs(2);
    let context = Context {
        machine: Some(machine),
        proof_bound: Duration::from_secs(2),
        ..Context::new(tree.root.clone(), config, None)
    };
    Worker {
        tree,
        context,
        server,
    }
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn client(tree: &Node, left: SignedDuration) -> Pair {
    let leaf = NewLeaf {
        common_name: "system:node:w1".to_owned(),
        organizations: vec!["system:nodes".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let now = Timestamp::now();
    Pair::sign(&leaf, &tree.ca, valid(now - hours(24), now + left))
}

fn config(tree: &Node, port: u16, credentials: &str) -> String {
    let ca = certificates_to_pem([tree.ca.certificate()]);
    kubeconfig_with(&ca, credentials).replace("192.0.2.10:6443", &format!("127.0.0.1:{port}"))
}

fn write(tree: &Node, path: &str, text: &str) {
    let file = tree.write(path, text);
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

fn restarts(tree: &Node) -> usize {
    let told = fs::read_to_string(tree.path("/told")).unwrap_or_default();
    told.lines().count()
}

/// Knows whoever shows a certificate of the CA, and shows that node as Ready and just heard of.
fn api_server(tree: &Arc<Node>, refuses: bool) -> Handler {
    let tree = Arc::clone(tree);
    Arc::new(move |line, client| {
        let Some(user) = client.filter(|_| !(refuses && restarts(&tree) == 1)) else {
            return (401, "Unauthorized".to_owned());
        };
        if line.contains("/selfsubjectreviews") {
            let body = format!(r#"{{"status":{{"userInfo":{{"username":"{user}"}}}}}}"#);
            return (201, body);
        }
        if line.contains("/api/v1/nodes/w1") {
            let ready = r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"w1"},
                "status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
            return (200, ready.to_owned());
        }
        if line.contains("/leases/w1") {
            let now = Timestamp::now();
            return (200, format!(r#"{{"spec":{{"renewTime":"{now}"}}}}"#));
        }
        let missing = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
        (404, missing.to_owned())
    })
}

impl Worker {
    /// Writes what a control plane made, for so long; its serial.
    fn brings(&self, left: SignedDuration) -> String {
        let pair = client(&self.tree, left);
        let [certificate, key] =
            [pair.certificate_pem(), pair.key_pem()].map(|pem| STANDARD.encode(pem));
        let credentials =
            format!("client-certificate-data: {certificate}\n    client-key-data: {key}");
        let text = config(&self.tree, self.server.port, &credentials);
        write(&self.tree, FILE, &text);
        pair.certificate.serial
    }

    async fn accept(&self, events: &mut Vec<Event>) -> Result<Accepted, OperationError> {
        let file = NodeFile::read(&self.tree.root, Path::new(FILE)).unwrap();
        let mut on = |event| events.push(event);
        accept_kubelet(&self.context, file, false, &never(), &mut on).await
    }

    fn serial(&self) -> String {
        serial_in(&self.tree.path(CLIENT))
    }

    fn outcome(&self) -> Outcome {
        let receipts = History::new(&self.context.store()).receipts().unwrap();
        assert_eq!(receipts.len(), 1);
        receipts[0].outcome.clone()
    }
}

#[tokio::test]
async fn an_api_server_elsewhere_shows_that_it_accepts_it_and_the_node_is_ready() {
    for left in [hours(-1), hours(1)] {
        let worker = worker(left, false).await;
        let new = worker.brings(hours(200));
        let mut events = Vec::new();
        let accepted = worker.accept(&mut events).await.unwrap();
        assert_eq!(worker.serial(), new);
        assert_eq!(restarts(&worker.tree), 1);
        let proofs = &accepted.report.proofs;
        assert_eq!(proofs.len(), 1, "{:?}", accepted.report);
        assert!(proofs[0].evidence.contains("system:node:w1"), "{proofs:?}");
        let is_ready = |event: &Event| matches!(event, Event::NodeReady { .. });
        assert!(events.iter().any(is_ready), "{events:?}");
        assert_eq!(worker.outcome(), Outcome::Done);
        assert!(worker.tree.path(FILE).exists(), "whoever called removes it");
        accepted.file.remove().unwrap();
        assert!(!worker.tree.path(FILE).exists());
    }
}

#[tokio::test]
async fn one_that_is_refused_goes_back_while_the_old_one_is_valid() {
    let worker = worker(hours(1), true).await;
    let old = fs::read(worker.tree.path(CLIENT)).unwrap();
    worker.brings(hours(200));
    let error = worker.accept(&mut Vec::new()).await.unwrap_err();
    assert!(
        matches!(error, OperationError::RolledBack { .. }),
        "{error}"
    );
    assert_eq!(fs::read(worker.tree.path(CLIENT)).unwrap(), old);
    assert_eq!(restarts(&worker.tree), 2);
    assert!(matches!(worker.outcome(), Outcome::RolledBack(_)));
    assert!(worker.tree.path(FILE).exists());
}

/// There is nothing to go back to, and the kubelet was restarted with it: an administrator has to look.
#[tokio::test]
async fn one_that_is_refused_stays_where_the_old_one_has_ended_and_is_said() {
    let worker = worker(hours(-1), true).await;
    let new = worker.brings(hours(200));
    let error = worker.accept(&mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
    assert_eq!(worker.serial(), new);
    assert_eq!(restarts(&worker.tree), 1);
    assert!(matches!(worker.outcome(), Outcome::Failed(_)));
    assert!(worker.tree.path(FILE).exists());
}

/// What `kubelet issue` says of a name, by an admin.conf that leads to that API server.
#[tokio::test]
async fn whether_the_cluster_has_a_node_says_the_api_server_or_nobody() {
    let worker = worker(hours(1), false).await;
    let admin = client(&worker.tree, hours(1));
    let [certificate, key] =
        [admin.certificate_pem(), admin.key_pem()].map(|pem| STANDARD.encode(pem));
    let credentials = format!("client-certificate-data: {certificate}\n    client-key-data: {key}");
    let text = config(&worker.tree, worker.server.port, &credentials);
    write(&worker.tree, "/etc/kubernetes/admin.conf", &text);
    let node = worker.context.observe();
    let asked = async |name: &str| cluster_has_node(&worker.context, &node, name).await;
    assert_eq!(asked("w1").await, Ok(true));
    assert_eq!(asked("w2").await, Ok(false));
    fs::remove_file(worker.tree.path("/etc/kubernetes/admin.conf")).unwrap();
    let reason = asked("w1").await.unwrap_err();
    assert!(reason.contains("admin.conf"), "{reason}");
}
