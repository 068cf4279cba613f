//! Manifests where their directory is a file system of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use kubecertd::files::recover;
use kubecertd::journal::Outcome;
use testkit::files::{MANIFESTS, Plain, SMALL};

use crate::manifests::{DIRECTORY, OUT};

/// Bind mounts, as in the unit's sandbox, make every rename between two directories fail with `EXDEV`.
#[test]
fn across_file_systems_a_manifest_is_copied() {
    const CHILD: &str = "KUBECERTD_TEST_MOUNTED";
    if let Some(path) = std::env::var_os(CHILD) {
        out_and_back_across_file_systems(&Plain::at(path.as_ref(), &SMALL));
        return;
    }
    let node = Plain::new();
    let script = r#"mount --bind "$1" "$1" && exec "$2" --exact mounted::across_file_systems_a_manifest_is_copied --nocapture"#;
    let child = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-ec", script, "sh"])
        .arg(node.path(DIRECTORY))
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, node.root.directory())
        .output();
    match child {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            if !nix::unistd::geteuid().is_root()
                || text.contains("unshare:")
                || text.contains("mount:")
            {
                testkit::skipped(&format!("nothing can be mounted here: {text}"));
                return;
            }
            panic!("{text}");
        }
        Err(error) => testkit::skipped(&format!("no unshare here: {error}")),
    }
}

fn out_and_back_across_file_systems(node: &Plain) {
    let before = node.cluster();
    let place = node.path(MANIFESTS[0]);
    std::fs::rename(&place, node.path("/etc/probe")).expect_err("no mount here");
    let modified = std::fs::metadata(&place).unwrap().modified().unwrap();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.park(&place).unwrap();
    assert_eq!(node.names(&node.path(OUT)), ["RETURN-TO", "etcd.yaml"]);
    assert!(!place.exists());
    assert!(operation.return_manifest(&place).unwrap());
    assert_eq!(node.cluster(), before);
    assert_eq!(
        std::fs::metadata(&place).unwrap().modified().unwrap(),
        modified
    );
    // Killed after the copy and before the removal: both are there, and one goes.
    operation.park(&place).unwrap();
    std::fs::copy(node.path(OUT).join("etcd.yaml"), &place).unwrap();
    std::fs::write(
        node.path(DIRECTORY).join(".etcd.yaml.kubecertd-0123"),
        "half",
    )
    .unwrap();
    drop(operation);
    for recovery in recover(&node.store, &lock).unwrap() {
        recovery
            .operation
            .finish(Outcome::Done, 3, u64::MAX)
            .unwrap();
    }
    assert_eq!(node.cluster(), before);
}
