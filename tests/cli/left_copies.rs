//! What is not done about a copy of admin.conf is said truly, and what a killed process left beside one is removed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::os::unix::fs::symlink;

use kubecertd::config::{Config, Discover};
use kubecertd::operation::{Context, Event, Remark, catch_up_copies};
use serde_json::{Value, json};
use testkit::Node;

use crate::admin_copies::{ADMIN, ROOTS, discover, succeeds, with_users};

const STATUS: &str = "/run/kubecertd/status.json";
const LEFT: &str = "/root/.kube/.config.kubecertd-0123456789abcdef";

fn expiration(node: &Node) -> Value {
    let output = node.run(&["check-expiration", "--all", "-o", "json"]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn link_roots_to(node: &Node, target: &str) {
    drop(fs::remove_file(node.path(ROOTS)));
    symlink(target, node.path(ROOTS)).unwrap();
}

/// A copy that was in use while its original was renewed.
fn left_stale(node: &Node) {
    node.write(ROOTS, node.read(ADMIN));
    let lock = node.write("/root/.kube/config.lock", "");
    succeeds(node, &["renew", "admin.conf"]);
    fs::remove_file(lock).unwrap();
}

#[test]
fn a_link_in_roots_home_is_said_unless_it_leads_to_what_is_looked_at() {
    let node = with_users(Node::fresh());
    node.write("/srv/admin", node.read(ADMIN));
    let is_said = || {
        succeeds(&node, &["run", "--once"]);
        let in_status = node.read(STATUS).contains("link-there");
        let planned = succeeds(&node, &["plan"]);
        assert_eq!(
            planned.contains("it is not known whether it is a copy"),
            in_status
        );
        let listed = succeeds(&node, &["check-expiration", "--all"]);
        assert_eq!(listed.contains("not known: a symbolic link"), in_status);
        let unread = &expiration(&node)["unreadCopies"];
        let said = json!([{"path": ROOTS, "fault": "link-there"}]);
        assert_eq!(*unread == said, in_status, "{unread}");
        in_status
    };
    link_roots_to(&node, ADMIN);
    assert!(!is_said());
    link_roots_to(&node, "/etc/kubernetes/../kubernetes/admin.conf");
    assert!(!is_said());
    link_roots_to(&node, "/srv/admin");
    assert!(is_said());
    link_roots_to(&node, "/srv/none");
    assert!(is_said());
    // As the sentence advises.
    link_roots_to(&node, "/srv/admin");
    node.configure("[admin-copies]\npaths = [\"/srv/admin\"]\n");
    assert!(!is_said());
    let copies = &expiration(&node)["copies"];
    assert_eq!(copies.as_array().unwrap().len(), 1, "{copies}");
}

#[test]
fn no_file_is_a_copy_of_itself_and_none_is_one_twice() {
    let node = with_users(Node::fresh());
    link_roots_to(&node, ADMIN);
    node.configure(&format!(
        "[admin-copies]\npaths = [\"{ROOTS}\", \"{ADMIN}\"]\n"
    ));
    assert_eq!(expiration(&node)["copies"], Value::Null);
    fs::remove_file(node.path(ROOTS)).unwrap();
    node.write(ROOTS, node.read(ADMIN));
    let copies = expiration(&node)["copies"].clone();
    assert_eq!(copies.as_array().unwrap().len(), 1, "{copies}");
}

/// Killed after the two had changed places, the copy is as it is to be; killed before, it may be gone since.
#[test]
fn what_a_killed_process_left_goes_with_the_next_look() {
    let node = with_users(Node::fresh());
    let original = node.read(ADMIN);
    for has_copy in [true, false] {
        if has_copy {
            node.write(ROOTS, &original);
        } else {
            node.remove(ROOTS);
        }
        node.write(LEFT, "a key");
        succeeds(&node, &["check-expiration", "--all"]);
        assert!(node.path(LEFT).exists(), "nothing is changed by a look");
        succeeds(&node, &["hold", "moving house"]);
        let held = node.run(&["run", "--once"]);
        assert!(!held.status.success());
        assert!(node.path(LEFT).exists(), "nor while that is held back");
        succeeds(&node, &["unhold"]);
        succeeds(&node, &["run", "--once"]);
        assert!(!node.path(LEFT).exists(), "{has_copy}");
        assert_eq!(node.path(ROOTS).exists(), has_copy);
    }
}

#[test]
fn who_brings_a_stale_copy_up_to_date_is_said_truly() {
    let node = with_users(Node::due());
    left_stale(&node);
    let next_look = "is brought up to date by the daemon's next look\n";
    let held = "daemon's next look after that may begin something by itself again";
    let planned = succeeds(&node, &["plan"]);
    assert!(planned.contains(next_look), "{planned}");
    let planned = succeeds(&node, &["renew", "admin.conf", "--force", "--dry-run"]);
    assert!(
        planned.contains(&format!("its copy {ROOTS} is renewed with it")),
        "{planned}"
    );
    succeeds(&node, &["hold", "moving house"]);
    let planned = succeeds(&node, &["plan"]);
    assert!(
        planned.contains(held) && !planned.contains(next_look),
        "{planned}"
    );
    succeeds(&node, &["unhold"]);
    node.configure("[renewal]\nenabled = false\n");
    let planned = succeeds(&node, &["plan"]);
    assert!(planned.contains(held), "{planned}");
}

/// Also by a look that has something to do.
#[test]
fn hidden_homes_are_said_while_another_copy_is_brought_up_to_date() {
    let node = with_users(Node::due());
    left_stale(&node);
    node.remove("/home");
    let mut config = Config::default();
    config.admin_copies.discover = Discover::Users;
    let context = Context::new(node.root.clone(), config, None);
    let mut updated = 0;
    let mut tell = |event: Event| updated += usize::from(event.code() == "copy-updated");
    let left = catch_up_copies(&context, &context.observe(), &mut tell).unwrap();
    assert_eq!(updated, 1);
    assert!(matches!(left[..], [Remark::HomesHidden]), "{left:?}");
}

/// `kubeadm reset` and another `kubeadm init` leave the record.
#[test]
fn a_copy_of_the_cluster_that_the_node_was_of_is_said_and_left_alone() {
    let node = with_users(Node::due());
    left_stale(&node);
    let before = node.read(ROOTS);
    let next = Node::fresh();
    for file in ["admin.conf", "super-admin.conf", "pki/ca.crt", "pki/ca.key"] {
        let path = format!("/etc/kubernetes/{file}");
        node.write(&path, next.read(&path));
    }
    node.run(&["run", "--once"]);
    assert_eq!(node.read(ROOTS), before);
    assert_eq!(expiration(&node)["copies"][0]["fault"], "other-authority");
    assert!(node.read(STATUS).contains("other-authority"));
}

/// kubectl's lock, which one that was killed leaves behind.
#[test]
fn a_lock_that_stays_is_said_with_its_path_and_nowhere_else() {
    let node = with_users(Node::due());
    node.write(ROOTS, node.read(ADMIN));
    let lock = node.write("/root/.kube/config.lock", "");
    let told = succeeds(&node, &["renew", "admin.conf"]);
    let said = "its lock /root/.kube/config.lock is there";
    assert!(told.contains(said), "{told}");
    fs::remove_file(lock).unwrap();
    discover(&node, "none");
    let told = succeeds(&node, &["renew", "admin.conf", "--force"]);
    assert!(!told.contains("config.lock"), "{told}");
}
