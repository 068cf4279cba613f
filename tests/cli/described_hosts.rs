//! Hosts that have nothing of kubeadm's but certificates that are described.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::described::{certificate, key_fits, renew_in_vain};
use kubecertd::pki::Validity;
use testkit::others::{due_of, put, server_leaf};
use testkit::pair::{Pair, authority};
use testkit::{Node, said};

#[test]
fn a_host_that_has_only_those_is_a_node() {
    let node = Node::with_authorities();
    let (now, days) = (jiff::Timestamp::now(), |days: i64| {
        jiff::SignedDuration::from_hours(24 * days)
    });
    let validity = Validity {
        not_before: now - days(28),
        not_after: now + days(2),
    };
    let pair = Pair::sign(&server_leaf(), &node.etcd_ca, validity);
    put(
        &node,
        ("/etc/etcd/pki/server.crt", "/etc/etcd/pki/server.key"),
        &pair,
    );
    for path in [
        "ca.crt",
        "ca.key",
        "front-proxy-ca.crt",
        "front-proxy-ca.key",
    ] {
        fs::remove_file(node.pki_path(path)).unwrap();
    }
    // Without a description it is no such node.
    node.remove("/etc/kubernetes/pki/etcd/ca.key");
    for arguments in [&["plan"][..], &["check-expiration"], &["run", "--once"]] {
        let output = node.run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
    }
    node.write_pki("etcd/ca.key", node.etcd_ca.key().to_pem().unwrap());
    node.configure(
        "[certificate.etcd-host]\nfile = \"/etc/etcd/pki/server.crt\"\nkey = \"/etc/etcd/pki/server.key\"\nissuer = \"etcd-ca\"\n",
    );
    // So its daemon speaks to no API.
    let loaded = kubecertd::config::load(&node.root, None).unwrap();
    assert!(!kubecertd::node::observe(&node.root, &loaded.config.locations).is_kubeadms());
    for arguments in [
        &["plan"][..],
        &["preflight"],
        &["check-expiration"],
        &["check-expiration", "--all", "--within", "1d"],
    ] {
        let output = node.run(arguments);
        let told = said(&output);
        assert!(output.status.success(), "{arguments:?}: {told}");
        for absent in [
            "apiserver",
            "admin.conf",
            "kubeadm init",
            "manifest directory",
            "front-proxy",
        ] {
            assert!(!told.contains(absent), "{arguments:?} {absent}: {told}");
        }
    }
    let output = node.run(&["run", "--once"]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert_ne!(
        certificate(&node, "/etc/etcd/pki/server.crt").serial,
        pair.certificate.serial,
        "{told}"
    );
    for absent in ["apiserver", "admin.conf", "does not exist"] {
        assert!(!told.contains(absent), "{absent}: {told}");
    }
    // A node that lost kubeadm's certificates and still has its pods is none.
    node.write(
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver}\nspec:\n  containers:\n  - {name: kube-apiserver, image: x, command: [kube-apiserver]}\n",
    );
    let plan = said(&node.run(&["plan"]));
    assert!(plan.contains("apiserver"), "{plan}");
}

