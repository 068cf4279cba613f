//! What is kept of an operation, how long, and what a rollback refuses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use testkit::{Node, contents};

use crate::history::{done, operations, refused};
use crate::receipts::killed_before_its_receipt;

/// Dates a backup back.
fn age(node: &Node, id: &str, days: i64) {
    let index = node
        .path("/var/lib/kubecertd/backups")
        .join(id)
        .join("index.json");
    let mut edited: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    let made = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    edited["created"] = made.to_string().into();
    std::fs::write(&index, edited.to_string()).unwrap();
}

/// The files in a backup, and whether any of them holds a key.
fn kept_of(node: &Node, id: &str) -> (Vec<String>, bool) {
    let backup = node.path("/var/lib/kubecertd/backups").join(id);
    let all = contents(&backup);
    let has_key = all.values().any(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("PRIVATE KEY") || text.contains("client-key-data")
    });
    let names = all.keys().map(|path| {
        let name = path.file_name().unwrap();
        name.to_str().unwrap().to_owned()
    });
    (names.collect(), has_key)
}

#[test]
fn private_keys_leave_a_backup_after_its_max_age_and_certificates_stay() {
    let node = Node::fresh();
    done(&node, &["renew", "apiserver", "admin.conf"]);
    done(&node, &["renew", "etcd-peer"]);
    let ids = operations(&node);
    age(&node, &ids[0], 89);
    done(&node, &["run", "--once"]);
    assert!(kept_of(&node, &ids[0]).1);
    age(&node, &ids[0], 91);
    done(&node, &["run", "--once"]);
    let (names, has_key) = kept_of(&node, &ids[0]);
    assert!(!has_key);
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names.iter().any(|name| name == "apiserver.crt"),
        "{names:?}"
    );
    assert!(kept_of(&node, &ids[1]).1);

    let now = contents(&node.path("/etc"));
    for arguments in [
        &["rollback", &ids[0]][..],
        &["rollback", &ids[0], "--force"],
    ] {
        let said = refused(&node, arguments);
        let moment = jiff::Timestamp::now().strftime("%b %d, %Y").to_string();
        assert!(
            said.contains("admin.conf, apiserver: its keys were removed from the backup on")
                || said.contains("apiserver, admin.conf: its keys were removed from the backup on"),
            "{said}"
        );
        assert!(
            said.contains(&moment) && said.contains("backup.max-age"),
            "{said}"
        );
    }
    assert_eq!(contents(&node.path("/etc")), now);
    let shown = done(&node, &["history", "show", &ids[0]]);
    assert!(shown.contains("apiserver.key (removed on "), "{shown}");
    // The newest that can be put back is another.
    let said = done(&node, &["rollback", "last", "--dry-run"]);
    assert!(said.contains(&ids[1]), "{said}");
}

#[test]
fn the_end_of_any_operation_clears_old_keys_away_by_the_configured_age() {
    let node = Node::fresh();
    node.configure("[backup]\nmax-age = \"2h\"\n");
    done(&node, &["renew", "apiserver"]);
    let id = operations(&node).remove(0);
    age(&node, &id, 1);
    done(&node, &["renew", "etcd-peer"]);
    assert!(!kept_of(&node, &id).1);
    assert!(kept_of(&node, &operations(&node)[1]).1, "its own are kept");
}

#[test]
fn keys_whose_certificates_have_ended_leave_the_backup_whatever_its_age() {
    let node = Node::new(
        jiff::SignedDuration::from_hours(24 * 30),
        jiff::SignedDuration::from_secs(-60),
    );
    done(&node, &["renew", "apiserver", "admin.conf"]);
    let id = operations(&node).remove(0);
    assert!(kept_of(&node, &id).1);
    // In generations of earlier versions nothing says when they end.
    let index = node
        .path("/var/lib/kubecertd/backups")
        .join(&id)
        .join("index.json");
    let mut edited: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    for file in edited["files"].as_array_mut().unwrap() {
        assert!(
            file.as_object_mut().unwrap().remove("ends").is_some()
                || file["path"].as_str().unwrap().ends_with(".key")
        );
    }
    std::fs::write(&index, edited.to_string()).unwrap();
    done(&node, &["run", "--once"]);
    assert!(!kept_of(&node, &id).1);
    let said = refused(&node, &["rollback", &id, "--force"]);
    assert!(said.contains("its keys were removed"), "{said}");
}

