//! `kubecertd renew` where a file is out of reach, or where one file is two certificates'.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::os::unix::fs::symlink;
use std::path::Path;

use jiff::SignedDuration;
use kubecertd::pki::{
    CertificateAuthority, KeyAlgorithm, NewAuthority, PrivateKey, certificates_to_pem,
};
use testkit::{ELEVEN, Node, contents, text};

const KEY: &str = "/etc/kubernetes/pki/apiserver.key";

/// What is said of the key, and what makes it so.
type Case = (&'static str, fn(&Path));

/// Each way in which a key is there and yet cannot be read.
fn out_of_reach() -> [Case; 4] {
    [
        ("is a directory", |key| std::fs::create_dir(key).unwrap()),
        ("is a FIFO", |key| {
            nix::unistd::mkfifo(key, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }),
        ("is a loop of symbolic links", |key| {
            symlink("apiserver.key", key).unwrap();
        }),
        ("which does not exist", |key| {
            symlink("/mnt/secure/apiserver.key", key).unwrap();
        }),
    ]
}

fn serials(node: &Node) -> Vec<String> {
    ELEVEN.iter().map(|name| node.serial(name)).collect()
}

#[test]
fn a_key_out_of_reach_holds_up_its_own_certificate_only() {
    for (reason, make) in out_of_reach() {
        for arguments in [&["renew", "all"][..], &["run", "--once"]] {
            let node = Node::due();
            std::fs::remove_file(node.path(KEY)).unwrap();
            make(&node.path(KEY));
            let before = serials(&node);
            let output = node.run(arguments);
            let told = text(&output.stdout) + &text(&output.stderr);
            assert!(told.contains(reason), "{reason} in:\n{told}");
            if arguments == ["renew", "all"] {
                assert_eq!(output.status.code(), Some(1), "{told}");
            }
            for (name, (old, new)) in ELEVEN.iter().zip(before.iter().zip(serials(&node))) {
                assert_eq!(*old == new, *name == "apiserver", "{reason}: {name}");
            }
        }
    }
}

#[test]
fn a_key_on_a_mount_that_is_absent_is_no_reason_to_renew() {
    let node = Node::fresh();
    std::fs::remove_file(node.path(KEY)).unwrap();
    symlink("/mnt/secure/apiserver.key", node.path(KEY)).unwrap();
    std::fs::create_dir_all(node.path("/mnt/secure")).unwrap();
    let before = serials(&node);
    node.run(&["run", "--once"]);
    assert_eq!(serials(&node), before);
    assert!(contents(&node.path("/mnt/secure")).is_empty());
}

/// What a manifest or kubeconfig says, said otherwise.
fn edit(node: &Node, path: &str, from: &str, to: &str) {
    let path = node.path(path);
    let old = std::fs::read_to_string(&path).unwrap();
    assert!(old.contains(from), "{from} in:\n{old}");
    std::fs::write(path, old.replace(from, to)).unwrap();
}

#[test]
fn two_certificates_with_one_file_are_renewed_once() {
    let node = Node::due();
    let manifest = "/etc/kubernetes/manifests/etcd.yaml";
    edit(&node, manifest, "pki/etcd/peer.crt", "pki/etcd/server.crt");
    edit(&node, manifest, "pki/etcd/peer.key", "pki/etcd/server.key");
    let before = serials(&node);
    let output = node.run(&["renew", "all"]);
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let after = serials(&node);
    for (name, (old, new)) in ELEVEN.iter().zip(before.iter().zip(&after)) {
        assert_ne!(old, new, "{name}");
    }
    assert_eq!(node.serial("etcd-peer"), node.serial("etcd-server"));
    let receipts = std::fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(receipts.contains("\"etcd-peer\"") && receipts.contains("\"etcd-server\""));
}

#[test]
fn one_key_file_of_two_certificates_holds_up_only_those_two() {
    let node = Node::due();
    for name in ["server", "peer"] {
        let base = node.path("/etc/kubernetes/pki/etcd").join(name);
        std::fs::remove_file(base.with_extension("key")).unwrap();
        symlink("one.key", base.with_extension("key")).unwrap();
    }
    let one = PrivateKey::generate(KeyAlgorithm::EcdsaP256)
        .unwrap()
        .to_pem()
        .unwrap();
    std::fs::write(node.path("/etc/kubernetes/pki/etcd/one.key"), one).unwrap();
    let before = serials(&node);
    let output = node.run(&["renew", "all"]);
    let told = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("is also a file of"), "{told}");
    for (name, (old, new)) in ELEVEN.iter().zip(before.iter().zip(serials(&node))) {
        let held_up = ["etcd-peer", "etcd-server"].contains(name);
        assert_eq!(*old == new, held_up, "{name}");
    }
}

#[test]
fn a_key_whose_directory_is_absent_holds_up_its_own_certificate_only() {
    let node = Node::due();
    edit(
        &node,
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        KEY,
        "/etc/kubernetes/pki/absent/apiserver.key",
    );
    let before = serials(&node);
    let output = node.run(&["renew", "all"]);
    let told = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("its directory does not exist"), "{told}");
    for (name, (old, new)) in ELEVEN.iter().zip(before.iter().zip(serials(&node))) {
        assert_eq!(*old == new, *name == "apiserver", "{name}");
    }
}

