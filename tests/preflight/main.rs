//! What would make an operation fail half-way is found before anything is touched: on real file systems, with real marks,
//! processes, units and cron jobs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod addresses;
mod codes;
mod files;
mod halted;
mod moment;
mod renewers;
mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use testkit::{Node, contents, said, skipped};

/// Whether mounts can be made in a namespace of their own.
pub(crate) fn can_mount() -> bool {
    let can = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !can {
        skipped("mounts in a namespace need root and unshare(1)");
    }
    can
}

/// Runs a script in a mount namespace of its own, with the program as `kubecertd` and the node's root in `$ROOT`.
pub(crate) fn in_namespace(node: &Node, script: &str) -> Output {
    let prelude = format!(
        "set -e\nROOT={}\nKUBECERTD={}\nkubecertd() {{ $KUBECERTD --root $ROOT \"$@\"; }}\n",
        node.directory.path().display(),
        env!("CARGO_BIN_EXE_kubecertd")
    );
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &format!("{prelude}{script}")])
        .env_remove("KUBECERTD_CONFIG")
        .env_remove("KUBECERTD_LOG")
        .output()
        .unwrap()
}

pub(crate) fn kubernetes(node: &Node) -> BTreeMap<PathBuf, Vec<u8>> {
    contents(&node.path("/etc/kubernetes"))
}
