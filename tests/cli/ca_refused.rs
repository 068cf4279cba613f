//! What keeps a CA from being extended, and that nothing is changed then.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use kubecertd::pki::{KeyAlgorithm, PrivateKey};
use testkit::Node;

use crate::ca::{CA, ca, ending, files};

const PKI: &str = "/etc/kubernetes/pki";

/// Makes a node one whose CA cannot be extended, and what is said of it. `false` where the tool for it is missing.
type Trap = (&'static str, fn(&Node) -> bool, &'static str);

const TRAPS: &[Trap] = &[
    (
        "a CA without its key",
        |node| fs::remove_file(node.path(PKI).join("ca.key")).is_ok(),
        "its key is not on this node",
    ),
    (
        "another CA's key",
        |node| {
            fs::copy(
                node.path(PKI).join("etcd/ca.key"),
                node.path(PKI).join("ca.key"),
            )
            .is_ok()
        },
        "does not belong to",
    ),
    (
        "a key of another kind",
        |node| {
            let key = PrivateKey::generate(KeyAlgorithm::Ed25519).unwrap();
            node.write_pki("ca.key", key.to_pem().unwrap());
            true
        },
        "does not belong to",
    ),
    (
        "a damaged key",
        |node| {
            node.write_pki("ca.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n");
            true
        },
        "ca.key",
    ),
    (
        "a CA that another signed",
        |node| {
            openssl(
                node,
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 9 -subj /CN=root -keyout root.key -out root.crt",
                "",
            ) && openssl(
                node,
                "req -new -key ca.key -subj /CN=kubernetes -out ca.csr",
                "",
            ) && openssl(
                node,
                "x509 -req -in ca.csr -CA root.crt -CAkey root.key -days 1 -extfile extensions -out ca.crt",
                "basicConstraints=critical,CA:TRUE\n",
            )
        },
        "signed it and not itself",
    ),
    (
        "a leaf that names the CA's certificate by issuer and serial number",
        |node| {
            openssl(
                node,
                "req -new -key apiserver.key -subj /CN=kube-apiserver -out leaf.csr",
                "",
            ) && openssl(
                node,
                "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -days 1 -extfile extensions -out apiserver.crt",
                "authorityKeyIdentifier=keyid:always,issuer:always\n",
            )
        },
        "apiserver would not be accepted any more",
    ),
    (
        "a path that is longer than the CA permits",
        |node| {
            let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc";
            let made = openssl(
                node,
                "req -new -key ca.key -subj /CN=kubernetes -out ca.csr",
                "",
            ) && openssl(
                node,
                "x509 -req -in ca.csr -signkey ca.key -days 1 -extfile extensions -out ca.crt",
                "basicConstraints=critical,CA:TRUE,pathlen:0\n",
            ) && openssl(
                node,
                &format!("req -new {key} -subj /CN=below -keyout below.key -out below.csr"),
                "",
            ) && openssl(
                node,
                "x509 -req -in below.csr -CA ca.crt -CAkey ca.key -days 1 -extfile extensions -out below.crt",
                "basicConstraints=critical,CA:TRUE\n",
            ) && openssl(
                node,
                "req -new -key apiserver.key -subj /CN=kube-apiserver -out leaf.csr",
                "",
            ) && openssl(
                node,
                "x509 -req -in leaf.csr -CA below.crt -CAkey below.key -days 1 -out apiserver.crt",
                "",
            );
            if made {
                let read = |name: &str| fs::read_to_string(node.pki_path(name)).unwrap();
                let chain = read("apiserver.crt") + &read("below.crt");
                node.write_pki("apiserver.crt", chain);
                fs::remove_file(node.pki_path("below.crt")).unwrap();
            }
            made
        },
        "more CAs than the 0",
    ),
    (
        "a link through a directory that others can write to",
        |node| {
            let loose = node.path("/srv/loose");
            fs::create_dir_all(&loose).unwrap();
            fs::rename(node.path(CA), loose.join("ca.crt")).unwrap();
            fs::set_permissions(&loose, Permissions::from_mode(0o777)).unwrap();
            symlink("/srv/loose/ca.crt", node.path(CA)).is_ok()
        },
        "nothing is written there",
    ),
    (
        "a kubeconfig that cannot be edited in place",
        |node| {
            let path = "/etc/kubernetes/admin.conf";
            let text = node.read(path).replacen(
                "certificate-authority-data: ",
                "certificate-authority-data: &same ",
                1,
            );
            node.write(path, format!("{text}preferences: {{x: *same}}\n"));
            true
        },
        "admin.conf",
    ),
];

/// In the directory of the certificates.
fn openssl(node: &Node, arguments: &str, extensions: &str) -> bool {
    node.write("/tmp/extensions", extensions);
    let extensions = node.path("/tmp/extensions");
    let mut command = Command::new("openssl");
    command.current_dir(node.path(PKI));
    for word in arguments.split(' ') {
        match word {
            "extensions" => command.arg(&extensions),
            word => command.arg(word),
        };
    }
    match command.output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments}: {told}");
            true
        }
        Err(_) => {
            testkit::skipped("openssl is not installed: it made no odd CAs");
            false
        }
    }
}

#[test]
fn each_reason_is_said_and_nothing_is_changed() {
    for (what, set, expected) in TRAPS {
        let node = ending();
        if !set(&node) {
            continue;
        }
        let before = files(&node);
        let (code, told) = ca(&node, &["extend", "ca"]);
        assert_eq!(code, Some(1), "{what}: {told}");
        assert!(told.contains(expected), "{what}: {told}");
        assert!(told.contains("nothing was changed"), "{what}: {told}");
        assert_eq!(files(&node), before, "{what}");
        let history = node.path("/var/lib/kubecertd/history.jsonl");
        assert!(!history.exists(), "{what}");
    }
}

/// The others are extended, and the command says that not all were.
#[test]
fn of_all_those_are_left_out_that_cannot_be_extended() {
    let node = ending();
    let front_proxy = node.read("/etc/kubernetes/pki/front-proxy-ca.crt");
    let key = fs::read(node.pki_path("ca.key")).unwrap();
    node.write_pki("front-proxy-ca.key", key);
    fs::remove_file(node.pki_path("etcd/ca.key")).unwrap();
    let old = node.read(CA);
    let (code, told) = ca(&node, &["extend", "all"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("etcd-ca: its key is not on this node"),
        "{told}"
    );
    assert!(told.contains("front-proxy-ca"), "{told}");
    assert_ne!(node.read(CA), old);
    assert_eq!(
        node.read("/etc/kubernetes/pki/front-proxy-ca.crt"),
        front_proxy
    );
}

#[test]
fn a_name_that_no_ca_has_is_told_with_the_one_that_is_meant() {
    let node = ending();
    let (code, told) = ca(&node, &["extend", "etcd-c"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("did you mean \"etcd-ca\""), "{told}");
}
