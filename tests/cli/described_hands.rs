//! In whose hands the files may be of certificates that are not kubeadm's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::described::renew_in_vain;
use kubecertd::pki::NewLeaf;
use testkit::others::{HAPROXY, HAPROXY_TABLE, due, put};
use testkit::pair::Pair;
use testkit::{Node, contents, said};

/// Whoever else can write a file or a directory above it could have root renew, or write, what he likes.
#[test]
fn nothing_is_written_where_others_could_have_put_it() {
    for (path, mode) in [
        ("/etc/haproxy", 0o777),
        ("/etc/haproxy", 0o1777),
        ("/etc/haproxy", 0o775),
        ("/etc", 0o757),
        (HAPROXY.0, 0o666),
        (HAPROXY.1, 0o620),
    ] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        fs::set_permissions(node.path(path), Permissions::from_mode(mode)).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(
            told.contains("written by others"),
            "{path} {mode:o}: {told}"
        );
        let plan = said(&node.run(&["plan", "-o", "json"]));
        assert!(plan.contains("not-replaceable"), "{plan}");
        fs::set_permissions(node.path(path), Permissions::from_mode(mode & !0o022)).unwrap();
        assert!(node.run(&["renew", "haproxy"]).status.success(), "{path}");
    }
    for path in ["/etc/haproxy", HAPROXY.0, HAPROXY.1] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        chown(node.path(path), Some(1234), None).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(told.contains("belongs to user 1234"), "{told}");
        // Another than the one that is named.
        node.configure(&format!("{HAPROXY_TABLE}owner = \"4321\"\n"));
        assert!(renew_in_vain(&node, "haproxy").contains("user 1234"));
        node.configure(&format!("{HAPROXY_TABLE}owner = \"1234\"\n"));
        let output = node.run(&["renew", "haproxy"]);
        assert!(output.status.success(), "{path}: {}", said(&output));
    }
}

/// An owner who has the key of an old certificate of an administrator's would have it renewed for ever.
#[test]
fn a_client_of_the_api_server_is_not_renewed_in_the_hands_of_another_user() {
    let node = Node::fresh();
    let stolen = NewLeaf {
        common_name: "kubernetes-admin".to_owned(),
        organizations: vec!["system:masters".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    put(&node, HAPROXY, &Pair::sign(&stolen, &node.ca, due()));
    chown(node.path(HAPROXY.0), Some(1234), None).unwrap();
    node.configure(&format!("{HAPROXY_TABLE}owner = \"1234\"\n"));
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("by a client"), "{told}");
    // Root's own may be whatever root put there.
    chown(node.path(HAPROXY.0), Some(0), None).unwrap();
    assert!(node.run(&["renew", "haproxy"]).status.success());
}

#[test]
fn a_link_on_the_way_is_not_followed_out_of_the_place() {
    for link in [HAPROXY.0, HAPROXY.1, "/etc/haproxy"] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        let elsewhere = node.place("/opt/elsewhere/x");
        fs::rename(node.path(link), &elsewhere).unwrap();
        symlink("/opt/elsewhere/x", node.path(link)).unwrap();
        let before = contents(&node.path("/opt"));
        let output = node.run(&["renew", "haproxy"]);
        let told = said(&output);
        let followed = link == "/etc/haproxy";
        assert_eq!(output.status.success(), followed, "{link}: {told}");
        assert_eq!(contents(&node.path("/opt")) == before, !followed, "{link}");
        if followed {
            // Root's links alone are followed; others' are not.
            std::os::unix::fs::lchown(node.path(link), Some(1234), None).unwrap();
            assert!(!node.run(&["renew", "haproxy", "--force"]).status.success());
        }
    }
}
