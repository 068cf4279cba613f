//! `kubecertd recover --expired` on a made-up node, below a root: everything but the restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{KeyAlgorithm, PrivateKey, certificates_from_pem};
use testkit::{ELEVEN, Node, contents, text};

pub(crate) const PKI: &str = "/var/lib/kubelet/pki";
pub(crate) const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
pub(crate) const OLD: &str = "/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem";
pub(crate) const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";

/// Made four hundred days ago for a year and a month.
pub(crate) fn expired() -> Node {
    Node::new(
        SignedDuration::from_hours(24 * 400),
        SignedDuration::from_hours(-24 * 5),
    )
}

fn recover(node: &Node) -> (bool, String) {
    let output = node.run(&["recover", "--expired"]);
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.success(), told)
}

/// What the link leads to, which must be a file of the kubelet's kind, with a valid certificate and its key.
pub(crate) fn current(node: &Node) -> PathBuf {
    let target = std::fs::read_link(node.path(CURRENT)).unwrap();
    let name = target.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(target.parent().unwrap().to_str(), Some(PKI), "absolute");
    let stamp = name
        .strip_prefix("kubelet-client-")
        .and_then(|name| name.strip_suffix(".pem"))
        .unwrap();
    assert!(
        stamp.len() == 19
            && stamp
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-'),
        "{name}"
    );
    let real = node.path(target.to_str().unwrap());
    let mode = std::fs::metadata(&real).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let pem = std::fs::read(&real).unwrap();
    assert!(pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let leaf = certificates_from_pem(&pem).unwrap().remove(0);
    assert!(leaf.not_after > Timestamp::now() + SignedDuration::from_hours(8700));
    assert_eq!(leaf.common_name.as_deref(), Some("system:node:cp1"));
    assert_eq!(leaf.organizations, ["system:nodes"]);
    let key = PrivateKey::from_pem(&pem).unwrap();
    assert_eq!(key.algorithm(), Some(KeyAlgorithm::EcdsaP256));
    assert!(key.matches(&leaf));
    target
}

/// A program that was made ten years ago: it tells nothing of the clock.
fn old_program(node: &Node) -> Command {
    let program = node.path("/kubecertd");
    std::fs::copy(env!("CARGO_BIN_EXE_kubecertd"), &program).unwrap();
    let made = std::time::SystemTime::now() - std::time::Duration::from_secs(10 * 365 * 86_400);
    std::fs::File::open(&program)
        .and_then(|file| file.set_modified(made))
        .unwrap();
    let mut command = Command::new(program);
    command.arg("--root").arg(node.directory.path());
    command
}

#[test]
fn where_the_clock_looks_years_ahead_force_says_that_it_is_right() {
    let mut state = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut state).unwrap();
    if state.0.maxerror < 16_000_000 {
        testkit::not_on_this_machine(
            "a doubtful clock needs a machine whose clock nobody synchronises",
        );
        return;
    }
    let hours = |years: i64| SignedDuration::from_hours(24 * 365 * years);
    let node = Node::new(hours(4), hours(-3));
    let run = |arguments: &[&str]| {
        let output = old_program(&node).args(arguments).output().unwrap();
        let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.code(), told)
    };
    let before = contents(&node.path("/etc"));
    let (code, told) = run(&["recover", "--expired"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(" recover --expired`"), "{told}");
    assert_eq!(contents(&node.path("/etc")), before);
    let (code, told) = run(&["recover", "--expired", "--force"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(node.certificate("apiserver").is_valid_at(Timestamp::now()));
}

#[test]
fn everything_is_new_and_the_kubelet_has_a_file_of_its_own() {
    let node = expired();
    let old = std::fs::read(node.path(OLD)).unwrap();
    let kubelet_conf = std::fs::read(node.path(KUBELET_CONF)).unwrap();
    let (success, told) = recover(&node);
    assert!(success, "{told}");
    for name in ELEVEN {
        assert!(node.certificate(name).is_valid_at(Timestamp::now()));
        assert!(told.contains(&format!("{name} renewed")), "{told}");
    }
    assert_ne!(current(&node).to_str(), Some(OLD));
    assert!(
        node.certificate("kubelet.conf")
            .is_valid_at(Timestamp::now())
    );
    // As the kubelet does, the old file is left; and a kubelet.conf that refers to the link needs no change.
    assert_eq!(std::fs::read(node.path(OLD)).unwrap(), old);
    assert_eq!(
        std::fs::read(node.path(KUBELET_CONF)).unwrap(),
        kubelet_conf
    );
    let history = std::fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(history.contains(r#""trigger":{"command":"recover --expired"}"#));
    assert!(history.contains("kubelet-client-current.pem") && !history.contains("PRIVATE KEY"));

    let before = contents(&node.path("/etc"));
    let (success, told) = recover(&node);
    assert!(success && told.contains("Nothing has expired"), "{told}");
    assert_eq!(contents(&node.path("/etc")), before);
}

#[test]
fn where_nothing_has_expired_nothing_is_done() {
    for node in [Node::fresh(), Node::due()] {
        let before = contents(&node.path("/etc"));
        let (success, told) = recover(&node);
        assert!(success && told.contains("Nothing has expired"), "{told}");
        assert_eq!(contents(&node.path("/etc")), before);
    }
}

/// kubelet.conf with the certificate itself in it, as kubeadm before 1.17 left it.
pub(crate) fn embed(node: &Node, pem: &[u8]) {
    let text = std::fs::read_to_string(node.path(KUBELET_CONF)).unwrap();
    let data = STANDARD.encode(pem);
    let embedded: String = text
        .lines()
        .map(|line| {
            let line = match line.split_once("client-certificate: ") {
                Some((indent, _)) => format!("{indent}client-certificate-data: {data}"),
                None => line.to_owned(),
            };
            match line.split_once("client-key: ") {
                Some((indent, _)) => format!("{indent}client-key-data: {data}\n"),
                None => line + "\n",
            }
        })
        .collect();
    assert_eq!(embedded.matches("-data: ").count(), 3, "{embedded}");
    std::fs::write(node.path(KUBELET_CONF), embedded).unwrap();
}

#[test]
fn a_kubelet_conf_that_holds_the_old_certificate_refers_to_the_link_afterwards() {
    let node = expired();
    let pem = std::fs::read(node.path(OLD)).unwrap();
    let wanted = std::fs::read_to_string(node.path(KUBELET_CONF)).unwrap();
    embed(&node, &pem);
    // And where the link should be is a file: then the kubelet could not rotate.
    std::fs::remove_file(node.path(CURRENT)).unwrap();
    std::fs::copy(node.path(OLD), node.path(CURRENT)).unwrap();
    let (success, told) = recover(&node);
    assert!(success, "{told}");
    current(&node);
    let now = std::fs::read_to_string(node.path(KUBELET_CONF)).unwrap();
    let fields = |text: &str| -> BTreeMap<String, String> {
        text.lines()
            .filter_map(|line| line.trim().split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    };
    assert_eq!(fields(&now), fields(&wanted));
}

#[test]
fn a_certificate_that_the_kubelet_has_rotated_is_only_referred_to() {
    // Valid on the disk, but kubelet.conf still holds the one from the beginning.
    let node = Node::fresh();
    let stale = expired();
    let old = std::fs::read(stale.path(OLD)).unwrap();
    for name in ["ca.crt", "ca.key"] {
        let path = format!("/etc/kubernetes/pki/{name}");
        assert!(std::fs::exists(node.path(&path)).unwrap());
    }
    embed(&node, &old);
    let before = contents(&node.path(PKI));
    let (success, told) = recover(&node);
    assert!(success, "{told}");
    assert_eq!(contents(&node.path(PKI)), before);
    let now = std::fs::read_to_string(node.path(KUBELET_CONF)).unwrap();
    assert_eq!(now.matches(CURRENT).count(), 2, "{now}");
    assert!(
        node.certificate("kubelet.conf")
            .is_valid_at(Timestamp::now())
    );
}

#[test]
fn without_the_key_of_the_ca_it_says_what_to_do_instead() {
    let node = expired();
    std::fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let before = contents(&node.path(PKI));
    let (success, told) = recover(&node);
    assert!(!success);
    for part in [
        "ca.key is not on this node",
        "kubeadm kubeconfig user --org system:nodes --client-name system:node:cp1",
        "systemctl restart kubelet",
    ] {
        assert!(told.contains(part), "{part:?} in:\n{told}");
    }
    assert_eq!(contents(&node.path(PKI)), before);
    // What the other authorities sign is renewed all the same.
    assert!(
        node.certificate("etcd-server")
            .is_valid_at(Timestamp::now())
    );
}

#[test]
fn a_dangling_link_is_said_with_what_to_do() {
    let node = expired();
    std::fs::remove_file(node.path(CURRENT)).unwrap();
    symlink("/var/lib/kubelet/pki/gone.pem", node.path(CURRENT)).unwrap();
    let (success, told) = recover(&node);
    assert!(!success);
    assert!(told.contains("kubeadm kubeconfig user"), "{told}");
    assert!(node.certificate("apiserver").is_valid_at(Timestamp::now()));
}

#[test]
fn everyday_renewal_leaves_the_kubelets_certificate_to_the_kubelet() {
    let node = expired();
    let before = contents(&node.path(PKI));
    for arguments in [&["renew", "all", "--force"][..], &["run", "--once"]] {
        let output = node.run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(contents(&node.path(PKI)), before, "{arguments:?}");
    }
}

#[test]
fn a_missing_directory_of_the_kubelets_is_made_and_holds_nothing_up() {
    let node = expired();
    embed(&node, &std::fs::read(node.path(OLD)).unwrap());
    std::fs::remove_dir_all(node.path(PKI)).unwrap();
    let (success, told) = recover(&node);
    assert!(success, "{told}");
    current(&node);
    let mode = std::fs::metadata(node.path(PKI)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o755);
    assert!(node.certificate("apiserver").is_valid_at(Timestamp::now()));

    // Where none can be made, the kubelet's certificate fails alone.
    let node = expired();
    embed(&node, &std::fs::read(node.path(OLD)).unwrap());
    std::fs::remove_dir_all(node.path(PKI)).unwrap();
    std::fs::write(node.path(PKI), "in the way").unwrap();
    let (success, told) = recover(&node);
    assert!(!success);
    assert!(
        told.contains("/var/lib/kubelet/pki") && told.contains("not renewed"),
        "{told}"
    );
    assert!(node.certificate("apiserver").is_valid_at(Timestamp::now()));
}

#[test]
fn what_is_made_is_counted_as_what_it_is() {
    let (success, told) = recover(&expired());
    assert!(success, "{told}");
    assert!(told.contains("making 11 keys and certificates\n"), "{told}");
    assert!(
        told.contains("making one key and certificate for the kubelet\n"),
        "{told}"
    );
}

#[test]
fn everybody_is_pointed_to_the_recovery_of_the_kubelets_certificate() {
    let node = expired();
    let plan = text(&node.run(&["plan"]).stdout);
    let line = plan
        .lines()
        .find(|line| line.starts_with("kubelet.conf"))
        .unwrap();
    let hint = format!(
        "`kubecertd --root {} recover --expired`",
        node.path("/").display()
    );
    let hint = hint.replace("/ recover", " recover");
    assert!(line.contains(&hint), "{plan}");
    assert!(!line.contains("only reported"), "{plan}");
    let json = text(&node.run(&["plan", "-o", "json"]).stdout);
    assert!(json.contains("\"needs-recovery\""), "{json}");

    let output = node.run(&["renew", "all"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let last = said.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with("kubelet.conf, kubelet-client-current.pem not renewed: ")
            && last.contains(&hint),
        "{said}"
    );
    // By its name, that is what was asked for.
    assert_eq!(node.run(&["renew", "kubelet.conf"]).status.code(), Some(1));

    let fresh = Node::fresh();
    let plan = text(&fresh.run(&["plan"]).stdout);
    assert!(!plan.contains("recover --expired"), "{plan}");
}

#[test]
fn a_rollback_of_it_leaves_the_kubelets_own_certificate_alone() {
    let node = expired();
    let old = node.serial("apiserver");
    embed(&node, &std::fs::read(node.path(OLD)).unwrap());
    let (success, told) = recover(&node);
    assert!(success, "{told}");
    let target = current(&node);
    let kubelet_conf = std::fs::read(node.path(KUBELET_CONF)).unwrap();
    let output = node.run(&["history", "-o", "json"]);
    let receipts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = receipts[0]["id"].as_str().unwrap();
    let output = node.run(&["rollback", id, "--force"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("the kubelet's own"));
    assert_eq!(
        std::fs::read(node.path(KUBELET_CONF)).unwrap(),
        kubelet_conf
    );
    assert_eq!(node.serial("apiserver"), old);
    assert_eq!(current(&node), target);
    assert!(node.path(target.to_str().unwrap()).exists());
}
