//! Certificates that components have only in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use kubecertd::pki::CertificateAuthority;
use kubecertd::probe::look_in_memory;
use testkit::loopback::{NODE_ADDRESS, authority, issue, words};
use testkit::peer::{Clients, Listener, listen, well};
use testkit::{Node, PKI};

/// Serves a certificate of that name; its port.
async fn serve(tree: &Node, name: &str, signer: &CertificateAuthority, host: &str) -> Listener {
    let pair = issue(signer, name);
    let (certificate, key) = tree.served(name);
    std::fs::create_dir_all(certificate.parent().unwrap()).unwrap();
    std::fs::write(&certificate, pair.certificate_pem()).unwrap();
    std::fs::write(&key, pair.key_pem()).unwrap();
    listen(
        (host, 0),
        (certificate, key),
        Clients::Anybody,
        true,
        well(),
    )
    .await
}

fn show_loopback(tree: &Node, served: &str) {
    let pair = issue(
        &authority("apiserver-loopback-client-ca@1"),
        "apiserver-loopback-client@1",
    );
    let (certificate, _) = tree.served(served);
    std::fs::write(
        certificate.with_extension("loopback.crt"),
        pair.certificate_pem(),
    )
    .unwrap();
    std::fs::write(certificate.with_extension("loopback.key"), pair.key_pem()).unwrap();
}

async fn names(tree: &Node) -> Vec<String> {
    let seen = look_in_memory(&tree.observe_without_kubelet()).await;
    let mut names: Vec<String> = seen.iter().map(|one| one.name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_components_made_for_themselves_is_seen_and_nothing_else() {
    let tree = Node::with_authorities();
    let own = authority("localhost-ca@1");
    let api = serve(&tree, "kube-apiserver", &tree.ca, NODE_ADDRESS).await;
    let manager = serve(&tree, "localhost@1767225600", &own, "127.0.0.1").await;
    let scheduler = serve(&tree, "scheduler.example", &own, "127.0.0.1").await;
    let port = |listener: &Listener| format!("--secure-port={}", listener.port);
    let api_flags = [
        "kube-apiserver",
        &format!("--bind-address={NODE_ADDRESS}"),
        &port(&api),
    ];
    tree.manifest("kube-apiserver", &words(&api_flags));
    let manager_flags = [
        "kube-controller-manager",
        "--bind-address=127.0.0.1",
        &port(&manager),
    ];
    tree.manifest("kube-controller-manager", &words(&manager_flags));
    let scheduler_flags = [
        "kube-scheduler",
        "--bind-address=127.0.0.1",
        &port(&scheduler),
    ];
    tree.manifest("kube-scheduler", &words(&scheduler_flags));
    // Neither the certificate of the API server's file nor one of another name is of its own making.
    assert_eq!(names(&tree).await, ["kube-controller-manager (in memory)"]);
    show_loopback(&tree, "kube-apiserver");
    let both = [
        "kube-apiserver (in memory)",
        "kube-controller-manager (in memory)",
    ];
    assert_eq!(names(&tree).await, both);
    // One that is in a file is there whatever its name.
    let file = format!("--tls-cert-file={PKI}/manager.crt");
    let with_file = [&manager_flags[..], &[file.as_str()]].concat();
    tree.manifest("kube-controller-manager", &words(&with_file));
    assert_eq!(names(&tree).await, both[..1]);
    let seen = look_in_memory(&tree.observe_without_kubelet()).await;
    assert!(seen[0].not_before < seen[0].not_after);
    drop((manager, api));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(names(&tree).await.is_empty());
}
