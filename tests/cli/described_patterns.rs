//! Patterns that stand for several certificates that are not kubeadm's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;

use crate::described::{certificate, key_fits};
use testkit::others::{due_of, put};
use testkit::{Node, said};

#[test]
fn a_pattern_stands_for_several_and_passes_authorities_over() {
    let node = Node::fresh();
    let ending = |name: &str, end: &str| format!("/etc/etcd/pki/{name}.{end}");
    for name in ["server", "peer"] {
        let pair = due_of(&node.etcd_ca);
        put(&node, (&ending(name, "crt"), &ending(name, "key")), &pair);
    }
    fs::copy(
        node.pki_path("etcd/ca.crt"),
        node.path("/etc/etcd/pki/ca.crt"),
    )
    .unwrap();
    node.configure(
        "[certificate.etcd-host]\nfile = \"/etc/etcd/pki/*.crt\"\nkey = \"/etc/etcd/pki/*.key\"\nissuer = \"etcd-ca\"\nbefore = \"10d\"\n",
    );
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(
        all.contains("etcd-host/server") && all.contains("etcd-host/peer"),
        "{all}"
    );
    assert!(!all.contains("etcd-host/ca"), "{all}");
    let old = ["server", "peer"].map(|name| certificate(&node, &ending(name, "crt")).serial);
    // The table's `before` holds for all of them: twenty days are left.
    assert!(node.run(&["run", "--once"]).status.success());
    let same = ["server", "peer"].map(|name| certificate(&node, &ending(name, "crt")).serial);
    assert_eq!(same, old);
    let output = node.run(&["renew", "etcd-host/peer"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(certificate(&node, &ending("server", "crt")).serial, old[0]);
    assert_ne!(certificate(&node, &ending("peer", "crt")).serial, old[1]);
    assert!(key_fits(
        &node,
        (&ending("peer", "crt"), &ending("peer", "key"))
    ));
    let output = node.run(&["renew", "etcd-host/pear"]);
    assert!(
        said(&output).contains("did you mean \"etcd-host/peer\"?"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_pattern_that_matches_hundreds_is_bounded() {
    let node = Node::fresh();
    let pair = due_of(&node.ca);
    for number in 0..300 {
        let base = format!("/etc/many/{number:03}");
        put(
            &node,
            (&format!("{base}.crt"), &format!("{base}.key")),
            &pair,
        );
    }
    // No names for any command.
    for odd in ["a\nb.crt", "\u{1b}[2J.crt"] {
        fs::write(node.path("/etc/many").join(odd), pair.certificate_pem()).unwrap();
    }
    node.configure("[certificate.many]\nfile = \"/etc/many/*.crt\"\nkey = \"/etc/many/*.key\"\nissuer = \"ca\"\n");
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("more than 64 files"), "{all}");
    assert!(
        all.contains("many/063") && !all.contains("many/064"),
        "{all}"
    );
    node.configure("[certificate.none]\nfile = \"/etc/none/*.crt\"\nkey = \"/etc/none/*.key\"\nissuer = \"ca\"\n");
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("[certificate.none] names it"), "{all}");
}

/// As cfssl names them: beside each certificate its key, with the same ending.
#[test]
fn the_key_of_another_match_is_no_certificate() {
    let node = Node::fresh();
    let directory = "/etc/etcd/pki";
    let pair = due_of(&node.etcd_ca);
    for number in 0..40 {
        let base = format!("{directory}/m{number:02}");
        let files = (format!("{base}.pem"), format!("{base}-key.pem"));
        put(&node, (&files.0, &files.1), &pair);
    }
    node.configure(&format!(
        "[certificate.host]\nfile = \"{directory}/*.pem\"\nkey = \"{directory}/*-key.pem\"\nissuer = \"etcd-ca\"\n"
    ));
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("host/m39"), "{all}");
    assert!(
        !all.contains("-key.pem") && !all.contains("more than 64"),
        "{all}"
    );
    let plan = said(&node.run(&["plan"]));
    assert!(!plan.contains("-key"), "{plan}");
    let output = node.run(&["renew", "host/m07"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_ne!(
        certificate(&node, &format!("{directory}/m07.pem")).serial,
        pair.certificate.serial
    );

    // A key without its certificate is said, and so is a certificate by such a name.
    node.remove(&format!("{directory}/m39.pem"));
    node.write(
        &format!("{directory}/m38-key.pem"),
        pair.certificate_pem() + &pair.key_pem(),
    );
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(
        all.contains("m39-key.pem: ") && all.contains("host/m38-key"),
        "{all}"
    );
    assert!(!all.contains("m37-key"), "{all}");
}
