//! kubecertd's own files as nobody should leave them: linked to each other, fifos, cut short, written by somebody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kubecertd::journal::Store;
use testkit::cut_off::{MANIFEST, half_committed, left_out};
use testkit::{Node, contents, said};

const MANIFESTS: &str = "/etc/kubernetes/manifests";
const OUT: &str = "/etc/kubernetes/.kubecertd";

/// Killed if it hangs.
fn in_time(node: &Node, arguments: &[&str]) -> Output {
    let command = node.command();
    let output = Command::new("timeout")
        .args(["--signal=KILL", "15"])
        .arg(command.get_program())
        .args(command.get_args())
        .args(arguments)
        .env_remove("KUBECERTD_CONFIG")
        .env_remove("KUBECERTD_LOG")
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    assert!(output.status.code().is_some(), "{arguments:?} hangs");
    assert_ne!(output.status.code(), Some(137), "{arguments:?} hangs");
    output
}

fn fifo(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(path);
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
}

/// Each file is then found in both places, and is no double of itself.
#[test]
fn where_manifests_are_out_and_in_is_one_place_none_is_lost() {
    for commands in [
        &[&["recover", "--manifests-only"][..]][..],
        &[&["recover"]],
        &[&["run", "--once"]],
        &[&["recover", "--manifests-only"], &["recover"]],
    ] {
        for link_is_out in [true, false] {
            let node = Node::fresh();
            let (manifests, out) = (node.path(MANIFESTS), node.path(OUT));
            let before: Vec<Vec<u8>> = contents(&manifests).into_values().collect();
            if link_is_out {
                symlink("manifests", &out).unwrap();
            } else {
                fs::rename(&manifests, &out).unwrap();
                symlink(".kubecertd", &manifests).unwrap();
            }
            for command in commands {
                in_time(&node, command);
            }
            let real = if link_is_out { &manifests } else { &out };
            let after: Vec<Vec<u8>> = contents(real).into_values().collect();
            assert_eq!(after, before, "{commands:?} {link_is_out}");
        }
    }
    // A note that leads to where it lies.
    let node = Node::fresh();
    let manifest = left_out(&node, MANIFEST);
    fs::write(node.path(OUT).join("RETURN-TO"), format!("{OUT}\n")).unwrap();
    let output = in_time(&node, &["recover", "--manifests-only"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(manifest.exists(), "{}", said(&output));
}

#[test]
fn a_fifo_or_a_huge_file_among_its_own_keeps_no_manifest_out() {
    let huge = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.set_len(3 << 30).unwrap();
    };
    for make in [&fifo as &dyn Fn(&Path), &huge] {
        for path in [
            "/var/lib/kubecertd/holder",
            "/etc/kubernetes/.kubecertd/RETURN-TO",
            "/var/lib/kubecertd/history.jsonl",
            "/var/lib/kubecertd/history.end",
        ] {
            let node = Node::fresh();
            let manifest = left_out(&node, MANIFEST);
            make(&node.path(path));
            let output = in_time(&node, &["recover", "--manifests-only"]);
            assert!(manifest.exists(), "{path}: {}", said(&output));
            for command in [
                &["renew", "admin.conf"][..],
                &["history"],
                &["history", "verify"],
            ] {
                in_time(&node, command);
            }
        }
    }
    let node = Node::fresh();
    let manifest = left_out(&node, MANIFEST);
    let state = node.path("/var/lib/kubecertd");
    let _ = fs::remove_dir_all(&state);
    fifo(&state);
    let output = in_time(&node, &["recover", "--manifests-only"]);
    assert!(manifest.exists(), "{}", said(&output));
    fifo(&node.path("/run/kubecertd/status.json"));
    in_time(&node, &["status"]);
}

#[test]
fn that_nobody_reads_what_is_printed_leaves_nothing_half_done() {
    for command in [&["recover"][..], &["recover", "--give-up"]] {
        let node = Node::fresh();
        let (certificate, new) = half_committed(&node);
        left_out(&node, MANIFEST);
        let mut child = node
            .command()
            .args(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().unwrap();
        assert_ne!(status.code(), Some(101), "{command:?}");
        assert_eq!(fs::read(&certificate).unwrap(), new, "{command:?}");
        assert!(Store::new(&node.root).in_flight().unwrap().is_empty());
    }
}

#[test]
fn a_manifest_that_cannot_come_back_keeps_no_file_from_being_settled() {
    for command in [&["recover"][..], &["recover", "--expired"]] {
        let node = Node::fresh();
        let (certificate, new) = half_committed(&node);
        let in_the_way = node.path(OUT).join("etcd.yaml");
        fs::create_dir_all(&in_the_way).unwrap();
        fs::write(in_the_way.join("x"), "x").unwrap();
        let output = in_time(&node, command);
        assert_eq!(fs::read(&certificate).unwrap(), new, "{}", said(&output));
        assert!(said(&output).contains("etcd.yaml"), "{}", said(&output));
    }
}

#[test]
fn what_a_newer_manifest_superseded_is_told_at_once() {
    let node = Node::fresh();
    let manifest = left_out(&node, MANIFEST);
    fs::write(&manifest, "a newer one").unwrap();
    let output = in_time(&node, &["recover", "--manifests-only"]);
    assert!(output.status.success());
    let told = said(&output);
    for part in [
        "a newer manifest was put in the place",
        "etcd.yaml",
        ".superseded-",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert_eq!(fs::read(&manifest).unwrap(), b"a newer one");
}

#[test]
fn a_journal_that_was_cut_short_hides_no_half_pair() {
    for lines in [0, 1] {
        let node = Node::fresh();
        half_committed(&node);
        let (path, journal) = contents(&Store::new(&node.root).journal())
            .pop_first()
            .unwrap();
        let kept = journal.split_inclusive(|byte| *byte == b'\n').take(lines);
        fs::write(&path, kept.collect::<Vec<_>>().concat()).unwrap();
        let output = in_time(&node, &["recover"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("Compare the files of the cluster with their copies"));
        assert!(path.exists() && !contents(&Store::new(&node.root).backups()).is_empty());
    }
}

#[test]
fn a_journal_of_another_operation_leads_nowhere() {
    let node = Node::fresh();
    half_committed(&node);
    let (path, _) = contents(&Store::new(&node.root).journal())
        .pop_first()
        .unwrap();
    let copy = path.with_file_name("20260101T000000Z-0000.jsonl");
    fs::rename(&path, &copy).unwrap();
    let output = in_time(&node, &["recover"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("it is the journal of operation"),
        "{}",
        said(&output)
    );
    assert!(copy.exists());
}

#[test]
fn no_id_is_no_operation() {
    let node = Node::fresh();
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    let new = node.serial("admin.conf");
    let output = in_time(&node, &["rollback", ""]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(node.serial("admin.conf"), new);
}

#[test]
fn a_root_that_is_not_there_is_no_node() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("typo");
    let output = Command::new(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(&missing)
        .arg("recover")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("is no directory"),
        "{}",
        said(&output)
    );
    assert!(!missing.exists());
}

#[test]
fn an_end_that_says_there_are_no_receipts_is_seen_through() {
    let node = Node::fresh();
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    let end = node.path("/var/lib/kubecertd/history.end");
    let text = fs::read_to_string(&end).unwrap();
    fs::write(&end, text.replace("\"receipts\":1", "\"receipts\":0")).unwrap();
    fs::write(node.path("/var/lib/kubecertd/history.jsonl"), "").unwrap();
    let output = in_time(&node, &["history", "verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("was changed"), "{}", said(&output));
}

#[test]
fn a_cause_is_said_once() {
    let node = Node::fresh();
    let journal = Store::new(&node.root).journal();
    fs::create_dir_all(journal.parent().unwrap()).unwrap();
    fs::write(&journal, "x").unwrap();
    let output = in_time(&node, &["recover"]);
    let told = said(&output);
    let error: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(error.join("").matches("os error").count(), 1, "{told}");
}
