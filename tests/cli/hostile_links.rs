//! Links, other names and marks that others put where certificates lie: nothing but a certificate's own files is replaced,
//! nothing outside the root is read, and nothing else is held up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use testkit::{ELEVEN, Node, contents, said, skipped};

pub(crate) const PKI: &str = "/etc/kubernetes/pki";
pub(crate) const SERVER_KEY: &str = "/etc/kubernetes/pki/etcd/server.key";

pub(crate) fn serials(node: &Node) -> BTreeMap<&'static str, String> {
    ELEVEN
        .iter()
        .map(|name| (*name, node.serial(name)))
        .collect()
}

/// Puts something in the place of etcd's server key, and says what must be said of it.
type Trap = (&'static str, fn(&Node), &'static str);

fn replace_by_link(node: &Node, target: &str) {
    let key = node.path(SERVER_KEY);
    fs::remove_file(&key).unwrap();
    symlink(target, key).unwrap();
}

fn traps() -> Vec<Trap> {
    vec![
        (
            "the CA's key",
            |node| replace_by_link(node, "../ca.key"),
            "the key of the authority ca",
        ),
        (
            "the CA's key, by an absolute link",
            |node| replace_by_link(node, "/etc/kubernetes/pki/ca.key"),
            "the key of the authority ca",
        ),
        (
            "the CA's key, with more dots than there are directories",
            |node| {
                replace_by_link(node, "../../../../../../../../etc/kubernetes/pki/ca.key");
            },
            "the key of the authority ca",
        ),
        (
            "etcd's CA's key",
            |node| replace_by_link(node, "ca.key"),
            "the key of the authority etcd-ca",
        ),
        (
            "the CA's certificate",
            |node| replace_by_link(node, "../ca.crt"),
            "the certificate of the authority ca",
        ),
        (
            "the service account's key",
            |node| replace_by_link(node, "../sa.key"),
            "the key of the service account",
        ),
        (
            "a manifest",
            |node| replace_by_link(node, "../../manifests/etcd.yaml"),
            "a static pod's manifest",
        ),
        (
            "a chain of links to the CA's key",
            |node| {
                symlink("../front-proxy-ca.key", node.path(PKI).join("etcd/two")).unwrap();
                symlink("two", node.path(PKI).join("etcd/one")).unwrap();
                replace_by_link(node, "one");
            },
            "the key of the authority front-proxy-ca",
        ),
        (
            "another certificate's key",
            |node| replace_by_link(node, "../apiserver.key"),
            "also a file of apiserver",
        ),
        (
            "a kubeconfig",
            |node| replace_by_link(node, "../../admin.conf"),
            "also a file of admin.conf",
        ),
        (
            "a file that others can read",
            |node| {
                let readable = node.path("/etc/kubernetes/readable");
                fs::write(&readable, "for all").unwrap();
                fs::set_permissions(&readable, Permissions::from_mode(0o644)).unwrap();
                replace_by_link(node, "../../readable");
            },
            "holds no key of this certificate",
        ),
        (
            "a file outside of the directories of certificates",
            |node| {
                fs::create_dir_all(node.path("/srv")).unwrap();
                fs::rename(node.path(SERVER_KEY), node.path("/srv/server.key")).unwrap();
                symlink("/srv/server.key", node.path(SERVER_KEY)).unwrap();
            },
            "outside of the directories of this node's certificates",
        ),
        (
            "the CA's key, by another name of it",
            |node| {
                fs::remove_file(node.path(SERVER_KEY)).unwrap();
                fs::hard_link(node.path(PKI).join("etcd/ca.key"), node.path(SERVER_KEY)).unwrap();
            },
            "by a hard link, ",
        ),
        (
            "another certificate's key, by another name of it",
            |node| {
                fs::remove_file(node.path(SERVER_KEY)).unwrap();
                fs::hard_link(node.path(PKI).join("etcd/peer.key"), node.path(SERVER_KEY)).unwrap();
            },
            "a file of etcd-peer",
        ),
        (
            "a device",
            |node| replace_by_link(node, "/dev/null"),
            "/dev/null",
        ),
    ]
}

