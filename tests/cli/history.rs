//! `kubecertd history` and `kubecertd rollback` on a made-up node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use testkit::{ELEVEN, Node, contents, text};

/// Runs a command that has to end well; what it printed.
pub(crate) fn done(node: &Node, arguments: &[&str]) -> String {
    let output = node.run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs a command that has to be refused; what it said.
pub(crate) fn refused(node: &Node, arguments: &[&str]) -> String {
    let output = node.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr)
}

/// Ids of all operations, oldest first.
pub(crate) fn operations(node: &Node) -> Vec<String> {
    let json = done(node, &["history", "-o", "json"]);
    let receipts: serde_json::Value = serde_json::from_str(&json).unwrap();
    let receipts = receipts.as_array().unwrap();
    receipts
        .iter()
        .map(|receipt| receipt["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_history_tells_what_was_done_and_what_is_kept() {
    let node = Node::fresh();
    assert!(done(&node, &["history"]).contains("No operation has ended yet"));
    assert!(done(&node, &["history", "verify"]).contains("0 receipts"));
    let old = node.serial("apiserver");
    done(&node, &["renew", "apiserver"]);
    done(&node, &["renew", "admin.conf", "scheduler.conf"]);
    let ids = operations(&node);
    assert_eq!(ids.len(), 2);

    let table = done(&node, &["history"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("OPERATION"), "{table}");
    assert!(lines[1].contains(&ids[0]) && lines[1].contains("renew apiserver"));
    assert!(lines[2].contains("2 certificates") && lines[2].ends_with("done"));

    let shown = done(&node, &["history", "show", &ids[0]]);
    assert!(shown.contains(&old) && shown.contains(&node.serial("apiserver")));
    assert!(shown.contains("/etc/kubernetes/pki/apiserver.key"));
    let json = done(&node, &["history", "show", &ids[1], "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["backup"].as_array().unwrap().len(), 2);
    assert!(refused(&node, &["history", "show", "2001"]).contains("no operation is called"));
    let mut wrong = ids[1].clone();
    wrong.replace_range(wrong.len() - 1.., "x");
    assert!(refused(&node, &["history", "show", &wrong]).contains(&ids[1]));
}

#[test]
fn a_line_edited_by_hand_is_named_and_hides_no_other() {
    let node = Node::fresh();
    for name in ["apiserver", "admin.conf", "etcd-peer"] {
        done(&node, &["renew", name]);
    }
    let path = node.path("/var/lib/kubecertd/history.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let verified = done(&node, &["history", "verify"]);
    assert!(verified.contains("3 receipts"), "{verified}");

    std::fs::write(&path, whole.replace("\"admin.conf\"", "\"amdin.conf\"")).unwrap();
    let said = refused(&node, &["history", "verify"]);
    assert!(
        said.contains("history.jsonl:2:") && said.contains("changed"),
        "{said}"
    );

    let lines: Vec<&str> = whole.lines().collect();
    std::fs::write(&path, format!("{}\n{{}}\n{}\n", lines[0], lines[2])).unwrap();
    let output = node.run(&["history"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("renew apiserver"));
    assert!(text(&output.stdout).contains("renew etcd-peer"));
    assert!(text(&output.stderr).contains("history.jsonl:2:"));

    std::fs::write(&path, format!("{}\n{}\n", lines[0], lines[1])).unwrap();
    let said = refused(&node, &["history", "verify"]);
    assert!(
        said.contains("1 of them are missing") || said.contains("missing at the end"),
        "{said}"
    );

    // Whatever is in it, and whatever the configuration says: the table comes.
    node.configure("this is = not [toml");
    std::fs::write(&path, [0xff, 0xfe, b'\n', 0, b'\n']).unwrap();
    let output = node.run(&["history"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("history.jsonl:1:"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(refused(&node, &["history"]).contains("history.jsonl"));
}

#[test]
fn a_rollback_puts_all_files_of_an_operation_back_and_can_itself_be_rolled_back() {
    let node = Node::fresh();
    let scheduler = node.path("/etc/kubernetes/scheduler.conf");
    std::fs::set_permissions(&scheduler, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = contents(&node.path("/etc"));
    done(&node, &["renew", "all"]);
    let renewed = contents(&node.path("/etc"));
    let first = operations(&node).remove(0);

    let preview = done(&node, &["rollback", &first, "--dry-run"]);
    assert!(
        preview.contains("apiserver") && preview.contains("kube-apiserver"),
        "{preview}"
    );
    assert_eq!(contents(&node.path("/etc")), renewed);

    let said = done(&node, &["rollback", &first]);
    assert!(said.contains("apiserver put back"), "{said}");
    assert_eq!(contents(&node.path("/etc")), before);
    assert_eq!(scheduler.metadata().unwrap().mode() & 0o7777, 0o640);
    assert!(contents(&node.path("/var/lib/kubecertd/journal")).is_empty());
    let again = done(&node, &["rollback", &first]);
    assert!(again.contains("in place already"), "{again}");

    let second = operations(&node).remove(1);
    let shown = done(&node, &["history", "show", &second]);
    assert!(shown.contains(&format!("rollback {first}")), "{shown}");
    done(&node, &["rollback", &second]);
    assert_eq!(contents(&node.path("/etc")), renewed);
    assert!(done(&node, &["history", "verify"]).contains("3 receipts"));
}

#[test]
fn a_rollback_past_later_operations_needs_force_and_says_which_they_are() {
    let node = Node::fresh();
    let oldest = node.serial("apiserver");
    done(&node, &["renew", "apiserver"]);
    done(&node, &["renew", "all", "--force"]);
    let ids = operations(&node);
    let since = format!("operation {} changed it since: apiserver", ids[1]);
    let now = contents(&node.path("/etc"));

    let json = ["rollback", &ids[0], "--dry-run", "-o", "json"];
    let json: serde_json::Value = serde_json::from_slice(&node.run(&json).stdout).unwrap();
    let obstacle = &json["obstacles"][0];
    assert_eq!(obstacle["code"], "changed-again", "{json:#}");
    assert_eq!(obstacle["fields"]["operation"], *ids[1], "{json:#}");
    assert!(obstacle["message"].as_str().unwrap().contains("--force"));
    let output = node.run(&["rollback", &ids[0], "--dry-run"]);
    assert_eq!(output.status.code(), Some(1));
    let preview = text(&output.stdout);
    assert!(
        preview.contains("It would be refused: ") && preview.contains(&since),
        "{preview}"
    );
    let said = refused(&node, &["rollback", &ids[0]]);
    assert!(
        said.contains(&since) && said.contains("`kubecertd renew all`") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(contents(&node.path("/etc")), now);

    let preview = done(&node, &["rollback", &ids[0], "--dry-run", "--force"]);
    assert!(preview.contains(&format!("Note: {since}")), "{preview}");
    done(&node, &["rollback", &ids[0], "--force"]);
    assert_eq!(node.serial("apiserver"), oldest);
    let said = refused(&node, &["rollback", "20010101"]);
    assert!(said.contains(&ids[0]) && said.contains(&ids[1]), "{said}");
    let said = refused(&node, &["rollback", &ids[0][..2]]);
    assert!(said.contains("several") && said.contains(&ids[1]), "{said}");
}

#[test]
fn what_another_program_renewed_since_needs_force_also_without_a_history() {
    let node = Node::fresh();
    done(&node, &["renew", "apiserver"]);
    let renewed = contents(&node.path("/etc"));
    done(&node, &["renew", "apiserver", "--force"]);
    let ids = operations(&node);
    for name in ["history.jsonl", "history.end"] {
        std::fs::remove_file(node.path("/var/lib/kubecertd").join(name)).unwrap();
    }
    let said = refused(&node, &["rollback", &ids[0]]);
    assert!(
        said.contains(&format!("operation {} changed it since", ids[1])),
        "{said}"
    );

    let node = Node::fresh();
    done(&node, &["renew", "apiserver"]);
    let id = operations(&node).remove(0);
    // kubeadm, say: it keeps no history.
    done(&node, &["renew", "apiserver", "--force"]);
    let state = node.path("/var/lib/kubecertd");
    let history = std::fs::read_to_string(state.join("history.jsonl")).unwrap();
    let first = history.lines().next().unwrap();
    std::fs::write(state.join("history.jsonl"), format!("{first}\n")).unwrap();
    let said = refused(&node, &["rollback", &id]);
    assert!(
        said.contains("apiserver: what is there now was put there by another program since"),
        "{said}"
    );
    assert_ne!(contents(&node.path("/etc")), renewed);
}

#[test]
fn a_rollback_to_the_last_day_of_a_certificate_needs_force() {
    let node = Node::new(
        jiff::SignedDuration::from_hours(24 * 364),
        jiff::SignedDuration::from_hours(23),
    );
    let old = node.serial("apiserver");
    done(&node, &["renew", "all"]);
    let id = operations(&node).remove(0);
    let said = refused(&node, &["rollback", &id]);
    assert!(
        said.contains("apiserver: ends on ")
            && said.contains("in 22 hours")
            && said.contains("--force"),
        "{said}"
    );
    done(&node, &["rollback", &id, "--force"]);
    assert_eq!(node.serial("apiserver"), old);

    let node = Node::due();
    done(&node, &["renew", "apiserver"]);
    let id = operations(&node).remove(0);
    let said = done(&node, &["rollback", &id]);
    assert!(
        said.contains("in 19 days") && said.contains("leaves it alone for a day"),
        "{said}"
    );
}

#[test]
fn a_rollbacks_preview_tells_two_certificates_apart_that_end_in_the_same_minute() {
    let node = Node::fresh();
    done(&node, &["renew", "apiserver"]);
    let middle = node.serial("apiserver");
    done(&node, &["renew", "apiserver", "--force"]);
    let newest = node.serial("apiserver");
    let id = operations(&node).remove(1);
    let preview = done(&node, &["rollback", &id, "--dry-run"]);
    let line = |word: &str| {
        let found = preview.lines().find(|line| line.contains(word));
        found
            .unwrap_or_else(|| panic!("{word}: {preview}"))
            .to_owned()
    };
    assert!(line(" now ").contains(&newest), "{preview}");
    assert!(line(" then ").contains(&middle), "{preview}");
    let end = node.certificate("apiserver").not_after;
    assert!(
        line(" now ").contains(&end.strftime("%H:%M:%S UTC").to_string()),
        "{preview}"
    );
    assert!(
        preview.contains(&id) && preview.contains("`kubecertd renew apiserver`"),
        "{preview}"
    );
    assert!(
        preview.lines().all(|line| line.chars().count() <= 80),
        "{preview}"
    );
}

#[test]
fn the_last_operation_is_rolled_back_and_named() {
    let node = Node::fresh();
    let oldest = node.serial("apiserver");
    let said = refused(&node, &["rollback", "last"]);
    assert!(said.contains("no operation is kept"), "{said}");
    done(&node, &["renew", "apiserver"]);
    let middle = node.serial("apiserver");
    done(&node, &["renew", "apiserver", "--force"]);
    let ids = operations(&node);
    let said = done(&node, &["rollback", "last"]);
    assert!(
        said.contains(&format!("putting back what operation {}", ids[1])),
        "{said}"
    );
    assert!(!said.contains("new certificate"), "{said}");
    assert_eq!(node.serial("apiserver"), middle);
    // That roll-back is the last operation now.
    let said = done(&node, &["rollback", "last"]);
    assert!(said.contains(&operations(&node)[2]), "{said}");
    assert_ne!(node.serial("apiserver"), middle);
    assert_ne!(node.serial("apiserver"), oldest);
}

#[test]
fn the_daemon_leaves_alone_for_a_day_what_was_rolled_back_by_hand() {
    let node = Node::due();
    let old: Vec<String> = ELEVEN.iter().map(|name| node.serial(name)).collect();
    done(&node, &["run", "--once"]);
    let id = operations(&node).remove(0);
    done(&node, &["rollback", &id]);
    done(&node, &["run", "--once"]);
    let now: Vec<String> = ELEVEN.iter().map(|name| node.serial(name)).collect();
    assert_eq!(now, old, "the daemon undid what was done by hand");
    let plan = done(&node, &["plan"]);
    assert!(plan.contains("rolled back by hand"), "{plan}");
    let later = done(&node, &["plan", "--at", "25h"]);
    assert!(!later.contains("rolled back by hand"), "{later}");
    done(&node, &["renew", "apiserver"]);
    assert_ne!(node.serial("apiserver"), old[1]);
}

#[test]
fn a_history_that_takes_no_receipt_keeps_nobody_from_renewing() {
    let node = Node::fresh();
    std::fs::create_dir_all(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    let mut serial = node.serial("apiserver");
    for _ in 0..2 {
        let said = refused(&node, &["renew", "apiserver", "--force"]);
        assert!(said.contains("receipt could not be written"), "{said}");
        assert!(said.contains("move it away"), "{said}");
        assert!(
            said.contains("\"new_serial\""),
            "the log has it whole: {said}"
        );
        assert!(contents(&node.path("/var/lib/kubecertd/journal")).is_empty());
        let now = node.serial("apiserver");
        assert_ne!(now, serial);
        serial = now;
    }
    std::fs::remove_dir(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    done(&node, &["renew", "apiserver", "--force"]);
    assert_eq!(operations(&node).len(), 1);
}

#[test]
fn a_rollback_says_which_other_changes_go_with_it() {
    let node = Node::fresh();
    done(&node, &["renew", "admin.conf", "scheduler.conf"]);
    let conf = node.path("/etc/kubernetes/admin.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(
        &conf,
        text.replace("server: https://", "server: https://other."),
    )
    .unwrap();
    let id = operations(&node).remove(0);
    for arguments in [&["rollback", &id, "--dry-run"][..], &["rollback", &id]] {
        let said = done(&node, arguments);
        let told: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("was changed in other ways"))
            .collect();
        assert_eq!(told.len(), 1, "{said}");
        assert!(told[0].contains("admin.conf"), "{said}");
    }
}

#[test]
fn what_happens_is_said_once_on_the_terminal_and_who_asked_stands_in_the_receipt() {
    let node = Node::fresh();
    let output = node.run(&["renew", "apiserver", "--log-level", "debug"]);
    assert!(output.status.success());
    let (said, log) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(said.matches("apiserver renewed").count(), 1, "{said}");
    assert!(!log.contains("apiserver renewed"), "{log}");
    let id = operations(&node).remove(0);
    let shown = done(&node, &["history", "show", &id]);
    let new = node.certificate("apiserver");
    assert!(
        shown.contains(&format!("SHA-256 {}", new.fingerprint())),
        "{shown}"
    );
    assert!(shown.contains("issued by CN=kubernetes"), "{shown}");
    assert!(
        shown.contains("renew apiserver --log-level debug\n"),
        "{shown}"
    );
    let uid = nix::unistd::getuid().as_raw();
    let process = shown
        .lines()
        .find(|line| line.contains("Process:"))
        .unwrap();
    assert!(process.contains(&format!("{uid}")), "{shown}");

    let verified = done(&node, &["history", "verify"]);
    assert!(verified.contains("another machine's"), "{verified}");
}
