//! Files that somebody made to do harm, or that a disk made up: no crash, no wait, nothing outside touched, nothing shown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod common;

use common::{Node, contents, text};

/// Longer than a width may be in `format!`.
const LONG: usize = 70_000;

#[test]
fn tables_can_be_printed_whatever_the_length_of_a_name() {
    let node = Node::due();
    let name = "n".repeat(LONG);
    let manifest = node.path("/etc/kubernetes/manifests/etcd.yaml");
    let etcd = std::fs::read_to_string(&manifest).unwrap();
    assert!(etcd.contains("component: etcd\n"), "{etcd}");
    std::fs::write(
        &manifest,
        etcd.replace("component: etcd\n", &format!("component: {name}\n")),
    )
    .unwrap();
    for arguments in [
        ["plan"].as_slice(),
        &["renew", "all", "--dry-run"],
        &["check-expiration", "--all"],
    ] {
        let output = node.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stdout).contains("etcd-server"),
            "{arguments:?}"
        );
    }
    assert!(
        text(&node.run(&["plan"]).stdout).contains(&name),
        "the long name is in the plan"
    );
}

#[test]
fn a_status_file_with_a_long_name_is_shown() {
    let node = Node::fresh();
    assert!(node.run(&["run", "--once"]).status.success());
    let path = node.path("/run/kubecertd/status.json");
    let status = std::fs::read_to_string(&path).unwrap();
    let name = "n".repeat(LONG);
    std::fs::write(
        &path,
        status.replace("\"etcd-server\"", &format!("\"{name}\"")),
    )
    .unwrap();
    let output = node.run(&["status"]);
    assert!(
        text(&output.stdout).contains(&name),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_index_of_a_backup_leads_to_nothing_outside() {
    let node = Node::fresh();
    node.configure("[backup]\nkeep = 1\n");
    let backups = node.path("/var/lib/kubecertd/backups");
    let victim = node.path("/var/lib/kubelet");
    let before = contents(&victim);
    assert!(!before.is_empty());
    for (directory, id) in [
        ("up", "../../kubelet".to_owned()),
        ("absolute", victim.display().to_string()),
        ("empty", String::new()),
        ("here", ".".to_owned()),
    ] {
        let directory = backups.join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let index = format!(r#"{{"id":{id:?},"created":"2020-01-01T00:00:00Z","files":[]}}"#);
        std::fs::write(directory.join("index.json"), index).unwrap();
    }
    for _ in 0..2 {
        let output = node.run(&["renew", "apiserver", "--force"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(contents(&victim), before);
    let left = std::fs::read_dir(&backups).unwrap().count();
    assert_eq!(
        left,
        4 + 1,
        "what is no backup of ours stays, and of ours one"
    );
}

#[test]
fn a_token_that_looks_like_a_number_stays_and_is_not_shown() {
    let node = Node::fresh();
    let path = node.path("/etc/kubernetes/admin.conf");
    let other = "\n- name: other\n  user:\n    token: 987654e321987\n    password: 11223344556677889900e9999\n";
    let whole = std::fs::read_to_string(&path).unwrap().replacen(
        "\nusers:\n",
        &format!("\nusers:{other}"),
        1,
    );
    assert!(whole.contains(other));
    std::fs::write(&path, &whole).unwrap();
    let serial = node.serial("admin.conf");
    let output = node.run(&["renew", "admin.conf", "--force"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        output.status.success() && !said.contains("112233"),
        "{said}"
    );
    assert_ne!(node.serial("admin.conf"), serial);
    assert!(std::fs::read_to_string(&path).unwrap().contains(other));
}
