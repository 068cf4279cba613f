//! `kubecertd rehearse`: everything is tried, nothing is changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod common;

use common::{ELEVEN, Node, contents, text};

#[test]
fn a_node_is_rehearsed_and_left_as_it_was() {
    let node = Node::due();
    let before = contents(node.directory.path());
    let output = node.run(&["rehearse"]);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}{}", text(&output.stderr));
    for name in ELEVEN {
        assert!(
            told.contains(&format!("pass  {name}")),
            "{name} in:\n{told}"
        );
    }
    assert!(told.contains("0 failed"), "{told}");
    assert_eq!(contents(node.directory.path()), before);
}

/// A node on which a pair is another cluster's, as after a CA rotation that forgot it.
fn with_foreign(base: &str) -> Node {
    let node = Node::fresh();
    let other = Node::fresh();
    for ending in ["crt", "key"] {
        let path = format!("/etc/kubernetes/pki/{base}.{ending}");
        std::fs::copy(other.path(&path), node.path(&path)).unwrap();
    }
    node
}

#[test]
fn what_would_be_left_although_it_is_there_fails_the_rehearsal() {
    let node = with_foreign("apiserver-etcd-client");
    let before = contents(node.directory.path());
    let output = node.run(&["rehearse"]);
    let told = text(&output.stdout);
    assert!(told.contains("left  apiserver-etcd-client"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(contents(node.directory.path()), before);
    // What may be missing may be left.
    let joined = Node::fresh();
    std::fs::remove_file(joined.path("/etc/kubernetes/super-admin.conf")).unwrap();
    let output = joined.run(&["rehearse"]);
    let told = text(&output.stdout);
    assert!(told.contains("left  super-admin.conf"), "{told}");
    assert_eq!(output.status.code(), Some(0), "{told}");
}

#[test]
fn a_server_that_its_clients_would_refuse_fails_the_rehearsal() {
    let output = with_foreign("etcd/server").run(&["rehearse"]);
    let told = text(&output.stdout);
    for client in ["apiserver-etcd-client", "etcd-healthcheck-client"] {
        assert!(told.contains(&format!("FAIL  {client}")), "{told}");
    }
    assert!(told.contains("pass  front-proxy-client"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn a_machine_without_kubernetes_is_told_about_the_sample() {
    let empty = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(empty.path())
        .arg("rehearse")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("--sample"));
}