#[test]
fn what_an_operation_in_flight_needs_keeps_its_keys() {
    let Some((node, old)) = killed_before_its_receipt() else {
        return;
    };
    let journal = contents(&node.path("/var/lib/kubecertd/journal"));
    let name = journal.keys().next().unwrap().file_stem().unwrap();
    let id = name.to_str().unwrap().to_owned();
    age(&node, &id, 1000);
    let context = kubecertd::operation::Context::new(
        node.root.clone(),
        kubecertd::config::Config::default(),
        None,
    );
    let now = jiff::Timestamp::now();
    assert!(
        kubecertd::operation::tidy_backups(&context, now)
            .unwrap()
            .is_empty()
    );
    assert!(kept_of(&node, &id).1);
    done(&node, &["recover"]);
    done(&node, &["rollback", &id]);
    assert_eq!(node.serial("apiserver"), old);
    // Now nothing needs them.
    assert!(!kept_of(&node, &id).1);
    // What a crash left behind of what the index gives up goes the next time.
    let copy = node
        .path("/var/lib/kubecertd/backups")
        .join(&id)
        .join("etc/kubernetes/pki/apiserver.key");
    std::fs::write(&copy, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    kubecertd::operation::tidy_backups(&context, now).unwrap();
    assert!(!copy.exists());
}

#[test]
fn a_damaged_backup_another_ca_and_an_expired_certificate_are_refused() {
    let node = Node::fresh();
    done(&node, &["renew", "all"]);
    let id = operations(&node).remove(0);
    let renewed = contents(&node.path("/etc"));
    let backup = node.path("/var/lib/kubecertd/backups").join(&id);

    let copy = backup.join("etc/kubernetes/pki/apiserver.crt");
    let kept = std::fs::read(&copy).unwrap();
    std::fs::write(&copy, b"edited by hand").unwrap();
    let said = refused(&node, &["rollback", &id]);
    assert!(
        said.contains("apiserver.crt") && said.contains("not what was backed up"),
        "{said}"
    );
    std::fs::remove_file(&copy).unwrap();
    assert!(refused(&node, &["rollback", &id]).contains("apiserver.crt"));
    std::fs::write(&copy, &kept).unwrap();
    assert_eq!(contents(&node.path("/etc")), renewed);

    // Another key, with an index that agrees: whoever edits one can edit the other.
    let index = backup.join("index.json");
    let written = std::fs::read_to_string(&index).unwrap();
    let mut edited: serde_json::Value = serde_json::from_str(&written).unwrap();
    let files = edited["files"].as_array_mut().unwrap();
    let place = |files: &[serde_json::Value], path: &str| {
        files.iter().position(|file| file["path"] == path).unwrap()
    };
    let (key, other) = (
        "/etc/kubernetes/pki/apiserver.key",
        "/etc/kubernetes/pki/etcd/peer.key",
    );
    let contents_of_other = files[place(files, other)]["contents"].clone();
    let index_of_key = place(files, key);
    files[index_of_key]["contents"] = contents_of_other;
    let copy_of = |path: &str| backup.join(path.trim_start_matches('/'));
    let kept_key = std::fs::read(copy_of(key)).unwrap();
    std::fs::copy(copy_of(other), copy_of(key)).unwrap();
    std::fs::write(&index, edited.to_string()).unwrap();
    let said = refused(&node, &["rollback", &id]);
    assert!(said.contains("do not belong together"), "{said}");
    std::fs::write(copy_of(key), kept_key).unwrap();
    std::fs::write(&index, written).unwrap();
    assert_eq!(contents(&node.path("/etc")), renewed);

    let ca = node.path("/etc/kubernetes/pki/ca.crt");
    let own = std::fs::read(&ca).unwrap();
    std::fs::copy(node.path("/etc/kubernetes/pki/etcd/ca.crt"), &ca).unwrap();
    let said = refused(&node, &["rollback", &id]);
    assert!(
        said.contains("not by the CA that is on this node now"),
        "{said}"
    );
    std::fs::write(&ca, own).unwrap();
    assert_eq!(contents(&node.path("/etc")), renewed);
    done(&node, &["rollback", &id]);
}

#[test]
fn what_the_local_ca_did_not_issue_is_not_rolled_back_over() {
    let node = Node::fresh();
    done(&node, &["renew", "all"]);
    let id = operations(&node).remove(0);
    for ending in ["crt", "key"] {
        let from = node.path(&format!("/etc/kubernetes/pki/etcd/server.{ending}"));
        let to = node.path(&format!("/etc/kubernetes/pki/apiserver.{ending}"));
        std::fs::copy(from, to).unwrap();
    }
    let now = contents(&node.path("/etc"));
    for arguments in [&["rollback", &id][..], &["rollback", &id, "--force"]] {
        let said = refused(&node, arguments);
        assert!(
            said.contains("apiserver") && said.contains("left alone"),
            "{said}"
        );
        assert_eq!(contents(&node.path("/etc")), now);
    }
}

#[test]
fn what_has_expired_goes_back_only_by_force() {
    let node = Node::new(
        jiff::SignedDuration::from_hours(24 * 30),
        jiff::SignedDuration::from_secs(-60),
    );
    let expired = node.serial("apiserver");
    done(&node, &["renew", "all"]);
    let id = operations(&node).remove(0);
    let said = refused(&node, &["rollback", &id]);
    assert!(
        said.contains("--force") && said.contains("apiserver"),
        "{said}"
    );
    assert_ne!(node.serial("apiserver"), expired);
    done(&node, &["rollback", &id, "--force"]);
    assert_eq!(node.serial("apiserver"), expired);
}
