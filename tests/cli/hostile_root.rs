//! Below a root nothing of the machine itself is read or changed, and every file is opened through one door.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use kubecertd::host::Root;
use kubecertd::pki::KeyAlgorithm;
use kubecertd::rehearsal::Sample;
use testkit::{Node, contents, said};

use crate::hostile_links::{operation, serials};

/// A machine with a cluster of its own, at a path that links of a node's tree may name.
fn decoy(directory: &Path) -> Root {
    let root = Root::new(directory).unwrap();
    let now = Timestamp::now();
    Sample {
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now - SignedDuration::from_hours(24 * 345),
        not_after: now + SignedDuration::from_hours(24 * 20),
    }
    .write(&root)
    .unwrap();
    root
}

/// The node's directory is behind an absolute link whose path is, on the machine that runs the command, another cluster's.
#[test]
fn below_a_root_nothing_of_the_machine_itself_is_read_or_changed() {
    let machine = tempfile::tempdir().unwrap();
    decoy(machine.path());
    let path = machine.path().join("etc/kubernetes");
    let node = Node::due();
    let inside = node.path(path.to_str().unwrap());
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    fs::rename(node.path("/etc/kubernetes"), &inside).unwrap();
    symlink(&path, node.path("/etc/kubernetes")).unwrap();
    let outside = contents(machine.path());
    for reuse in [false, true] {
        node.configure(&format!("[renewal]\nreuse-key = {reuse}\n"));
        let before = serials(&node);
        let output = node.run(&["renew", "all", "--force"]);
        assert!(output.status.success(), "{}", said(&output));
        let ca = testkit::first_certificate(&inside.join("pki/ca.crt"));
        for (name, serial) in serials(&node) {
            assert_ne!(before[name], serial, "{name}");
        }
        for name in ["apiserver", "admin.conf", "scheduler.conf"] {
            assert!(node.certificate(name).is_signed_by(&ca), "{name}");
        }
    }
    let id = operation(&node);
    for arguments in [
        &["rollback", &id][..],
        &["rehearse"],
        &["check-expiration", "--all"],
        &["preflight"],
        &["run", "--once"],
        &["recover"],
        &["history", "verify"],
    ] {
        let output = node.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(contents(machine.path()), outside);
}

/// Where configuration, state and status lie may be a link as well.
#[test]
fn configuration_state_and_status_of_the_machine_itself_are_not_touched() {
    let machine = tempfile::tempdir().unwrap();
    let wrong = "[renewal]\nenabled = \"on this machine\"\n";
    for directory in ["config", "state", "run"] {
        fs::create_dir_all(machine.path().join(directory)).unwrap();
    }
    fs::write(machine.path().join("config/kubecertd.toml"), wrong).unwrap();
    fs::write(machine.path().join("run/status.json"), "this machine's").unwrap();
    fs::write(machine.path().join("state/history.jsonl"), "this machine's").unwrap();
    let outside = contents(machine.path());
    let node = Node::due();
    for (path, directory) in [
        ("/etc/kubecertd", "config"),
        ("/var/lib/kubecertd", "state"),
        ("/run/kubecertd", "run"),
    ] {
        let target = machine.path().join(directory);
        fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        symlink(&target, node.path(path)).unwrap();
        fs::create_dir_all(node.path(target.to_str().unwrap())).unwrap();
    }
    let own = machine.path().join("config/kubecertd.toml");
    fs::write(
        node.path(own.to_str().unwrap()),
        "[renewal]\nbefore = \"40d\"\n",
    )
    .unwrap();
    for arguments in [
        &["run", "--once"][..],
        &["status"],
        &["config", "show"],
        &["history"],
        &["renew", "apiserver", "--force"],
    ] {
        let output = node.run(arguments);
        // No daemon runs, which `status` says by its exit code.
        let good = output.status.success() || arguments == ["status"];
        assert!(good, "{arguments:?}: {}", said(&output));
        if arguments == ["config", "show"] {
            assert!(
                said(&output).contains("before = \"40d\""),
                "{}",
                said(&output)
            );
        }
    }
    assert!(
        node.path(machine.path().to_str().unwrap())
            .join("run/status.json")
            .exists()
    );
    assert_eq!(contents(machine.path()), outside);
}

/// What is pasted from a hint works on the machine itself unless it says otherwise.
#[test]
fn below_a_root_no_hint_names_a_command_for_the_machine_itself() {
    let node = Node::due();
    let mut told = String::new();
    node.configure("[renewal]\nenabled = false\n");
    told += &said(&node.run(&["plan"]));
    node.configure("");
    for arguments in [
        &["renew", "all"][..],
        &["renew", "all", "--no-restart", "--force"],
        &["rollback", "nothing"],
        &["status"],
        &["preflight"],
    ] {
        told += &said(&node.run(arguments));
    }
    let id = operation(&node);
    told += &said(&node.run(&["rollback", &id, "--force"]));
    told += &said(&node.run(&["plan"]));
    testkit::cut_off::half_committed(&node);
    told += &said(&node.run(&["recover", "--give-up"]));
    let root = format!("--root {}", node.root.directory().display());
    assert!(told.contains(&root), "{told}");
    assert!(told.contains("on the node itself"), "{told}");
    for command in [
        "renew",
        "restart",
        "recover",
        "rollback",
        "history",
        "preflight",
    ] {
        let bare = format!("kubecertd {command}");
        // What was done by a command is no hint.
        let hints = told.lines().filter(|line| !line.contains("by `kubecertd"));
        for line in hints.filter(|line| line.contains(&bare)) {
            let next = line.split(&bare).nth(1).unwrap();
            assert!(
                next.starts_with(char::is_alphanumeric),
                "{line}\nin\n{told}"
            );
        }
    }
    assert!(!told.contains("systemctl"), "{told}");
}

/// Where files may be opened otherwise than through `host`, and why.
const OTHER_DOORS: [(&str, &str); 13] = [
    ("src/host/", "is the door"),
    (
        "src/config/source.rs",
        "a file named by hand is one of the machine",
    ),
    (
        "src/cli/mod.rs",
        "--root itself is a directory of the machine",
    ),
    (
        "src/cli/generate.rs",
        "writes where it is told, when packages are made",
    ),
    (
        "src/cli/rehearse.rs",
        "the private directory of a rehearsal",
    ),
    ("src/daemon/stop.rs", "its own process"),
    ("src/checks/kubeadm.rs", "what /proc/PID/root leads to"),
    (
        "src/files/retention.rs",
        "removes a backup below the state directory, which is root's alone",
    ),
    (
        "src/runtime/container_runtime.rs",
        "whether a socket of the machine is there, which is connected to",
    ),
    (
        "src/rehearsal/copy.rs",
        "makes the private copy of a rehearsal",
    ),
    (
        "src/rehearsal/private.rs",
        "makes the private directory of a rehearsal",
    ),
    (
        "src/rehearsal/kubeconfig.rs",
        "makes the private copy of a rehearsal",
    ),
    (
        "src/rehearsal/sample.rs",
        "writes a made-up node where it is told",
    ),
];

/// Programs are started by their whole paths, here alone.
const STARTS_PROGRAMS: [&str; 3] = [
    "src/runtime/units.rs",
    "src/host/journald.rs",
    "src/host/program.rs",
];

#[test]
fn every_file_is_opened_through_one_door() {
    let ways_in = [
        "File::open",
        "File::create",
        "File::options",
        "OpenOptions::new",
        "DirBuilder::new",
        "fs::read",
        "fs::write",
        "fs::metadata",
        "fs::symlink_metadata",
        "fs::canonicalize",
        "fs::create_dir",
        "fs::remove",
        "fs::rename",
        "fs::copy",
        "fs::hard_link",
        "fs::set_permissions",
        "fs::symlink(",
        "fs::chown",
        "fs::lchown",
        ".symlink_metadata()",
        ".read_dir()",
        ".read_link()",
        ".canonicalize()",
        ".exists()",
        ".try_exists()",
        ".is_symlink()",
        "is_dir)",
        "renameat2(",
        " statvfs(",
        " statfs(",
        "Command::new",
    ];
    let mut waiting = vec![std::path::PathBuf::from("src")];
    let mut found = Vec::new();
    let mut seen = 0;
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let name = path.to_str().unwrap().to_owned();
            if !name.ends_with(".rs") || name.ends_with("tests.rs") {
                continue;
            }
            seen += 1;
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let excused = OTHER_DOORS.iter().any(|(door, _)| name.starts_with(door));
            for (number, line) in code.lines().enumerate() {
                let is_comment = line.trim_start().starts_with("//");
                let starts_program = line.contains("Command::new");
                let may = if starts_program {
                    STARTS_PROGRAMS.contains(&name.as_str())
                } else {
                    excused
                };
                if !is_comment && !may && ways_in.iter().any(|way| line.contains(way)) {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert!(seen > 150, "{seen} files of the program were looked at");
    assert!(
        found.is_empty(),
        "opened otherwise than through `host`:\n{}",
        found.join("\n")
    );
    let service = fs::read_to_string("src/runtime/units.rs").unwrap();
    assert!(
        service.contains("\"/bin/systemctl\""),
        "systemctl by its whole path"
    );
}

#[test]
fn starting_the_unit_opens_no_directory_that_was_closed() {
    let unit = fs::read_to_string("systemd/kubecertd.service").unwrap();
    let node = tempfile::tempdir().unwrap();
    let commands: Vec<&str> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("ExecStartPre=+"))
        .collect();
    assert!(!commands.is_empty());
    let mode = |path: &str| {
        let path = node.path().join(path);
        fs::metadata(path).unwrap().mode() & 0o7777
    };
    let run = || {
        for command in &commands {
            let here = format!(" {}/var", node.path().display());
            let status = std::process::Command::new("sh")
                .args([
                    "-c",
                    &format!("umask 077; {}", command.replace(" /var", &here)),
                ])
                .status()
                .unwrap();
            assert!(status.success(), "{command}");
        }
    };
    fs::create_dir_all(node.path().join("var/lib")).unwrap();
    run();
    assert_eq!(
        (mode("var/lib/kubelet"), mode("var/lib/kubelet/pki")),
        (0o750, 0o755)
    );
    for closed in ["var/lib/kubelet", "var/lib/kubelet/pki"] {
        fs::set_permissions(node.path().join(closed), Permissions::from_mode(0o700)).unwrap();
    }
    run();
    assert_eq!(
        (mode("var/lib/kubelet"), mode("var/lib/kubelet/pki")),
        (0o700, 0o700)
    );
}
