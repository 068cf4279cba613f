//! Proofs against components that really listen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod restart_support;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kubecertd::config::{Restart, RestartMode};
use kubecertd::plan::AffectedPod;
use kubecertd::probe::{
    AuthenticationError, Proof, ProofError, authenticate, picked_up, prove, reachability,
};
use restart_support::server::{Clients, Handler, Listener, listen, rogue, well};
use restart_support::{NODE_ADDRESS, PKI, Tree, serial_in, words};

const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";

/// A whole control plane as far as it can be asked, serving the pairs in `served/`.
struct ControlPlane {
    tree: Tree,
    api_port: u16,
    _listeners: Vec<Listener>,
}

impl ControlPlane {
    async fn start() -> Self {
        let tree = Tree::new();
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
            tree.kubeconfig(name, &url, &tree.ca, user);
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

    async fn prove(&self, name: &str, bound: Duration) -> Result<Proof, ProofError> {
        let names = [name.to_owned()];
        let mut outcomes = prove(&self.tree.observe(), &Restart::default(), &names, bound).await;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }
}

impl Tree {
    fn served(&self, name: &str) -> (PathBuf, PathBuf) {
        let path = |end: &str| self.path(&format!("/served/{name}.{end}"));
        (path("crt"), path("key"))
    }

    fn copy_to_served(&self, name: &str) {
        let (certificate, key) = self.pair(name);
        let (to_certificate, to_key) = self.served(name);
        fs::create_dir_all(to_key.parent().unwrap()).unwrap();
        fs::copy(key, to_key).unwrap();
        fs::copy(certificate, to_certificate).unwrap();
    }
}

/// Its manifest, with more flags than it has anyway.
fn write_api_server(tree: &Tree, port: u16, more: &[&str]) {
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
    let names = words(&names);
    let began = Instant::now();
    let settings = Restart {
        mode: RestartMode::None,
        ..Restart::default()
    };
    let outcomes = prove(
        &plane.tree.observe(),
        &settings,
        &names,
        Duration::from_secs(20),
    )
    .await;
    let proofs: Vec<Proof> = outcomes.into_iter().map(|proof| proof.unwrap()).collect();
    assert!(proofs.iter().map(|proof| &proof.name).eq(&names), "order");
    assert!(began.elapsed() < Duration::from_secs(10));
    let evidence = |name: &str| {
        let proof = proofs.iter().find(|proof| proof.name == name).unwrap();
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
    tree.kubeconfig("scheduler.conf", &url, &tree.ca, "refused");
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
    let other = restart_support::authority("impostor");
    tree.leaf("impostor", &other, "kube-apiserver");
    let handler: Handler = Arc::new(|_, _| (200, "{}".to_owned()));
    let pair = tree.pair("impostor");
    let impostor = listen((NODE_ADDRESS, 0), pair, Clients::Anybody, true, handler).await;
    let url = format!("https://{NODE_ADDRESS}:{}", impostor.port);
    tree.kubeconfig("admin.conf", &url, &tree.ca, "kubernetes-admin");
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
    tree.kubeconfig("admin.conf", balancer, &tree.ca, "kubernetes-admin");
    let proof = plane.prove("admin.conf", Duration::ZERO).await.unwrap();
    assert!(
        proof
            .evidence
            .contains("asked in place of https://localhost:1"),
        "{proof:?}"
    );
    // The name is verified all the same.
    tree.kubeconfig(
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
    let tree = Tree::new();
    tree.leaf("apiserver", &tree.ca, "kube-apiserver");
    tree.write("/etc/kubernetes/manifests/.keep", "");
    let names = words(&["apiserver", "etcd-server", "no-such-certificate"]);
    let began = Instant::now();
    let outcomes = prove(
        &tree.observe(),
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

#[tokio::test]
async fn only_served_certificates_count_as_picked_up() {
    let plane = ControlPlane::start().await;
    let settings = Restart {
        reload_timeout: Duration::from_secs(1),
        ..Restart::default()
    };
    let asked = |component: &str, names: &[&str]| {
        let inventory = plane.tree.observe();
        let pod = AffectedPod {
            component: component.to_owned(),
            manifest: inventory.static_pod(component).unwrap().path.clone(),
            certificates: words(names),
        };
        let settings = settings.clone();
        async move { picked_up(&inventory, &settings, &pod).await }
    };
    assert!(asked("kube-apiserver", &["apiserver"]).await);
    assert!(
        asked(
            "etcd",
            &["etcd-server", "etcd-peer", "etcd-healthcheck-client"]
        )
        .await
    );
    assert!(!asked("kube-apiserver", &["apiserver", "apiserver-etcd-client"]).await);
    assert!(!asked("kube-apiserver", &["etcd-server"]).await);
    assert!(!asked("etcd", &["etcd-healthcheck-client"]).await);
    plane.tree.leaf("etcd/peer", &plane.tree.etcd_ca, "cp1");
    assert!(!asked("etcd", &["etcd-server", "etcd-peer"]).await);
    assert!(asked("etcd", &["etcd-server"]).await);
}

const KUBELET_PORT: u16 = 10250;

#[tokio::test]
async fn a_kubelet_that_nothing_vouches_for_proves_and_refuses_nothing() {
    // Where a kubelet runs on this machine, that one would be asked.
    if TcpListener::bind(("127.0.0.1", KUBELET_PORT)).is_err() {
        return;
    }
    let plane = ControlPlane::start().await;
    let tree = &plane.tree;
    let name = "apiserver-kubelet-client";
    // Made by itself, as the kubelet's is, and beside it a foreign one.
    let itself = restart_support::authority("cp1@1700000000");
    for place in ["kubelet", "other"] {
        tree.leaf(place, &itself, "cp1");
    }
    let own = tree.pair("kubelet");
    let other = tree.pair("other");
    tree.write(
        "/var/lib/kubelet/config.yaml",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
    );
    for (from, to) in [(&own.0, "kubelet.crt"), (&own.1, "kubelet.key")] {
        let to = format!("/var/lib/kubelet/pki/{to}");
        tree.write(&to, fs::read(from).unwrap());
    }
    let ok = (KUBELET_CLIENT, well());
    let refuses: Handler = Arc::new(|_, _| (401, "Unauthorized".to_owned()));
    let no = (KUBELET_CLIENT, refuses);
    for ((certificate, key), (shown_to, handler)) in [
        (&own, ok.clone()),
        (&own, no),
        (&other, ("", ok.1)),
        // The public certificate with another key.
        (&(own.0.clone(), other.1.clone()), ("", well())),
    ] {
        let pair = (certificate.as_path(), key.as_path());
        let kubelet = rogue((NODE_ADDRESS, KUBELET_PORT), pair, true, handler).await;
        let error = plane.prove(name, Duration::ZERO).await.unwrap_err();
        assert!(!error.refused, "{error}");
        let is_replay = pair == (own.0.as_path(), other.1.as_path());
        assert!(
            is_replay || error.reason.starts_with("unverified: "),
            "{error}"
        );
        let seen = kubelet.seen.lock().unwrap().clone();
        assert_eq!(seen.join(","), shown_to, "{error}");
    }
    // Where the API server verifies it, so does the proof.
    let flag = format!("--kubelet-certificate-authority={PKI}/ca.crt");
    write_api_server(tree, plane.api_port, &[&flag]);
    let handler: Handler = Arc::new(|_, user| match user {
        Some(KUBELET_CLIENT) => (200, "ok".to_owned()),
        _ => (401, "Unauthorized".to_owned()),
    });
    let clients = Clients::may(&tree.ca);
    let address = (NODE_ADDRESS, KUBELET_PORT);
    let kubelet = listen(address, tree.served("apiserver"), clients, true, handler).await;
    let proof = plane.prove(name, Duration::ZERO).await.unwrap();
    assert!(
        proof.evidence.contains("the kubelet accepts it"),
        "{proof:?}"
    );
    drop(kubelet);
    // And another CA's is not asked.
    let pair = (other.0.as_path(), other.1.as_path());
    let foreign = rogue(address, pair, true, well()).await;
    let error = plane.prove(name, Duration::ZERO).await.unwrap_err();
    assert!(!error.refused, "{error}");
    assert!(foreign.seen.lock().unwrap().is_empty());
}

/// Whoever listens on a port that is free for a moment must get no roll-back, no proof and no certificate.
#[tokio::test]
async fn another_process_on_the_port_proves_and_refuses_nothing() {
    for tls13 in [false, true] {
        let mut plane = ControlPlane::start().await;
        plane._listeners.clear();
        let tree = &plane.tree;
        let foreign = restart_support::authority("foreign");
        tree.leaf("foreign", &foreign, "kube-apiserver");
        tree.leaf("user", &tree.ca, "some-user");
        let key_of = |name: &str| tree.pair(name).1;
        let of = |name: &str| tree.pair(name).0;
        let refuses: Handler = Arc::new(|_, _| (401, "Unauthorized".to_owned()));
        for (shown, key, name) in [
            // Its own certificate with its own key, and the public ones without theirs.
            (of("foreign"), key_of("foreign"), "apiserver"),
            (of("apiserver"), key_of("foreign"), "apiserver"),
            (of("foreign"), key_of("foreign"), "admin.conf"),
            (of("apiserver"), key_of("foreign"), "admin.conf"),
        ] {
            let pair = (shown.as_path(), key.as_path());
            let address = (NODE_ADDRESS, plane.api_port);
            let rogue = rogue(address, pair, tls13, Arc::clone(&refuses)).await;
            let error = plane.prove(name, Duration::ZERO).await.unwrap_err();
            assert!(!error.refused, "{name}: {error}");
            assert!(rogue.seen.lock().unwrap().is_empty(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_of_the_same_authority_is_no_other_server() {
    let mut plane = ControlPlane::start().await;
    plane._listeners.clear();
    let tree = &plane.tree;
    let (certificate, key) = restart_support::issue_for(&tree.ca, "some-user", false);
    let pair = (
        tree.write("/user.crt", certificate),
        tree.write("/user.key", key),
    );
    let address = (NODE_ADDRESS, plane.api_port);
    let _user = listen(address, pair, Clients::Anybody, true, well()).await;
    let error = plane.prove("apiserver", Duration::ZERO).await.unwrap_err();
    assert!(error.reason.contains("another process"), "{error}");
    assert!(!error.refused, "{error}");
}

#[tokio::test]
async fn failing_to_reach_a_server_is_no_refusal() {
    let mut plane = ControlPlane::start().await;
    let etcd = "apiserver-etcd-client";
    let clients = Clients::must(&plane.tree.etcd_ca);
    let unwell: Handler = Arc::new(|_, _| (503, r#"{"health":"false"}"#.to_owned()));
    plane._listeners.clear();
    for name in ["apiserver", "etcd-server", "etcd-peer", etcd, "admin.conf"] {
        let error = plane.prove(name, Duration::ZERO).await.unwrap_err();
        assert!(!error.refused, "{error}");
    }
    let pair = plane.tree.served("etcd/server");
    let listener = listen(("127.0.0.1", 0), pair, clients, true, unwell).await;
    plane.tree.manifest(
        "etcd",
        &words(&[
            "etcd",
            &format!("--listen-client-urls=https://127.0.0.1:{}", listener.port),
        ]),
    );
    let error = plane.prove(etcd, Duration::ZERO).await.unwrap_err();
    assert!(error.reason.contains("503"), "{error}");
    assert!(!error.refused, "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_refused_by_an_alert_of_either_version() {
    let mut plane = ControlPlane::start().await;
    let tree = &plane.tree;
    tree.leaf("apiserver-etcd-client", &tree.ca, "kube-apiserver");
    let url = format!("https://{NODE_ADDRESS}:{}", plane.api_port);
    tree.kubeconfig("admin.conf", &url, &tree.etcd_ca, "kubernetes-admin");
    plane._listeners.clear();
    let tree = &plane.tree;
    for tls13 in [false, true] {
        let clients = Clients::must(&tree.etcd_ca);
        let pair = tree.served("etcd/server");
        let etcd = listen(("127.0.0.1", 0), pair, clients, tls13, well()).await;
        let urls = format!("--listen-client-urls=https://127.0.0.1:{}", etcd.port);
        tree.manifest("etcd", &words(&["etcd", &urls]));
        let pair = tree.served("apiserver");
        let address = (NODE_ADDRESS, plane.api_port);
        let _api = listen(address, pair, Clients::must(&tree.ca), tls13, well()).await;
        for name in ["apiserver-etcd-client", "admin.conf"] {
            let error = plane.prove(name, Duration::ZERO).await.unwrap_err();
            assert!(error.reason.contains("unknown_ca"), "{tls13}: {error}");
            assert!(error.refused, "{tls13}: {error}");
        }
        let admin = tree.path("/etc/kubernetes/admin.conf");
        let refused = authenticate(&admin, None).await.unwrap_err();
        assert!(matches!(refused, AuthenticationError::Refused { .. }));
    }
}

/// The kubelet's probes show none either.
#[tokio::test]
async fn a_health_check_shows_no_certificate_and_believes_no_impostor() {
    for tls13 in [false, true] {
        let mut plane = ControlPlane::start().await;
        plane._listeners.clear();
        let tree = &plane.tree;
        let url = format!("https://{NODE_ADDRESS}:{}", plane.api_port);
        tree.kubeconfig("super-admin.conf", &url, &tree.ca, "kubernetes-super-admin");
        tree.leaf(
            "foreign",
            &restart_support::authority("foreign"),
            "kubernetes",
        );
        let (of, key_of) = (
            |name: &str| tree.pair(name).0,
            |name: &str| tree.pair(name).1,
        );
        for (shown, key, status, well) in [
            (of("apiserver"), key_of("apiserver"), 200, true),
            (of("apiserver"), key_of("apiserver"), 401, true),
            (of("apiserver"), key_of("apiserver"), 403, true),
            (of("apiserver"), key_of("apiserver"), 500, false),
            (of("apiserver"), key_of("foreign"), 200, false),
            (of("foreign"), key_of("foreign"), 200, false),
        ] {
            let pair = (shown.as_path(), key.as_path());
            let handler: Handler = Arc::new(move |_, _| (status, String::new()));
            let address = (NODE_ADDRESS, plane.api_port);
            let rogue = rogue(address, pair, tls13, handler).await;
            let seen = reachability(&tree.observe()).await;
            assert_eq!(seen.api_server, well, "{status}");
            let shown = rogue.seen.lock().unwrap().clone();
            assert_eq!(shown, Vec::<String>::new(), "{status}");
        }
    }
}

/// Of a length other than it says, or longer than any: not cut, not taken for whole.
#[tokio::test]
async fn an_answer_of_a_wrong_length_is_none() {
    let tree = Tree::new();
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let long = |length: usize| {
        let body = "a".repeat(length);
        format!("{head}Content-Length: {length}\r\n\r\n{body}")
    };
    for (what, answer, answers) in [
        ("right", format!("{head}Content-Length: 2\r\n\r\nok"), true),
        (
            "chunked",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            true,
        ),
        ("as long as may be", long(64 << 10), true),
        ("too long", long((64 << 10) + 1), false),
        ("cut", format!("{head}Content-Length: 9\r\n\r\nok"), false),
        (
            "longer",
            format!("{head}Content-Length: 2\r\n\r\nok, and more"),
            false,
        ),
        (
            "no body, but more",
            format!("{head}Content-Length: 0\r\n\r\nok"),
            false,
        ),
        (
            "two lengths",
            format!("{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
            false,
        ),
        (
            "cut between chunks",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
            false,
        ),
        (
            "after the chunks",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore"),
            false,
        ),
        (
            "kept open",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more".to_owned(),
            false,
        ),
    ] {
        let port = answering(answer).await;
        let mut inventory = tree.observe();
        inventory.kubelet.healthz = Some(("127.0.0.1".to_owned(), port));
        assert_eq!(reachability(&inventory).await.kubelet, answers, "{what}");
    }
}

/// Any local user may take the kubelet's health port while it is down.
#[tokio::test]
async fn a_process_of_another_user_is_not_the_kubelet() {
    let tree = Tree::new();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut inventory = tree.observe();
    inventory.kubelet.healthz = Some(("127.0.0.1".to_owned(), port));
    // Only root can give a socket away.
    let own = nix::unistd::geteuid().is_root();
    let given = std::os::unix::fs::fchown(&listener, Some(65534), None).is_ok();
    assert_eq!(given, own);
    answer(
        listener,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
    );
    assert_eq!(reachability(&inventory).await.kubelet, !given);
}

/// A plain listener that answers one request so, whatever it was, and hangs up.
async fn answering(text: String) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    answer(listener, text);
    port
}

fn answer(listener: tokio::net::TcpListener, text: String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
        let _stays = listener.accept().await;
    });
}

/// The caller says so, as an event of its operation, which is logged.
#[tokio::test]
async fn what_was_picked_up_is_not_logged_beside_its_event() {
    let plane = ControlPlane::start().await;
    let inventory = plane.tree.observe();
    let pod = AffectedPod {
        component: "etcd".to_owned(),
        manifest: inventory.static_pod("etcd").unwrap().path.clone(),
        certificates: words(&["etcd-server"]),
    };
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("listening");
    assert!(picked_up(&inventory, &Restart::default(), &pod).await);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("listening") && !text.contains("serves"),
        "{text}"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