#[test]
fn a_kubeconfig_that_is_another_ones_file_is_renewed_with_it() {
    let node = Node::due();
    let path = node.path("/etc/kubernetes/super-admin.conf");
    std::fs::remove_file(&path).unwrap();
    symlink("admin.conf", &path).unwrap();
    let old = node.serial("admin.conf");
    // Its name alone is enough: nobody can renew one of the two.
    let output = node.run(&["renew", "super-admin.conf"]);
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_ne!(node.serial("admin.conf"), old);
    assert!(path.is_symlink());
    let receipts = std::fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(receipts.contains("\"admin.conf\"") && receipts.contains("\"super-admin.conf\""));
}

#[test]
fn of_a_ca_bundle_the_certificate_of_the_key_signs_in_either_order() {
    let bundle = "/etc/kubernetes/pki/ca.crt";
    for own_first in [true, false] {
        let node = Node::due();
        let own = std::fs::read_to_string(node.path(bundle)).unwrap();
        let now = jiff::Timestamp::now();
        let other = CertificateAuthority::generate(&NewAuthority {
            common_name: "kubernetes".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: now - SignedDuration::from_hours(24 * 3000),
            not_after: now + SignedDuration::from_hours(24 * 10),
        })
        .unwrap();
        let other = certificates_to_pem([other.certificate()]);
        let both = if own_first {
            own + &other
        } else {
            other + &own
        };
        std::fs::write(node.path(bundle), both).unwrap();
        let before = serials(&node);
        let output = node.run(&["run", "--once"]);
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{told}");
        for (name, (old, new)) in ELEVEN.iter().zip(before.iter().zip(serials(&node))) {
            assert_ne!(*old, new, "own first: {own_first}: {name}\n{told}");
        }
    }
}

#[test]
fn kubeconfigs_that_refer_to_one_pair_are_renewed_and_put_back_with_it() {
    let node = Node::due();
    let names = [
        "apiserver-kubelet-client",
        "controller-manager.conf",
        "scheduler.conf",
    ];
    for name in &names[1..] {
        let path = node.path("/etc/kubernetes").join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| {
            let (field, _) = line.split_once("-data:").unwrap_or_default();
            let file = match field.trim() {
                "client-certificate" => "crt",
                "client-key" => "key",
                _ => return line.to_owned(),
            };
            format!("{field}: /etc/kubernetes/pki/apiserver-kubelet-client.{file}")
        });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    }
    let before = serials(&node);
    let output = node.run(&["run", "--once"]);
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{told}");
    for (name, (old, new)) in ELEVEN.iter().zip(before.iter().zip(serials(&node))) {
        assert_ne!(*old, new, "{name}");
    }
    assert_eq!(node.serial(names[0]), node.serial(names[2]));
    // The receipt has all three, and a roll-back puts all three back.
    let receipts = std::fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    let receipt: serde_json::Value = serde_json::from_str(receipts.trim()).unwrap();
    assert_eq!(receipt["certificates"].as_array().unwrap().len(), 11);
    let id = receipt["id"].as_str().unwrap();
    let output = node.run(&["rollback", id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(serials(&node), before);
}
