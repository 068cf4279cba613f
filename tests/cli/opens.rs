//! How often a renewal opens what it works on: a system call costs little, and a thousand of them as much as the cryptography
//! of an ECDSA renewal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::process::Command;

use testkit::{Node, text};

/// Opens of one certificate or key in a renewal of all: it is observed, checked, surveyed, backed up, compared before and after
/// the commit point, and flushed. Each of these looks at it anew on purpose, and opens it once.
const MOST_OF_A_FILE: usize = 9;

/// Opens of one directory of certificates: once for each of those steps, and not once for each file in it.
const MOST_OF_A_DIRECTORY: usize = 30;

/// Opens of the index of an earlier backup: for the number of the next one, and to tidy up.
const MOST_OF_AN_INDEX: usize = 2;

/// How often a command opens each file below the node's root, by its path there; `None` where nothing may be traced.
fn opens(node: &Node, arguments: &[&str]) -> Option<BTreeMap<String, usize>> {
    let log = node.directory.path().join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", "trace=open,openat,openat2", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(node.directory.path())
        .args(arguments)
        .status();
    if !traced.is_ok_and(|status| status.success()) {
        testkit::skipped("no strace that may trace here");
        return None;
    }
    let traced = std::fs::read_to_string(&log).unwrap();
    let root = node.directory.path().canonicalize().unwrap();
    // With -y the descriptor is followed by its path without links: `= 3</x/pki/apiserver.key>`.
    let mut opens: BTreeMap<String, usize> = BTreeMap::new();
    for line in traced.lines() {
        let opened = line
            .rsplit_once('<')
            .and_then(|(_, end)| end.strip_suffix('>'))
            .and_then(|path| path.strip_prefix(root.to_str().unwrap()));
        if let Some(path) = opened {
            *opens.entry(path.to_owned()).or_default() += 1;
        }
    }
    Some(opens)
}

#[test]
fn a_renewal_opens_each_directory_once_a_step_and_not_once_a_file() {
    let node = Node::due();
    let first = node.run(&["renew", "all", "--force", "--no-restart"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let Some(opens) = opens(&node, &["renew", "all", "--force", "--no-restart"]) else {
        return;
    };
    let of = |path: &str| opens.get(path).copied().unwrap_or_default();
    for file in [
        "pki/apiserver.crt",
        "pki/apiserver.key",
        "pki/etcd/peer.crt",
        "pki/etcd/peer.key",
        "admin.conf",
    ] {
        let count = of(&format!("/etc/kubernetes/{file}"));
        assert!((1..=MOST_OF_A_FILE).contains(&count), "{file}: {count}");
    }
    for directory in ["", "/pki", "/pki/etcd"] {
        let count = of(&format!("/etc/kubernetes{directory}"));
        let is_few = (1..=MOST_OF_A_DIRECTORY).contains(&count);
        assert!(is_few, "{directory}: {count}");
    }
    let indexes = opens
        .iter()
        .filter(|(path, _)| path.ends_with("/index.json"))
        .map(|(_, count)| *count);
    let most = indexes.max().unwrap();
    assert!((1..=MOST_OF_AN_INDEX).contains(&most), "an index: {most}");
}

/// The record grows for years, and every look of the daemon would read it.
#[test]
fn nothing_is_read_for_copies_where_none_are_wanted() {
    let node = Node::due();
    node.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    let renewed = node.run(&["renew", "admin.conf"]);
    assert!(renewed.status.success(), "{}", text(&renewed.stderr));
    for (discover, is_read) in [("root", true), ("none", false)] {
        node.configure(&format!("[admin-copies]\ndiscover = \"{discover}\"\n"));
        let Some(opens) = opens(&node, &["check-expiration", "--all"]) else {
            return;
        };
        for file in ["/var/lib/kubecertd/history.jsonl", "/etc/passwd"] {
            assert_eq!(opens.contains_key(file), is_read, "{discover}: {file}");
        }
    }
}
