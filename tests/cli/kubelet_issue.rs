//! `kubecertd kubelet issue` on a made-up control plane.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::{SignedDuration, Timestamp};
use kubecertd::cluster::Known;
use kubecertd::journal::Store;
use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::pki::{KeyAlgorithm, PrivateKey, certificates_from_pem};
use testkit::{Node, said, text};

const FILE: &str = "/root/kubelet-w1.conf";

fn issue(node: &Node, more: &[&str]) -> (Option<i32>, String) {
    let output = node.run(&[&["kubelet", "issue"], more].concat());
    (output.status.code(), said(&output))
}

fn embedded(credential: Credential) -> Vec<u8> {
    match credential {
        Credential::Embedded(pem) => pem.to_vec(),
        Credential::File(path) => panic!("{}", path.display()),
    }
}

#[test]
fn it_is_one_file_with_all_that_the_kubelet_needs() {
    let node = Node::fresh();
    fs::create_dir(node.path("/root")).unwrap();
    let (code, told) = issue(&node, &["w1", "-o", FILE, "--validity", "30d"]);
    assert_eq!(code, Some(0), "{told}");
    let mode = fs::metadata(node.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let made = Kubeconfig::parse(node.read(FILE)).unwrap();
    let admin = Kubeconfig::parse(node.read("/etc/kubernetes/admin.conf")).unwrap();
    assert_eq!(made.server, admin.server);
    assert_eq!(
        made.certificate_authority.unwrap(),
        node.read("/etc/kubernetes/pki/ca.crt").as_bytes()
    );
    let leaf = certificates_from_pem(&embedded(made.certificate))
        .unwrap()
        .remove(0);
    assert_eq!(leaf.common_name.as_deref(), Some("system:node:w1"));
    assert_eq!(leaf.organizations, ["system:nodes"]);
    assert_eq!(leaf.extended_key_usage, ["1.3.6.1.5.5.7.3.2"]);
    assert!(leaf.is_signed_by(node.ca.certificate()));
    let month = Timestamp::now() + SignedDuration::from_hours(24 * 30);
    assert!(leaf.not_after.duration_since(month).abs() < SignedDuration::from_mins(5));
    let key = PrivateKey::from_pem(&embedded(made.key)).unwrap();
    assert!(key.matches(&leaf));
    assert_eq!(key.algorithm(), Some(KeyAlgorithm::EcdsaP256));

    let list = text(&node.run(&["kubeconfig", "list"]).stdout);
    assert!(list.contains("system:node:w1 (system:nodes)"), "{list}");
    assert!(list.contains(&leaf.serial) && list.contains(FILE), "{list}");

    // What is there is nobody's to overwrite, and nothing more is issued for it.
    let before = fs::read(node.path(FILE)).unwrap();
    let (code, told) = issue(&node, &["w1", "-o", FILE, "--force"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("already there"), "{told}");
    assert_eq!(fs::read(node.path(FILE)).unwrap(), before);
    let again = text(&node.run(&["kubeconfig", "list"]).stdout);
    assert_eq!(again, list);
}

#[test]
fn without_a_file_nothing_else_is_printed() {
    let node = Node::fresh();
    node.configure("[renewal]\nvalidity = \"90d\"\nbefore = \"20d\"\n");
    let output = node.run(&["kubelet", "issue", "w1.example.org"]);
    assert!(output.status.success(), "{}", said(&output));
    let made = Kubeconfig::parse(&output.stdout).unwrap();
    let leaf = certificates_from_pem(&embedded(made.certificate))
        .unwrap()
        .remove(0);
    let name = leaf.common_name.as_deref();
    assert_eq!(name, Some("system:node:w1.example.org"));
    let end = Timestamp::now() + SignedDuration::from_hours(24 * 90);
    assert!(leaf.not_after.duration_since(end).abs() < SignedDuration::from_mins(5));
}

#[test]
fn it_ends_with_the_ca_at_the_latest() {
    let node = Node::fresh();
    let output = node.run(&["kubelet", "issue", "w1", "--validity", "36500d"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(text(&output.stderr).contains("ends with its authority"));
    let made = Kubeconfig::parse(&output.stdout).unwrap();
    let leaf = certificates_from_pem(&embedded(made.certificate))
        .unwrap()
        .remove(0);
    assert_eq!(leaf.not_after, node.ca.certificate().not_after);
}

#[test]
fn what_it_does_not_issue_it_says_and_records_nothing() {
    let node = Node::fresh();
    for (arguments, code, reason) in [
        (&["Worker_1"][..], 1, "no name of a node"),
        (&["system:node:w1"], 1, "write w1"),
        (&["../../etc"], 1, "no name of a node"),
        (&["w1", "--validity", "5m"], 2, "10m"),
        (&["w1", "--validity", "40000d"], 2, "36500d"),
        (&["cp1"], 1, "this node"),
    ] {
        let (exit, told) = issue(&node, arguments);
        assert_eq!(exit, Some(code), "{arguments:?}: {told}");
        assert!(told.contains(reason), "{arguments:?}: {told}");
    }
    fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let (code, told) = issue(&node, &["w1"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("ca.key") && told.contains("is not there"),
        "{told}"
    );
    assert!(!node.path("/var/lib/kubecertd/issued.jsonl").exists());
    let node = Node::fresh();
    let (code, told) = issue(&node, &["cp1", "--force"]);
    assert_eq!(code, Some(0), "{told}");
    fs::remove_file(node.path("/etc/kubernetes/admin.conf")).unwrap();
    let (code, told) = issue(&node, &["w1"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("run it on a control plane"), "{told}");
}

#[test]
fn another_control_plane_is_said_to_be_one() {
    let node = Node::fresh();
    Known::update(&Store::new(&node.root), |known| {
        known.others = vec![("cp2".to_owned(), "192.0.2.3".to_owned())];
    })
    .unwrap();
    let (code, told) = issue(&node, &["cp2"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("another control plane"), "{told}");
    let (code, told) = issue(&node, &["cp2", "--force"]);
    assert_eq!(code, Some(0), "{told}");
}