#[test]
fn whatever_is_in_a_keys_place_nothing_else_is_replaced() {
    for (what, set, expected) in traps() {
        let node = Node::fresh();
        set(&node);
        let before = contents(&node.path("/etc"));
        for arguments in [&["run", "--once"][..], &["renew", "etcd-server", "--force"]] {
            let output = node.run(arguments);
            let told = said(&output);
            assert_eq!(
                contents(&node.path("/etc")),
                before,
                "{what} {arguments:?}\n{told}"
            );
            if arguments[0] == "renew" {
                assert_eq!(output.status.code(), Some(1), "{what}\n{told}");
                assert!(told.contains(expected), "{what}\n{told}");
            }
        }
    }
}

#[test]
fn what_is_in_a_keys_place_holds_up_no_other_certificate() {
    let traps = traps();
    let some = traps
        .iter()
        .filter(|(what, ..)| what.ends_with("of it") || what.starts_with("another"));
    for (what, set, expected) in some {
        let node = Node::due();
        set(&node);
        let before = serials(&node);
        let output = node.run(&["renew", "all"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{what}\n{told}");
        assert!(told.contains(expected), "{what}\n{told}");
        for (name, serial) in serials(&node) {
            let stays = name == "etcd-server";
            assert_eq!(before[name] == serial, stays, "{what}: {name}\n{told}");
        }
    }
}

/// A link to a directory with a file of the same name that holds no certificate of this node's.
#[test]
fn a_directory_that_leads_elsewhere_has_nothing_replaced_in_it() {
    for target in ["..", "/srv/others", "../manifests"] {
        let node = Node::fresh();
        fs::create_dir_all(node.path("/srv/others")).unwrap();
        fs::write(node.path("/srv/others/server.key"), "another program's").unwrap();
        fs::copy(
            node.path(PKI).join("etcd/server.crt"),
            node.path("/srv/others/server.crt"),
        )
        .unwrap();
        fs::remove_dir_all(node.path(PKI).join("etcd")).unwrap();
        symlink(target, node.path(PKI).join("etcd")).unwrap();
        let outside = contents(&node.path("/srv"));
        let before = contents(&node.path("/etc/kubernetes"));
        node.run(&["run", "--once"]);
        node.run(&["renew", "etcd-server", "--force"]);
        assert_eq!(contents(&node.path("/etc/kubernetes")), before, "{target}");
        assert_eq!(contents(&node.path("/srv")), outside, "{target}");
    }
}

#[test]
fn a_link_that_others_could_have_made_is_not_followed() {
    if !nix::unistd::geteuid().is_root() {
        skipped("owners cannot be changed without being root");
        return;
    }
    type Loosening = (&'static str, fn(&Path, &Path));
    let ways: [Loosening; 3] = [
        ("belongs to user 65534", |_, link| {
            std::os::unix::fs::lchown(link, Some(65_534), None).unwrap();
        }),
        ("belongs to user 65534", |directory, _| {
            std::os::unix::fs::chown(directory, Some(65_534), None).unwrap();
        }),
        ("others than root can write to", |directory, _| {
            fs::set_permissions(directory, Permissions::from_mode(0o775)).unwrap();
        }),
    ];
    for (expected, loosen) in ways {
        let node = Node::due();
        let pki = node.path(PKI);
        fs::rename(pki.join("etcd/server.key"), pki.join("etcd/real.key")).unwrap();
        symlink("real.key", pki.join("etcd/server.key")).unwrap();
        // As it is, it is followed.
        let before = fs::read(pki.join("etcd/real.key")).unwrap();
        assert!(node.run(&["renew", "etcd-server"]).status.success());
        let renewed = fs::read(pki.join("etcd/real.key")).unwrap();
        assert_ne!(renewed, before);
        assert!(pki.join("etcd/server.key").is_symlink());
        loosen(&pki.join("etcd"), &pki.join("etcd/server.key"));
        let output = node.run(&["renew", "etcd-server", "--force"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(expected), "{told}");
        assert_eq!(fs::read(pki.join("etcd/real.key")).unwrap(), renewed);
    }
}

#[test]
fn a_site_that_links_its_directories_and_files_is_renewed() {
    let node = Node::due();
    // The whole directory elsewhere, and one pair in another that flags name.
    fs::create_dir_all(node.path("/data")).unwrap();
    fs::rename(node.path(PKI), node.path("/data/pki")).unwrap();
    symlink("/data/pki", node.path(PKI)).unwrap();
    let before = serials(&node);
    let output = node.run(&["renew", "all"]);
    assert!(output.status.success(), "{}", said(&output));
    for (name, serial) in serials(&node) {
        assert_ne!(before[name], serial, "{name}");
    }
    assert!(node.path(PKI).is_symlink());
    // A key that is gone is made anew there as well.
    fs::remove_file(node.path("/data/pki/apiserver.key")).unwrap();
    let output = node.run(&["renew", "apiserver"]);
    assert!(
        node.path("/data/pki/apiserver.key").exists(),
        "{}",
        said(&output)
    );
}

#[test]
fn links_to_a_directory_that_the_configuration_names_are_followed() {
    let node = Node::due();
    fs::create_dir_all(node.path("/opt/pki")).unwrap();
    for ending in ["crt", "key"] {
        let here = node.path(PKI).join("apiserver").with_extension(ending);
        let there = format!("/opt/pki/apiserver.{ending}");
        fs::rename(&here, node.path(&there)).unwrap();
        symlink(&there, &here).unwrap();
    }
    let output = node.run(&["renew", "apiserver"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let manifest = node.path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let changed = text
        .replace("/etc/kubernetes/pki/apiserver.", "/opt/pki/apiserver.")
        .replacen(
            "    volumeMounts:\n",
            "    volumeMounts:\n    - mountPath: /opt/pki\n      name: opt\n",
            1,
        )
        .replacen(
            "  volumes:\n",
            "  volumes:\n  - hostPath:\n      path: /opt/pki\n    name: opt\n",
            1,
        );
    assert!(changed.contains("mountPath: /opt/pki"), "{changed}");
    assert!(changed.contains("path: /opt/pki\n    name"), "{changed}");
    fs::write(&manifest, changed).unwrap();
    node.configure("[paths]\ncertificates = \"/etc/kubernetes/pki\"\n");
    let before = node.serial("apiserver");
    let output = node.run(&["renew", "apiserver"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_ne!(node.serial("apiserver"), before);
    assert!(node.path(PKI).join("apiserver.crt").is_symlink());
}

#[test]
fn a_new_key_is_read_by_no_more_than_its_owner_and_the_group_that_read_the_old_one() {
    for (old, new) in [
        (0o600, 0o600),
        (0o644, 0o640),
        (0o666, 0o640),
        (0o4755, 0o640),
        (0o604, 0o600),
        (0o640, 0o640),
        (0o400, 0o400),
    ] {
        let node = Node::due();
        let files = ["pki/apiserver.key", "admin.conf"];
        let certificate = node.path(PKI).join("apiserver.crt");
        for file in files {
            let path = node.path("/etc/kubernetes").join(file);
            fs::set_permissions(path, Permissions::from_mode(old)).unwrap();
        }
        fs::set_permissions(&certificate, Permissions::from_mode(0o644)).unwrap();
        let output = node.run(&["renew", "apiserver", "admin.conf"]);
        assert!(output.status.success(), "{}", said(&output));
        for file in files {
            let path = node.path("/etc/kubernetes").join(file);
            let mode = fs::metadata(path).unwrap().mode() & 0o7777;
            assert_eq!(mode, new, "{file} was {old:o} and is {mode:o}");
        }
        assert_eq!(fs::metadata(&certificate).unwrap().mode() & 0o7777, 0o644);
    }
}

#[test]
fn other_names_of_a_file_are_said_in_plan_and_receipt() {
    let node = Node::due();
    let certificate = node.path(PKI).join("apiserver.crt");
    fs::hard_link(&certificate, node.path(PKI).join("for-the-proxy.crt")).unwrap();
    let old = fs::read(&certificate).unwrap();
    for arguments in [
        &["plan"][..],
        &["plan", "-o", "json"],
        &["renew", "apiserver", "--dry-run"],
    ] {
        let told = said(&node.run(arguments));
        assert!(told.contains("hard links"), "{arguments:?}\n{told}");
        assert!(told.contains("for-the-proxy.crt"), "{arguments:?}\n{told}");
    }
    let output = node.run(&["renew", "apiserver"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("for-the-proxy.crt"),
        "{}",
        said(&output)
    );
    let receipts = fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(receipts.contains("for-the-proxy.crt"), "{receipts}");
    assert_eq!(
        fs::read(node.path(PKI).join("for-the-proxy.crt")).unwrap(),
        old
    );
    let told = said(&node.run(&["renew", "etcd-peer", "--dry-run"]));
    assert!(!told.contains("hard links"), "{told}");
}

pub(crate) fn operation(node: &Node) -> String {
    let history = fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    last["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_state_directory_of_another_user_is_not_relied_on() {
    if !nix::unistd::geteuid().is_root() {
        skipped("owners cannot be changed without being root");
        return;
    }
    for place in ["", "journal", "backups"] {
        let node = Node::due();
        assert!(node.run(&["renew", "apiserver"]).status.success());
        let before = serials(&node);
        let path = node.path("/var/lib/kubecertd").join(place);
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        let output = node.run(&["renew", "all"]);
        let told = said(&output);
        assert!(!output.status.success(), "{place}: {told}");
        assert!(told.contains("belongs to user 65534"), "{place}: {told}");
        assert_eq!(serials(&node), before, "{place}");
    }
}

#[test]
fn a_journal_of_another_user_leads_to_nothing() {
    if !nix::unistd::geteuid().is_root() {
        skipped("owners cannot be changed without being root");
        return;
    }
    let node = Node::fresh();
    let (certificate, _) = testkit::cut_off::half_committed(&node);
    let before = fs::read(&certificate).unwrap();
    let journal = node.path("/var/lib/kubecertd/journal");
    for entry in fs::read_dir(&journal).unwrap() {
        std::os::unix::fs::chown(entry.unwrap().path(), Some(65_534), None).unwrap();
    }
    let output = node.run(&["recover"]);
    let told = said(&output);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("belongs to user 65534"), "{told}");
    assert_eq!(fs::read(&certificate).unwrap(), before);
}

/// Between its commit point and the end of its renames an operation was cut off; meanwhile the directory became a link to one
/// of others, into which no old key must be put back.
#[test]
fn what_an_operation_left_is_not_finished_or_put_back_behind_a_new_link() {
    let node = Node::fresh();
    testkit::cut_off::half_committed(&node);
    fs::create_dir_all(node.path("/srv/trap/etcd")).unwrap();
    fs::rename(node.path(PKI), node.path("/srv/moved")).unwrap();
    symlink("../../srv/trap", node.path(PKI)).unwrap();
    let before = contents(&node.path("/srv"));
    let output = node.run(&["recover"]);
    assert!(!output.status.success(), "{}", said(&output));
    assert_eq!(contents(&node.path("/srv")), before, "{}", said(&output));
    // Once the directory is where it was, all is finished.
    fs::remove_file(node.path(PKI)).unwrap();
    fs::rename(node.path("/srv/moved"), node.path(PKI)).unwrap();
    let output = node.run(&["recover"]);
    assert!(output.status.success(), "{}", said(&output));
}
