//! Proofs where other processes listen in the place of components, or answer what no component does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use kubecertd::probe::{AuthenticationError, authenticate, reachability};
use testkit::loopback::{NODE_ADDRESS, words};
use testkit::peer::{Clients, Handler, listen, rogue, well};
use testkit::{Node, PKI};

use crate::prove::{ControlPlane, KUBELET_CLIENT, write_api_server};

const KUBELET_PORT: u16 = 10250;

#[tokio::test]
async fn a_kubelet_that_nothing_vouches_for_proves_and_refuses_nothing() {
    // Where a kubelet runs on this machine, that one would be asked.
    if TcpListener::bind(("127.0.0.1", KUBELET_PORT)).is_err() {
        testkit::skipped("a kubelet runs on this machine");
        return;
    }
    let plane = ControlPlane::start().await;
    let tree = &plane.tree;
    let name = "apiserver-kubelet-client";
    // Made by itself, as the kubelet's is, and beside it a foreign one.
    let itself = testkit::loopback::authority("cp1@1700000000");
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
        let foreign = testkit::loopback::authority("foreign");
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
    let user = testkit::loopback::issue_for(&tree.ca, "some-user", false);
    let pair = (
        tree.write("/user.crt", user.certificate_pem()),
        tree.write("/user.key", user.key_pem()),
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
    tree.write_kubeconfig("admin.conf", &url, &tree.etcd_ca, "kubernetes-admin");
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
        tree.write_kubeconfig("super-admin.conf", &url, &tree.ca, "kubernetes-super-admin");
        tree.leaf(
            "foreign",
            &testkit::loopback::authority("foreign"),
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
            let seen = reachability(&tree.observe_without_kubelet()).await;
            assert_eq!(seen.api_server, well, "{status}");
            let shown = rogue.seen.lock().unwrap().clone();
            assert_eq!(shown, Vec::<String>::new(), "{status}");
        }
    }
}

/// Of a length other than it says, or longer than any: not cut, not taken for whole.
#[tokio::test]
async fn an_answer_of_a_wrong_length_is_none() {
    let tree = Node::with_authorities();
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
        let mut inventory = tree.observe_without_kubelet();
        inventory.kubelet.healthz = Some(("127.0.0.1".to_owned(), port));
        assert_eq!(reachability(&inventory).await.kubelet, answers, "{what}");
    }
}

/// Any local user may take the kubelet's health port while it is down.
#[tokio::test]
async fn a_process_of_another_user_is_not_the_kubelet() {
    let tree = Node::with_authorities();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut inventory = tree.observe_without_kubelet();
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
