//! What receipts say: codes beside sentences, and of operations that were interrupted before or behind theirs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use kubecertd::journal::{Outcome, Store, Trigger};
use kubecertd::report::{Coded, History, Receipt};
use testkit::{Node, contents};

use crate::history::{done, operations};

#[test]
fn a_receipt_has_codes_and_fields_beside_its_sentences() {
    let node = Node::fresh();
    let certificate = node.path("/etc/kubernetes/pki/apiserver.crt");
    std::fs::hard_link(&certificate, certificate.with_file_name("copy")).unwrap();
    done(&node, &["renew", "apiserver"]);
    let id = operations(&node).remove(0);
    let json = done(&node, &["history", "show", &id, "-o", "json"]);
    let receipt: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(receipt["outcome"], "done");
    let remarks = receipt["remarks"].as_array().unwrap();
    let remark = remarks.iter().find(|remark| remark["code"] == "hard-links");
    let remark = remark.unwrap_or_else(|| panic!("{json}"));
    assert_eq!(remark["fields"]["others"], 1);
    let warnings = receipt["warnings"].as_array().unwrap();
    assert!(warnings.contains(&remark["message"]), "{json}");
}

/// As the daemon's operation writes it; without a daemon, the receipts say what is pending.
#[test]
fn a_plan_says_which_component_has_still_to_show_what_it_uses() {
    let node = Node::fresh();
    done(&node, &["renew", "apiserver", "etcd-server"]);
    assert!(!done(&node, &["plan"]).contains("has not yet shown"));
    let history = History::new(&Store::new(&node.root));
    let remark = Coded {
        code: "not-shown".to_owned(),
        fields: Some(serde_json::json!({
            "component": "kube-apiserver", "certificates": ["apiserver"], "seen": "nothing answered"
        })),
        message: String::new(),
    };
    let mut receipt = history.receipts().unwrap().remove(0);
    receipt.remarks = vec![remark];
    history.append(&receipt).unwrap();
    let plan = done(&node, &["plan"]);
    let said = "Note: kube-apiserver has not yet shown that it uses the new apiserver; the daemon asks it when it runs";
    assert_eq!(plan.matches(said).count(), 1, "{plan}");
    let json = done(&node, &["plan", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pending"][0]["next"], "ask-when-running");
    // Another certificate lies in the file by now: its own receipt counts. Within a second of the first it ends no later.
    done(&node, &["renew", "apiserver", "--force"]);
    assert!(!done(&node, &["plan"]).contains("has not yet shown"));
}

/// A renewal that was killed when everything was in place but the receipt; `None` where nothing can be traced.
pub(crate) fn killed_before_its_receipt() -> Option<(Node, String)> {
    for nth in 1..60 {
        let node = Node::fresh();
        let old = node.serial("apiserver");
        // It is opened by its directory.
        let state = node.path("/var/lib/kubecertd");
        let traced = std::process::Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-P"])
            .arg(&state)
            .arg("-e")
            .arg(format!("inject=openat:signal=SIGKILL:when={nth}"))
            .arg(env!("CARGO_BIN_EXE_kubecertd"))
            .arg("--root")
            .arg(node.directory.path())
            .args(["renew", "all"])
            .output();
        if let Err(error) = traced {
            testkit::skipped(&format!("no strace: {error}"));
            return None;
        }
        let cut_off = !contents(&node.path("/var/lib/kubecertd/journal")).is_empty();
        if cut_off && node.serial("apiserver") != old {
            return Some((node, old));
        }
    }
    panic!("no opening of the history comes after the renewal");
}

#[test]
fn the_receipt_of_a_recovered_operation_names_its_certificates() {
    let Some((node, old)) = killed_before_its_receipt() else {
        return;
    };
    let new = node.serial("apiserver");
    done(&node, &["recover"]);
    let json = done(&node, &["history", "-o", "json"]);
    let receipts: serde_json::Value = serde_json::from_str(&json).unwrap();
    let receipts = receipts.as_array().unwrap();
    assert_eq!(receipts.len(), 1);
    let certificates = receipts[0]["certificates"].as_array().unwrap();
    assert_eq!(certificates.len(), 11);
    let apiserver = certificates
        .iter()
        .find(|one| one["name"] == "apiserver")
        .unwrap();
    assert_eq!(apiserver["old_serial"], old);
    assert_eq!(apiserver["new_serial"], new);
    assert_eq!(receipts[0]["trigger"]["command"], "renew all");
    done(&node, &["rollback", receipts[0]["id"].as_str().unwrap()]);
    assert_eq!(node.serial("apiserver"), old);
}

#[test]
fn an_operation_that_was_killed_behind_its_receipt_gets_no_second_one() {
    let Some((node, _)) = killed_before_its_receipt() else {
        return;
    };
    let journal = contents(&node.path("/var/lib/kubecertd/journal"));
    let (file, _) = journal.first_key_value().unwrap();
    let id = file.file_stem().unwrap().to_str().unwrap();
    let history = History::new(&Store::new(&node.root));
    history
        .append(&Receipt {
            turn: None,
            id: id.to_owned(),
            started: jiff::Timestamp::now(),
            finished: jiff::Timestamp::now(),
            trigger: Trigger::Command("renew all".to_owned()),
            by: None,
            kind: None,
            history_before: None,
            outcome: Outcome::Done,
            certificates: Vec::new(),
            restarts: Vec::new(),
            remedies: Vec::new(),
            proofs: Vec::new(),
            copies: Vec::new(),
            warnings: Vec::new(),
            remarks: Vec::new(),
            code: None,
        })
        .unwrap();
    done(&node, &["recover"]);
    assert_eq!(operations(&node), [id]);
    assert!(contents(&node.path("/var/lib/kubecertd/journal")).is_empty());
}

#[test]
fn what_was_given_up_stands_in_the_history() {
    let Some((node, old)) = killed_before_its_receipt() else {
        return;
    };
    let said = done(&node, &["recover", "--give-up"]);
    let id = operations(&node).remove(0);
    let expected = format!("{id}: given up, with its new files in place.");
    assert!(said.contains(&expected), "{said}");
    assert_ne!(node.serial("apiserver"), old);
    let shown = done(&node, &["history", "show", &id]);
    assert!(shown.contains("given up by an administrator"), "{shown}");
    let said = done(&node, &["recover", "--give-up"]);
    assert_eq!(said, "Nothing to give up: no operation is in flight.\n");
    let said = done(&node, &["recover"]);
    assert!(said.starts_with("Nothing to recover"), "{said}");
}
