//! Proofs against components that really listen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kubecertd::config::{Restart, RestartMode};
use kubecertd::probe::{Proof, ProofError, authenticate, prove};
use testkit::loopback::{NODE_ADDRESS, ids, serial_in, words};
use testkit::peer::{Clients, Handler, Listener, listen};
use testkit::{Node, PKI};

pub(crate) const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";

/// A whole control plane as far as it can be asked, serving the pairs in `served/`.
pub(crate) struct ControlPlane {
    pub(crate) tree: Node,
    pub(crate) api_port: u16,
    pub(crate) _listeners: Vec<Listener>,
}

impl ControlPlane {
    pub(crate) async fn start() -> Self {
        let tree = Node::with_authorities();
        tree.leaf("apiserver", &tree.ca, "kube-apiserver");
        tree.leaf("apiserver-kubelet-client", &tree.ca, KUBELET_CLIENT);
        tree.leaf(
            "front-proxy-client",
            &tree.front_proxy_ca,
            "front-proxy-client",
        );
        for name in ["server", "peer", "healthcheck-client"] {
            tree.leaf(&format!("etcd/{name}"), &tree.etcd_ca, "cp1");
        }
        tree.leaf(
            "apiserver-etcd-client",
            &tree.etcd_ca,
            "kube-apiserver-etcd-client",
        );
        for name in ["apiserver", "etcd/server", "etcd/peer"] {
            tree.copy_to_served(name);
        }

        let api = listen(
            (NODE_ADDRESS, 0),
            tree.served("apiserver"),
            Clients::may(&tree.ca),
            true,
            api_server(),
        )
        .await;
        let mut listeners = Vec::new();
        let mut ports = Vec::new();
        for name in ["etcd/server", "etcd/peer"] {
            let clients = Clients::must(&tree.etcd_ca);
            let handler: Handler = Arc::new(|_, _| (200, r#"{"health":"true"}"#.to_owned()));
            let listener =
                listen(("127.0.0.1", 0), tree.served(name), clients, true, handler).await;
            ports.push(listener.port);
            listeners.push(listener);
        }
        write_api_server(&tree, api.port, &[]);
        tree.manifest(
            "etcd",
            &words(&[
                "etcd",
                &format!("--listen-client-urls=https://127.0.0.1:{}", ports[0]),
                &format!("--listen-peer-urls=https://127.0.0.1:{}", ports[1]),
                &format!("--cert-file={PKI}/etcd/server.crt"),
                &format!("--peer-cert-file={PKI}/etcd/peer.crt"),
            ]),
        );
        let url = format!("https://{NODE_ADDRESS}:{}", api.port);
        for (name, user) in [
            ("admin.conf", "kubernetes-admin"),
            ("controller-manager.conf", "system:kube-controller-manager"),
            ("scheduler.conf", "system:kube-scheduler"),
        ] {
            tree.write_kubeconfig(name, &url, &tree.ca, user);
        }
        Self {
            tree,
            api_port: api.port,
            _listeners: {
                listeners.push(api);
                listeners
            },
        }
    }

    pub(crate) async fn prove(&self, name: &str, bound: Duration) -> Result<Proof, ProofError> {
        let names = [name.into()];
        let mut outcomes = prove(
            &self.tree.observe_without_kubelet(),
            &Restart::default(),
            &names,
            bound,
        )
        .await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }
}

/// Its manifest, with more flags than it has anyway.
pub(crate) fn write_api_server(tree: &Node, port: u16, more: &[&str]) {
    let mut command = words(&[
        "kube-apiserver",
        &format!("--advertise-address={NODE_ADDRESS}"),
        &format!("--secure-port={port}"),
        &format!("--tls-cert-file={PKI}/apiserver.crt"),
        &format!("--tls-private-key-file={PKI}/apiserver.key"),
        &format!("--requestheader-client-ca-file={PKI}/front-proxy-ca.crt"),
        "--requestheader-allowed-names=front-proxy-client",
    ]);
    command.extend(words(more));
    tree.manifest("kube-apiserver", &command);
}

/// As releases differ: one user is reviewed, one is known to an old server without reviews, one lacks every right.
fn api_server() -> Handler {
    Arc::new(|request, user| {
        let is_review = request.starts_with("POST ");
        match user {
            None => (401, "Unauthorized".to_owned()),
            Some("kubernetes-admin") if is_review => (
                201,
                r#"{"status":{"userInfo":{"username":"kubernetes-admin"}}}"#.to_owned(),
            ),
            Some("system:kube-scheduler") if request.starts_with("GET /api ") => (
                403,
                r#"{"message":"User \"system:kube-scheduler\" cannot get path \"/api\""}"#
                    .to_owned(),
            ),
            Some("refused") => (401, "Unauthorized".to_owned()),
            Some(_) if request.starts_with("GET /api ") => (200, "{}".to_owned()),
            Some(_) => (404, String::new()),
        }
    })
}

#[tokio::test]
async fn everything_that_is_in_use_is_proved() {
    let plane = ControlPlane::start().await;
    let names = [
        "admin.conf",
        "apiserver",
        "apiserver-etcd-client",
        "controller-manager.conf",
        "etcd-healthcheck-client",
        "etcd-peer",
        "etcd-server",
        "front-proxy-client",
        "scheduler.conf",
    ];
    let names = ids(&names);
    let began = Instant::now();
    let settings = Restart {
        mode: RestartMode::None,
        ..Restart::default()
    };
    let outcomes = prove(
        &plane.tree.observe_without_kubelet(),
        &settings,
        &names,
        Duration::from_secs(20),
    )
    .await;
    let proofs: Vec<Proof> = outcomes.into_iter().map(|proof| proof.unwrap()).collect();
    assert!(proofs.iter().map(|proof| &proof.id).eq(&names), "order");
    assert!(began.elapsed() < Duration::from_secs(10));
    let evidence = |name: &str| {
        let proof = proofs
            .iter()
            .find(|proof| proof.id.as_str() == name)
            .unwrap();
        proof.evidence.clone()
    };
    let serial = serial_in(&plane.tree.pair("apiserver").0);
    assert_eq!(
        evidence("apiserver"),
        format!("{NODE_ADDRESS}:{} serves serial {serial}", plane.api_port)
    );
    assert!(evidence("admin.conf").contains("kubernetes-admin"));
    assert!(evidence("scheduler.conf").contains("goes on with the old one"));
    assert!(evidence("front-proxy-client").contains("not asked"));
}

#[tokio::test]
async fn a_server_that_serves_another_certificate_is_told_with_both_serials() {
    let plane = ControlPlane::start().await;
    let old = serial_in(&plane.tree.pair("apiserver").0);
    plane
        .tree
        .leaf("apiserver", &plane.tree.ca, "kube-apiserver");
    let new = serial_in(&plane.tree.pair("apiserver").0);
    let error = plane.prove("apiserver", Duration::ZERO).await.unwrap_err();
    assert!(error.reason.contains(&old), "{error}");
    assert!(error.reason.contains(&new), "{error}");
    assert!(error.refused, "an earlier one of the file: {error}");

    // It takes the new one up while it is being asked.
    let waited = plane.prove("apiserver", Duration::from_secs(20));
    let (outcome, ()) = tokio::join!(waited, async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        plane.tree.copy_to_served("apiserver");
    });
    assert!(outcome.unwrap().evidence.contains(&new));
}

#[tokio::test]
async fn clients_that_are_refused_are_told() {
    let plane = ControlPlane::start().await;
    let tree = &plane.tree;
    tree.leaf(
        "apiserver-etcd-client",
        &tree.ca,
        "kube-apiserver-etcd-client",
    );
    let error = plane
        .prove("apiserver-etcd-client", Duration::ZERO)
        .await
        .unwrap_err();
    assert!(error.reason.starts_with("etcd: "), "{error}");
    assert!(error.reason.contains("unknown_ca"), "{error}");
    assert!(error.refused, "{error}");

    let url = format!("https://{NODE_ADDRESS}:{}", plane.api_port);
    tree.write_kubeconfig("scheduler.conf", &url, &tree.ca, "refused");
    let error = plane
        .prove("scheduler.conf", Duration::ZERO)
        .await
        .unwrap_err();
    assert!(error.reason.contains("refuses it: status 401"), "{error}");
    assert!(error.refused, "{error}");

    tree.leaf("front-proxy-client", &tree.ca, "front-proxy-client");
    let began = Instant::now();
    let error = plane
        .prove("front-proxy-client", Duration::from_secs(20))
        .await
        .unwrap_err();
    assert!(error.reason.contains("no authority in"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2), "asked in vain");
}

#[tokio::test]
async fn an_impostor_is_not_believed() {
    let plane = ControlPlane::start().await;
    // Another authority's certificate for the right names, and a server that accepts everybody.
    let tree = &plane.tree;
    let other = testkit::loopback::authority("impostor");
    tree.leaf("impostor", &other, "kube-apiserver");
    let handler: Handler = Arc::new(|_, _| (200, "{}".to_owned()));
    let pair = tree.pair("impostor");
    let impostor = listen((NODE_ADDRESS, 0), pair, Clients::Anybody, true, handler).await;
    let url = format!("https://{NODE_ADDRESS}:{}", impostor.port);
    tree.write_kubeconfig("admin.conf", &url, &tree.ca, "kubernetes-admin");
    let error = plane.prove("admin.conf", Duration::ZERO).await.unwrap_err();
    assert!(
        error.reason.contains("not signed by a CA that is trusted"),
        "{error}"
    );
}

#[tokio::test]
async fn a_balancer_that_is_down_is_replaced_by_the_api_server_here() {
    let plane = ControlPlane::start().await;
    let tree = &plane.tree;
    // Nobody listens on port 1; the name is only in the certificate.
    let balancer = "https://localhost:1";
    tree.write_kubeconfig("admin.conf", balancer, &tree.ca, "kubernetes-admin");
    let proof = plane.prove("admin.conf", Duration::ZERO).await.unwrap();
    assert!(
        proof
            .evidence
            .contains("asked in place of https://localhost:1"),
        "{proof:?}"
    );
    // The name is verified all the same.
    tree.write_kubeconfig(
        "admin.conf",
        "https://127.0.0.2:1",
        &tree.ca,
        "kubernetes-admin",
    );
    let error = plane.prove("admin.conf", Duration::ZERO).await.unwrap_err();
    assert!(error.reason.contains("not valid for name"), "{error}");
    let alone = authenticate(&tree.path("/etc/kubernetes/admin.conf"), None).await;
    assert!(alone.unwrap_err().to_string().contains("cannot connect"));
}

#[tokio::test]
async fn what_nobody_can_be_asked_is_said() {
    let tree = Node::with_authorities();
    tree.leaf("apiserver", &tree.ca, "kube-apiserver");
    tree.write("/etc/kubernetes/manifests/.keep", "");
    let names = ids(&["apiserver", "etcd-server", "no-such-certificate"]);
    let began = Instant::now();
    let outcomes = prove(
        &tree.observe_without_kubelet(),
        &Restart::default(),
        &names,
        Duration::from_secs(20),
    )
    .await;
    let reasons: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_err().reason)
        .collect();
    assert!(
        reasons[0].contains("no manifest of kube-apiserver"),
        "{}",
        reasons[0]
    );
    assert!(
        reasons[2].contains("no certificate of this node"),
        "{}",
        reasons[2]
    );
    assert!(began.elapsed() < Duration::from_secs(2), "asked in vain");
}
