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

#[test]
fn a_client_that_the_server_would_refuse_fails_the_rehearsal() {
    let node = Node::fresh();
    // As after a CA rotation that forgot etcd's clients: the API server's client is of another etcd CA.
    let other = Node::fresh();
    for ending in ["crt", "key"] {
        let path = format!("/etc/kubernetes/pki/apiserver-etcd-client.{ending}");
        std::fs::copy(other.path(&path), node.path(&path)).unwrap();
    }
    let told = text(&node.run(&["rehearse"]).stdout);
    assert!(told.contains("left  apiserver-etcd-client"), "{told}");
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
