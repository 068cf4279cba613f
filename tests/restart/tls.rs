//! What a server showed is known even when it then hangs up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};

use kubecertd::net::{Address, Identity, TlsError, handshake};
use testkit::Node;
use testkit::loopback::serial_in;
use testkit::peer::{Clients, listen, rogue, well};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn local(port: u16) -> Address {
    Address {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

#[tokio::test]
async fn the_served_certificate_is_seen_whatever_the_server_wants_of_clients() {
    let tree = Node::with_authorities();
    tree.leaf("etcd/server", &tree.etcd_ca, "cp1");
    let serial = serial_in(&tree.pair("etcd/server").0);
    for clients in [
        Clients::Anybody,
        Clients::may(&tree.etcd_ca),
        Clients::must(&tree.etcd_ca),
    ] {
        for tls13 in [false, true] {
            let listener = listen(
                ("127.0.0.1", 0),
                tree.pair("etcd/server"),
                clients.clone(),
                tls13,
                well(),
            )
            .await;
            let served = handshake(&local(listener.port), "127.0.0.1", None)
                .await
                .unwrap();
            assert_eq!(served.leaf.serial, serial);
            assert_eq!(served.chain.len(), 1);
            let refused_at_once = matches!(clients, Clients::Must(_)) && !tls13;
            assert_eq!(served.note.is_some(), refused_at_once, "{:?}", served.note);
        }
    }
}

#[tokio::test]
async fn silence_and_nonsense_end_within_the_bound() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let began = Instant::now();
    let error = handshake(
        &local(silent.local_addr().unwrap().port()),
        "127.0.0.1",
        None,
    )
    .await
    .unwrap_err();
    assert!(matches!(error, TlsError::Silent { .. }), "{error}");
    assert!(error.is_unreachable());
    assert!(began.elapsed() < Duration::from_secs(5));

    let babbling = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = babbling.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = babbling.accept().await.unwrap();
        stream
            .write_all(b"220 mail.example ESMTP\r\n")
            .await
            .unwrap();
    });
    let error = handshake(&local(port), "127.0.0.1", None)
        .await
        .unwrap_err();
    assert!(matches!(error, TlsError::Handshake { .. }), "{error}");

    let closed = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = handshake(&local(closed), "127.0.0.1", None)
        .await
        .unwrap_err();
    assert!(matches!(error, TlsError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn the_clients_certificate_reaches_the_server() {
    let tree = Node::with_authorities();
    tree.leaf("etcd/server", &tree.etcd_ca, "cp1");
    tree.leaf(
        "apiserver-etcd-client",
        &tree.etcd_ca,
        "kube-apiserver-etcd-client",
    );
    let listener = listen(
        ("127.0.0.1", 0),
        tree.pair("etcd/server"),
        Clients::must(&tree.etcd_ca),
        false,
        well(),
    )
    .await;
    let (certificate, key) = tree.pair("apiserver-etcd-client");
    let identity = Identity::from_files(&certificate, &key).unwrap();
    let served = handshake(&local(listener.port), "127.0.0.1", Some(&identity))
        .await
        .unwrap();
    assert_eq!(served.note, None, "with TLS 1.2 a refusal would be seen");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let tree = Node::with_authorities();
    tree.leaf("a", &tree.ca, "a");
    tree.leaf("b", &tree.ca, "b");
    let error = Identity::from_files(&tree.pair("a").0, &tree.pair("b").1).unwrap_err();
    assert!(error.to_string().contains("a.crt"), "{error}");
}

/// A certificate is public: whoever can listen on the port can show it.
#[tokio::test]
async fn a_certificate_shown_without_its_key_is_not_served() {
    let tree = Node::with_authorities();
    tree.leaf("apiserver", &tree.ca, "kube-apiserver");
    tree.leaf("foreign", &tree.ca, "kube-apiserver");
    let serial = serial_in(&tree.pair("apiserver").0);
    for tls13 in [false, true] {
        let (shown, key) = (tree.pair("apiserver").0, tree.pair("foreign").1);
        let replay = rogue(("127.0.0.1", 0), (&shown, &key), tls13, well()).await;
        let address = local(replay.listener.port);
        let error = handshake(&address, "127.0.0.1", None).await.unwrap_err();
        assert!(!error.is_unreachable(), "{error}");
        let told = error.to_string();
        assert!(told.contains(&serial) && told.contains("key"), "{told}");
        // The same listener with the right key is believed.
        let right = tree.pair("apiserver").1;
        let honest = rogue(("127.0.0.1", 0), (&shown, &right), tls13, well()).await;
        let address = local(honest.listener.port);
        let served = handshake(&address, "127.0.0.1", None).await.unwrap();
        assert_eq!(served.leaf.serial, serial);
    }
}

/// Nothing is shown to a listener that has not proved to be the server.
#[tokio::test]
async fn a_client_certificate_is_shown_to_no_holder_of_a_foreign_key() {
    let tree = Node::with_authorities();
    tree.leaf("etcd/server", &tree.etcd_ca, "cp1");
    tree.leaf("foreign", &tree.etcd_ca, "cp1");
    tree.leaf("client", &tree.etcd_ca, "client");
    let (certificate, key) = tree.pair("client");
    let identity = Identity::from_files(&certificate, &key).unwrap();
    for tls13 in [false, true] {
        let (shown, key) = (tree.pair("etcd/server").0, tree.pair("foreign").1);
        let replay = rogue(("127.0.0.1", 0), (&shown, &key), tls13, well()).await;
        let address = local(replay.listener.port);
        handshake(&address, "127.0.0.1", Some(&identity))
            .await
            .unwrap_err();
        assert!(replay.seen.lock().unwrap().is_empty());
    }
}
