//! A state directory that is lost, full or read-only, and a configuration that is wrong: what does not need them is done
//! all the same.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::path::{Path, PathBuf};
use std::process::Command;

use kubecertd::journal::{Lock, Store, TransactionError};
use testkit::cut_off::{MANIFEST, half_committed, left_out};
use testkit::daemon::{Daemon, wait_until};
use testkit::{Node, text};

fn daemon_brings_back(node: &Node, manifest: &Path) {
    let _daemon = Daemon::start(node);
    wait_until("the manifest's return", || manifest.exists());
}

#[test]
fn the_daemon_brings_back_what_no_journal_knows_of() {
    let node = Node::fresh();
    let manifest = left_out(&node, MANIFEST);
    daemon_brings_back(&node, &manifest);
}

#[test]
fn the_daemon_brings_back_what_is_out_although_its_state_directory_is_of_no_use() {
    let node = Node::fresh();
    let journal = Store::new(&node.root).journal();
    std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
    std::fs::write(&journal, "not a directory").unwrap();
    let manifest = left_out(&node, MANIFEST);
    daemon_brings_back(&node, &manifest);
}

#[test]
fn recover_brings_back_what_no_journal_knows_of() {
    let node = Node::fresh();
    let manifest = left_out(&node, MANIFEST);
    let output = node.run(&["recover"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(manifest.exists());
    assert!(text(&output.stdout).contains("etcd.yaml returned"));
}

#[test]
fn manifests_of_another_directory_come_back_as_well() {
    let node = Node::fresh();
    let settings = node.path("/var/lib/kubelet/config.yaml");
    let elsewhere = "staticPodPath: /opt/pods/manifests";
    let written = std::fs::read_to_string(&settings).unwrap();
    let changed = written.replace("staticPodPath: /etc/kubernetes/manifests", elsewhere);
    assert_ne!(changed, written);
    std::fs::write(&settings, changed).unwrap();
    std::fs::create_dir_all(node.path("/opt/pods")).unwrap();
    std::fs::rename(
        node.path("/etc/kubernetes/manifests"),
        node.path("/opt/pods/manifests"),
    )
    .unwrap();
    let manifest = left_out(&node, "/opt/pods/manifests/etcd.yaml");
    let output = node.run(&["recover", "--manifests-only"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(manifest.exists());
}

#[test]
fn a_wrong_configuration_leaves_no_certificate_without_its_key() {
    for command in [&["run"][..], &["recover"], &["recover", "--expired"]] {
        let node = Node::fresh();
        let (certificate, new) = half_committed(&node);
        let manifest = left_out(&node, MANIFEST);
        node.configure("[renewal]\nbefor = \"40d\"\n");
        let output = node.run(command);
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        assert!(text(&output.stderr).contains("kubecertd.toml:2"));
        assert_eq!(std::fs::read(&certificate).unwrap(), new, "{command:?}");
        assert!(manifest.exists());
        // The restarts are still owed.
        let store = Store::new(&node.root);
        assert_eq!(store.in_flight().unwrap().len(), 1);
        node.configure("[renewal]\nbefore = \"40d\"\n");
        let output = node.run(&["recover"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(store.in_flight().unwrap().is_empty());
    }
}

#[test]
fn a_wrong_configuration_is_no_reason_to_disturb_whoever_is_at_work() {
    let node = Node::fresh();
    let manifest = left_out(&node, MANIFEST);
    node.configure("[renewal]\nbefor = \"40d\"\n");
    let _lock = Lock::take(&Store::new(&node.root)).unwrap();
    let output = node.run(&["recover"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("another kubecertd is at work"));
    assert!(!manifest.exists());
}

/// The package's script, with its paths below the node's root.
fn before_removal(node: &Node) -> std::process::Output {
    let directory = node.root.directory().to_str().unwrap();
    let program = format!("{} --root {directory}", env!("CARGO_BIN_EXE_kubecertd"));
    let script = std::fs::read_to_string("packaging/deb/prerm")
        .unwrap()
        .replace("/usr/sbin/kubecertd", &program)
        .replace(
            " /var/lib/kubecertd/journal",
            &format!(" {directory}/var/lib/kubecertd/journal"),
        )
        .replace(
            " /etc/kubernetes/.kubecertd",
            &format!(" {directory}/etc/kubernetes/.kubecertd"),
        );
    Command::new("sh")
        .args(["-c", &script, "prerm", "remove"])
        .output()
        .unwrap()
}

#[test]
fn removing_the_package_leaves_nothing_half_done_and_cannot_be_kept_from_it() {
    let node = Node::fresh();
    let (certificate, new) = half_committed(&node);
    let manifest = left_out(&node, MANIFEST);
    let output = before_removal(&node);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(&certificate).unwrap(), new);
    assert!(manifest.exists());
    assert!(Store::new(&node.root).in_flight().unwrap().is_empty());

    half_committed(&node);
    node.configure("[renewal]\nbefor = \"40d\"\n");
    let output = before_removal(&node);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("could not be finished"));
}

/// Mounts the state directory over itself, read-only.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn new(directory: &Path) -> Option<Self> {
        let mount = |arguments: &[&str]| {
            Command::new("mount")
                .args(arguments)
                .arg(directory)
                .output()
                .is_ok_and(|output| output.status.success())
        };
        if !mount(&["--bind", directory.to_str().unwrap()]) {
            return None;
        }
        let mounted = Self(directory.to_path_buf());
        assert!(mount(&["-o", "remount,bind,ro"]));
        Some(mounted)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn where_nothing_can_be_written_a_process_at_work_is_recognised() {
    let node = Node::fresh();
    let store = Store::new(&node.root);
    let lock = Lock::take(&store).unwrap();
    let Some(_read_only) = ReadOnly::new(store.directory()) else {
        testkit::skipped("a read-only mount needs root");
        return;
    };
    let busy = Lock::take_at_once(&store);
    assert!(
        matches!(busy, Err(TransactionError::Busy { .. })),
        "{busy:?}"
    );
    let output = node.run(&["renew", "all"]);
    assert!(text(&output.stderr).contains("another kubecertd is at work"));
    drop(lock);
    let output = node.run(&["renew", "all"]);
    let error = text(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains("read-only"), "{error}");
    let manifest = left_out(&node, MANIFEST);
    daemon_brings_back(&node, &manifest);
}
