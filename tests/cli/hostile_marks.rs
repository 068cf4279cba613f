//! Marks on files that others set: capabilities and attributes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testkit::{Node, contents, said, skipped};

use crate::hostile_links::{SERVER_KEY, serials};

const SERVER_CERTIFICATE: &str = "/etc/kubernetes/pki/etcd/server.crt";

/// Gives a file an attribute; false where that cannot be done here.
fn mark(path: &Path, name: &str, value: &[u8]) -> bool {
    let flags = rustix::fs::XattrFlags::empty();
    match rustix::fs::setxattr(path, name, value, flags) {
        Ok(()) => true,
        Err(error) => {
            skipped(&format!("{name} cannot be set here: {error}"));
            false
        }
    }
}

/// What a file capability looks like: version 2, nothing in it (capabilities(7)).
const CAPABILITY: [u8; 20] = [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_file_capability_holds_up_nothing_and_is_not_copied() {
    let node = Node::due();
    let key = node.path(SERVER_KEY);
    if !mark(&key, "security.capability", &CAPABILITY) {
        return;
    }
    let before = serials(&node);
    let output = without_capabilities(&node, &["renew", "all"]);
    assert!(output.status.success(), "{}", said(&output));
    for (name, serial) in serials(&node) {
        assert_ne!(before[name], serial, "{name}");
    }
    let mut value = [0u8; 64];
    let found = rustix::fs::getxattr(&key, "security.capability", &mut value);
    assert_eq!(found.unwrap_err(), rustix::io::Errno::NODATA);
}

#[test]
fn a_file_whose_attributes_cannot_be_kept_holds_up_its_own_certificate_only() {
    // The first of the pair to be replaced, and the second, with the same mode so that they differ in the mark alone.
    for marked in [SERVER_KEY, SERVER_CERTIFICATE] {
        let node = Node::due();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(node.path(SERVER_CERTIFICATE), private).unwrap();
        if !mark(&node.path(marked), "security.mark", b"others") {
            return;
        }
        let before = serials(&node);
        let names = || {
            contents(&node.path("/etc/kubernetes"))
                .into_keys()
                .collect::<Vec<_>>()
        };
        let files = names();
        let output = without_capabilities(&node, &["renew", "all"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{marked}: {told}");
        assert!(told.contains("security.mark could not be kept"), "{told}");
        for (name, serial) in serials(&node) {
            assert_eq!(
                before[name] == serial,
                name == "etcd-server",
                "{marked}, {name}: {told}"
            );
        }
        assert_eq!(names(), files, "nothing is left behind");
    }
}

/// Runs the program with the capabilities that its unit gives it.
fn without_capabilities(node: &Node, arguments: &[&str]) -> std::process::Output {
    std::process::Command::new("setpriv")
        .args([
            "--bounding-set",
            "-all,+chown,+fowner,+dac_override",
            "--inh-caps",
            "-all",
        ])
        .arg(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(node.directory.path())
        .args(arguments)
        .env_remove("KUBECERTD_CONFIG")
        .output()
        .unwrap()
}
