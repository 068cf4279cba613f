//! The drop-in that filters the daemon's addresses: made, installed, out of date.

use std::path::Path;
use std::process::Command;

use kubecertd::report::{State, read_status};
use nix::sys::signal::Signal;

use crate::renewers::put;
use crate::said;
use testkit::daemon::{Daemon, wait_until};
use testkit::{Node, skipped, text};

const DROP_IN: &str = "/etc/systemd/system/kubecertd.service.d/address-filter.conf";
const ETCD: &str = "/etc/kubernetes/manifests/etcd.yaml";
const ADMIN: &str = "/etc/kubernetes/admin.conf";

fn edit(node: &Node, path: &str, from: &str, to: &str) {
    let path = node.path(path);
    let before = std::fs::read_to_string(&path).unwrap();
    let after = before.replace(from, to);
    assert_ne!(before, after);
    std::fs::write(path, after).unwrap();
}

/// What is printed; the command has to succeed.
fn generated(node: &Node) -> String {
    let output = node.run(&["generate", "address-filter"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

fn rules(drop_in: &str) -> Vec<&str> {
    let rules = drop_in.lines().filter(|line| !line.starts_with('#'));
    rules.collect()
}

/// Its etcd knows two others.
fn three_control_planes() -> Node {
    let node = Node::fresh();
    edit(
        &node,
        ETCD,
        "    - --name=cp1\n",
        "    - --name=cp1\n    - --initial-cluster=cp1=https://192.0.2.11:2380,cp2=https://192.0.2.12:2380,cp3=https://[2001:db8::13]:2380\n",
    );
    node
}

#[test]
fn the_drop_in_allows_what_the_node_names_and_nothing_else() {
    let node = three_control_planes();
    let drop_in = generated(&node);
    assert_eq!(
        rules(&drop_in),
        [
            "[Service]",
            "IPAddressDeny=any",
            "IPAddressAllow=localhost",
            "IPAddressAllow=192.0.2.11",
            "IPAddressAllow=192.0.2.12",
            "IPAddressAllow=2001:db8::13",
        ]
    );
    for part in [
        "generate address-filter` on cp1, 2",
        "# API server of this node; etcd of this node; kubelet of this node; server of admin.conf",
        "# etcd member cp3.\nIPAddressAllow=2001:db8::13",
    ] {
        assert!(drop_in.contains(part), "{part}: {drop_in}");
    }
}

#[test]
fn what_cannot_be_found_out_ends_the_command_with_nothing_printed() {
    for (from, to, reason) in [
        (
            "server: https://192.0.2.11:6443",
            "server: https://api.invalid:6443",
            "api.invalid (server of admin.conf) cannot be resolved",
        ),
        (
            "server: https://192.0.2.11:6443",
            "server: \"https://192.0.2.99:6443\\nIPAddressAllow=any\\n[Service]\"",
            "admin.conf: server: ",
        ),
        (
            "current-context:",
            "current-contest:",
            "current-context is not set",
        ),
    ] {
        let node = Node::fresh();
        edit(&node, ADMIN, from, to);
        let output = node.run(&["generate", "address-filter"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        let told = text(&output.stderr);
        assert!(told.contains(reason), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn preflight_warns_when_the_installed_filter_does_not_allow_what_is_needed() {
    let node = three_control_planes();
    let result = |node: &Node| {
        let output = node.run(&["preflight"]);
        let table = text(&output.stdout);
        let line = table.lines().find(|line| line.starts_with("addresses "));
        (output.status.code(), line.unwrap().to_owned())
    };
    let (code, line) = result(&node);
    assert!(code == Some(0) && line.contains("   pass "), "{line}");
    put(&node, DROP_IN, &generated(&node));
    let (code, line) = result(&node);
    assert!(code == Some(0) && line.contains("   pass "), "{line}");
    // It moves.
    edit(&node, ETCD, "[2001:db8::13]", "192.0.2.13");
    let (code, line) = result(&node);
    assert_eq!(code, Some(0), "it keeps nothing from being done");
    for part in [
        "   warn ",
        "kubecertd.service.d/address-filter.conf does not allow 192.0.2.13 (etcd member cp3); run ",
        " generate address-filter`",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // Another drop-in may allow it.
    put(
        &node,
        "/etc/systemd/system/kubecertd.service.d/more.conf",
        "[Service]\nIPAddressAllow=192.0.2.0/24\n",
    );
    assert!(result(&node).1.contains("   pass "));
    // A name that has no address now: nothing is known of it.
    edit(
        &node,
        ADMIN,
        "server: https://192.0.2.11:6443",
        "server: https://api.invalid:6443",
    );
    let (code, line) = result(&node);
    assert!(code == Some(2) && line.contains("   unreadable "), "{line}");
    // Without a filter that does not matter.
    std::fs::remove_file(node.path(DROP_IN)).unwrap();
    assert!(result(&node).1.contains("   pass "));
}

#[test]
fn the_daemon_says_so_in_its_log_and_its_status() {
    let node = three_control_planes();
    put(
        &node,
        DROP_IN,
        "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost 192.0.2.11\n",
    );
    let missing = "does not allow 192.0.2.12 (etcd member cp2), 2001:db8::13 (etcd member cp3)";
    let mut daemon = Daemon::start(&node);
    daemon.expect("READY=1");
    wait_until("the warning", || {
        let status = read_status(&node.root);
        status.is_ok_and(|status| status.problems.iter().any(|one| one.contains(missing)))
    });
    let status = read_status(&node.root).unwrap();
    assert_eq!(status.state, State::Waiting, "it is no failure");
    // Every look finds the same, which is said once.
    for _ in 0..2 {
        daemon.signal(Signal::SIGHUP);
        daemon.expect("READY=1");
    }
    let log = daemon.stop();
    assert_eq!(log.matches(missing).count(), 1, "{log}");
    let once = node.run(&["run", "--once"]);
    assert!(once.status.success());
    assert!(said(&once).contains(missing), "{}", said(&once));
}

#[test]
fn help_and_man_page_show_the_command_and_not_what_packages_need() {
    let node = Node::fresh();
    assert!(text(&node.run(&["help"]).stdout).contains("\n  generate "));
    let help = text(&node.run(&["generate", "--help"]).stdout);
    assert!(help.contains("address-filter"), "{help}");
    assert!(!help.contains("completions"), "{help}");
    let pages = tempfile::tempdir().unwrap();
    let directory = pages.path().to_str().unwrap();
    assert!(node.run(&["generate", "man", directory]).status.success());
    let page = pages.path().join("kubecertd-generate-address-filter.1");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("drop\\-in for kubecertd.service"), "{page}");
    assert!(!pages.path().join("kubecertd-generate-man.1").exists());
    let shells = node.run(&["generate", "completions", directory]);
    assert!(shells.status.success() && pages.path().join("_kubecertd").exists());
}

/// The exposure that systemd reckons, in tenths.
fn exposure(unit: &Path) -> Option<u32> {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(unit)
        .output()
        .ok()?;
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    for complaint in ["Unknown", "ignoring", "Invalid", "Failed to parse"] {
        assert!(!told.contains(complaint), "{told}");
    }
    let level = told
        .lines()
        .find(|line| line.contains("Overall exposure level"))?;
    let level = level.split(": ").nth(1)?.split(' ').next()?;
    level.replace('.', "").parse().ok()
}

#[test]
fn with_the_drop_in_the_unit_exposes_less() {
    let drop_in = generated(&three_control_planes());
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("kubecertd.service");
    let shipped = format!("{}/systemd/kubecertd.service", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(shipped, &unit).unwrap();
    let Some(without) = exposure(&unit) else {
        skipped("the unit's exposure is reckoned by systemd-analyze");
        return;
    };
    let drop_ins = directory.path().join("kubecertd.service.d");
    std::fs::create_dir(&drop_ins).unwrap();
    std::fs::write(drop_ins.join("address-filter.conf"), drop_in).unwrap();
    let with = exposure(&unit).unwrap();
    assert!(with < without, "{with} with, {without} without");
}
