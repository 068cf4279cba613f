//! `kubecertd kubelet repair` on a made-up node, below a root: everything but the restart of the kubelet.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;
use testkit::{Node, contents, text};

use crate::recover_expired::{CURRENT, KUBELET_CONF, OLD, PKI, current, embed, expired};

fn repair(node: &Node, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["kubelet", "repair"], more].concat();
    let output = node.run(&arguments);
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), told)
}

/// Its certificates were to be renewed a month ago, the kubelet's by the kubelet.
fn overdue() -> Node {
    Node::due()
}

#[test]
fn one_that_is_overdue_is_made_anew_and_nothing_else_is() {
    let node = overdue();
    let before = contents(&node.path("/etc"));
    let (code, told) = repair(&node, &["--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Nothing was changed"), "{told}");
    assert_eq!(contents(&node.path("/etc")), before);
    assert_eq!(
        fs::read_link(node.path(CURRENT)).unwrap().to_str(),
        Some(OLD)
    );

    let plan = text(&node.run(&["plan"]).stdout);
    assert!(
        plan.contains("the kubelet should have renewed it by"),
        "{plan}"
    );

    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    // On the node itself somebody has to restart it.
    assert!(
        told.contains("reloaded or restarted: kubelet.service"),
        "{told}"
    );
    assert_ne!(current(&node).to_str(), Some(OLD));
    assert_eq!(contents(&node.path("/etc")), before);
    let history = fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(history.contains(r#""trigger":{"command":"kubelet repair"}"#));

    let after = contents(&node.path(PKI));
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Nothing to repair"), "{told}");
    assert_eq!(contents(&node.path(PKI)), after);
}

#[test]
fn what_is_not_overdue_is_left_to_the_kubelet() {
    for node in [
        Node::fresh(),
        // Nine tenths of a year, and not an hour.
        Node::new(
            SignedDuration::from_hours(24 * 300),
            SignedDuration::from_hours(24 * 60),
        ),
    ] {
        let before = contents(&node.path(PKI));
        let (code, told) = repair(&node, &[]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("Nothing to repair"), "{told}");
        assert_eq!(contents(&node.path(PKI)), before);
    }
}

#[test]
fn a_file_in_the_place_of_the_link_is_kept_in_the_backup() {
    let node = overdue();
    let old = fs::read(node.path(OLD)).unwrap();
    fs::remove_file(node.path(CURRENT)).unwrap();
    fs::write(node.path(CURRENT), &old).unwrap();
    fs::set_permissions(node.path(CURRENT), fs::Permissions::from_mode(0o600)).unwrap();
    let plan = text(&node.run(&["plan"]).stdout);
    assert!(plan.contains("is no link"), "{plan}");
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    current(&node);
    let backups = contents(&node.path("/var/lib/kubecertd/backups"));
    let is_kept = |(_, kept): (_, &Vec<u8>)| *kept == old;
    assert!(backups.iter().any(is_kept), "{:?}", backups.keys());
}

#[test]
fn a_kubelet_conf_that_holds_a_certificate_refers_to_the_current_one() {
    let node = Node::fresh();
    let pem = fs::read(node.path(OLD)).unwrap();
    embed(&node, &pem);
    let before = contents(&node.path(PKI));
    let plan = text(&node.run(&["plan"]).stdout);
    assert!(plan.contains("holds a certificate itself"), "{plan}");
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(contents(&node.path(PKI)), before);
    let now = fs::read_to_string(node.path(KUBELET_CONF)).unwrap();
    assert_eq!(now.matches(CURRENT).count(), 2, "{now}");
    assert!(!now.contains("client-key-data"), "{now}");
}

#[test]
fn where_all_has_expired_another_command_is_named() {
    let node = expired();
    let before = contents(&node.path(PKI));
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("recover --expired"), "{told}");
    assert_eq!(contents(&node.path(PKI)), before);
}

#[test]
fn without_the_key_of_the_ca_it_says_what_to_do_instead() {
    let node = overdue();
    fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let before = contents(&node.path(PKI));
    for more in [&["--dry-run"][..], &[]] {
        let (code, told) = repair(&node, more);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("ca.key is not on this node"), "{told}");
        assert_eq!(contents(&node.path(PKI)), before);
    }
}

/// Only where the configuration wants it; and a mounted disk's kubelet is never this machine's.
#[test]
fn a_daemon_on_another_root_leaves_the_kubelets_to_the_kubelet() {
    for repair in ["off", "expired", "overdue"] {
        let node = overdue();
        node.configure(&format!("[kubelet]\nrepair = \"{repair}\"\n"));
        let before = contents(&node.path(PKI));
        let output = node.run(&["run", "--once"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(contents(&node.path(PKI)), before, "{repair}");
    }
}