#[test]
fn a_ca_of_its_own_signs_on_a_host_without_kubeadm() {
    let tree = || {
        let node = Node::with_authorities();
        for name in ["ca", "front-proxy-ca", "etcd/ca"] {
            for end in ["crt", "key"] {
                fs::remove_file(node.pki_path(&format!("{name}.{end}"))).unwrap();
            }
        }
        let now = jiff::Timestamp::now();
        let hours = jiff::SignedDuration::from_hours;
        let ca = authority("hosts", now - hours(24 * 400), now + hours(24 * 4000));
        let pem = kubecertd::pki::certificates_to_pem([ca.certificate()]);
        let path = node.write("/etc/etcd/ca/ca.crt", pem);
        testkit::others::close(&node, &path);
        let key = node.write("/etc/etcd/ca/ca.key", ca.key().to_pem().unwrap().as_bytes());
        fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        let pair = due_of(&ca);
        put(&node, ("/etc/etcd/pki/a.crt", "/etc/etcd/pki/a.key"), &pair);
        node.configure(
            "[certificate.host]\nfile = \"/etc/etcd/pki/*.crt\"\nkey = \"/etc/etcd/pki/*.key\"\nca = \"/etc/etcd/ca/ca.crt\"\n\
             ca-key = \"/etc/etcd/ca/ca.key\"\n",
        );
        (node, ca, pair.certificate.serial)
    };
    let (node, ca, old) = tree();
    let output = node.run(&["check-expiration"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("ca.crt"), "{}", said(&output));
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(
        all.contains("/etc/etcd/ca/ca.crt") && all.contains("host/a"),
        "{all}"
    );
    let output = node.run(&["run", "--once"]);
    assert!(output.status.success(), "{}", said(&output));
    let new = certificate(&node, "/etc/etcd/pki/a.crt");
    assert_ne!(new.serial, old, "{}", said(&output));
    assert!(new.is_signed_by(ca.certificate()));
    assert!(key_fits(
        &node,
        ("/etc/etcd/pki/a.crt", "/etc/etcd/pki/a.key")
    ));
    assert!(node.run(&["rollback", "last"]).status.success());
    assert_eq!(certificate(&node, "/etc/etcd/pki/a.crt").serial, old);

    // Who can change what counts as the CA is one.
    for (path, mode) in [("/etc/etcd/ca", 0o777), ("/etc/etcd/ca/ca.crt", 0o666)] {
        let (node, _, _) = tree();
        fs::set_permissions(node.path(path), Permissions::from_mode(mode)).unwrap();
        let told = renew_in_vain(&node, "host/a");
        assert!(told.contains("written by others"), "{told}");
    }
    // Its key is opened to sign, and by no other name.
    let (node, _, _) = tree();
    fs::hard_link(
        node.path("/etc/etcd/ca/ca.key"),
        node.path("/etc/etcd/pki/b.key"),
    )
    .unwrap();
    fs::copy(
        node.path("/etc/etcd/pki/a.crt"),
        node.path("/etc/etcd/pki/b.crt"),
    )
    .unwrap();
    let told = renew_in_vain(&node, "host/b");
    assert!(told.contains("the key of the authority"), "{told}");
    // A path where no key is may be a slip of the pen.
    let (node, _, _) = tree();
    node.remove("/etc/etcd/ca/ca.key");
    let told = renew_in_vain(&node, "host/a");
    assert!(
        told.contains(
            "/etc/etcd/ca/ca.key: does not exist, but [certificate.host] names it as ca-key; "
        ),
        "{told}"
    );
    let once = said(&node.run(&["run", "--once"]));
    assert!(!node.path("/var/lib/kubecertd/outbox").exists(), "{once}");
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("/etc/etcd/ca/ca.key: does not exist"), "{all}");

    // The key elsewhere: a request is written for it.
    let (node, _, old) = tree();
    node.remove("/etc/etcd/ca/ca.key");
    node.configure(
        "[certificate.host]\nfile = \"/etc/etcd/pki/*.crt\"\nkey = \"/etc/etcd/pki/*.key\"\nca = \"/etc/etcd/ca/ca.crt\"\n",
    );
    let output = node.run(&["run", "--once"]);
    assert_eq!(certificate(&node, "/etc/etcd/pki/a.crt").serial, old);
    let outbox = fs::read_dir(node.path("/var/lib/kubecertd/outbox"))
        .unwrap()
        .count();
    assert_eq!(outbox, 1, "{}", said(&output));
}

/// What is described makes a host one of its kind, whether anything lies there yet or not.
#[test]
fn a_pattern_that_matches_nothing_yet_makes_no_broken_node_of_a_host() {
    let node = Node::with_authorities();
    node.remove("/etc/kubernetes/pki");
    fs::create_dir_all(node.path("/etc/etcd/pki")).unwrap();
    node.configure(
        "[certificate.host]\nfile = \"/etc/etcd/pki/*.crt\"\nkey = \"/etc/etcd/pki/*.key\"\nissuer = \"etcd-ca\"\n",
    );
    for arguments in [
        &["plan"][..],
        &["check-expiration"],
        &["check-expiration", "--all"],
        &["preflight"],
        &["run", "--once"],
    ] {
        let output = node.run(arguments);
        let told = said(&output);
        // That nothing is there is a problem for whoever asks what is.
        let acts = arguments == ["run", "--once"];
        assert!(output.status.success() || !acts, "{arguments:?}: {told}");
        for absent in [
            "apiserver",
            "admin.conf",
            "no node of a kubeadm cluster",
            "no control-plane node",
            "manifest directory",
        ] {
            assert!(!told.contains(absent), "{arguments:?} {absent}: {told}");
        }
    }
    let plan = said(&node.run(&["plan"]));
    assert!(plan.contains("[certificate.host] names it"), "{plan}");
}
