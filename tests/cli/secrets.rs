//! No private key gets into a log, a status, a receipt, a plan, an index or a `Debug` output: whole runs of the program
//! on a made-up node, everything logged that can be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::Path;
use std::process::{Command, Output};

use kubecertd::config::Renewal;
use kubecertd::issuer::{Wanted, issue, replacements};
use kubecertd::net::Identity;
use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::operation::Context;
use kubecertd::pki::{CertificateAuthority, PrivateKey, certificates_from_pem};
use testkit::secret_search::Secrets;
use testkit::{Node, contents, text};

/// A run of the program at its most talkative, and every key that was or is on the node.
struct Watched {
    node: Node,
    secrets: Secrets,
}

impl Watched {
    fn new(node: Node) -> Self {
        node.configure("[log]\nlevel = \"trace\"\nformat = \"text\"\n");
        let secrets = Secrets::below(&node.path("/etc/kubernetes"));
        // Three authorities, the service account's, seven pairs and four kubeconfigs.
        assert_eq!(secrets.count, 15);
        Self { node, secrets }
    }

    /// Runs a command and looks for keys in what it printed and wrote.
    fn run(&mut self, arguments: &[&str]) -> Output {
        let mut command = self.node.command();
        command.args(["--log-level", "trace"]).args(arguments);
        self.examine(&mut command, arguments)
    }

    fn examine(&mut self, command: &mut Command, what: &[&str]) -> Output {
        let output = command.env("RUST_BACKTRACE", "full").output().unwrap();
        self.secrets
            .extend(&Secrets::below(&self.node.path("/etc/kubernetes")));
        self.secrets
            .assert_none_in(&format!("{what:?}, output"), &output.stdout);
        self.secrets
            .assert_none_in(&format!("{what:?}, log"), &output.stderr);
        self.examine_files();
        output
    }

    fn examine_files(&self) -> usize {
        let backups = self.node.path("/var/lib/kubecertd/backups");
        let is_copy = |path: &Path| {
            path.strip_prefix(&backups)
                .is_ok_and(|path| path.components().count() > 2)
        };
        self.secrets
            .assert_none_below(&self.node.path("/var/lib/kubecertd"), is_copy)
            + self
                .secrets
                .assert_none_below(&self.node.path("/run"), |_| false)
    }
}

#[test]
fn the_search_finds_a_key_in_every_form() {
    let node = Node::fresh();
    let key = node.path("/etc/kubernetes/pki/apiserver.key");
    let pem = std::fs::read_to_string(&key).unwrap();
    let der = kubecertd::pki::private_key_der(pem.as_bytes()).unwrap();
    let mut secrets = Secrets::default();
    secrets.add_file(pem.as_bytes());
    let hexadecimal: String = der.iter().map(|byte| format!("{byte:02X}")).collect();
    let kubeconfig = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &pem);
    for form in [
        der.to_vec(),
        pem.lines().nth(1).unwrap().as_bytes().to_vec(),
        format!("{:?}", der.as_slice()).into_bytes(),
        format!("{hexadecimal} and so on").into_bytes(),
        format!("x{kubeconfig}").into_bytes(),
    ] {
        assert!(
            secrets.find(&form).is_some(),
            "{}",
            String::from_utf8_lossy(&form)
        );
    }
    let other = std::fs::read(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    assert_eq!(secrets.find(&other), None);
    for bytes in contents(&node.path("/etc/kubernetes/pki")).values() {
        assert_eq!(secrets.find(bytes).is_some(), bytes == pem.as_bytes());
    }
}

#[test]
fn nothing_that_a_whole_run_prints_or_writes_shows_a_key() {
    let mut watched = Watched::new(Node::due());
    let mut logged = String::new();
    for arguments in [
        ["check-expiration", "--all", "-o", "text"].as_slice(),
        &["check-expiration", "--all", "-o", "json"],
        &["check-expiration", "-o", "yaml"],
        &["plan"],
        &["plan", "-o", "json"],
        &["config", "show"],
        &["renew", "all", "--dry-run"],
        &["rehearse"],
        &["run", "--once"],
        &["renew", "all", "--force"],
        &["recover"],
        &["history"],
        &["history", "verify"],
        &["history", "-o", "json"],
        &["status"],
        &["status", "-o", "json"],
    ] {
        let output = watched.run(arguments);
        logged.push_str(&text(&output.stderr));
        if ["run", "renew", "rehearse"].contains(&arguments[0]) {
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                text(&output.stderr)
            );
        }
    }
    // Two renewals of eleven; the authorities' keys and the service account's are counted each time.
    assert!(
        watched.secrets.count > 15 + 2 * 11,
        "{}",
        watched.secrets.count
    );
    assert!(
        logged.contains("INFO") && logged.contains("certificate=\"apiserver\""),
        "{logged}"
    );
    let state = contents(&watched.node.path("/var/lib/kubecertd"));
    let named = |name: &str| state.keys().filter(|path| path.ends_with(name)).count();
    assert_eq!((named("history.jsonl"), named("index.json")), (1, 2));
    assert!(watched.node.path("/run/kubecertd/status.json").exists());
    let copies = state
        .values()
        .filter(|bytes| watched.secrets.find(bytes).is_some())
        .count();
    assert_eq!(
        copies,
        2 * 11,
        "the copies of keys and kubeconfigs, and nothing else"
    );
}

/// What is done to a file's text.
type Damage = fn(&str) -> String;

#[test]
fn what_fails_shows_no_key_either() {
    let mut watched = Watched::new(Node::due());
    let kubernetes = watched.node.path("/etc/kubernetes");
    let damages: [(&str, Damage); 11] = [
        ("pki/apiserver.key", |key| key.replace('\n', "")),
        ("pki/ca.key", |key| key.replace('\n', "")),
        ("pki/etcd/server.key", |key| key.replace('\n', " ")),
        ("pki/apiserver.key", |key| key[..key.len() / 2].to_owned()),
        ("pki/apiserver.key", |key| key.replacen("MHc", "M-Hc", 1)),
        ("pki/etcd/peer.key", |key| key.replace("-----", "----")),
        ("pki/ca.key", |key| key.replacen('\n', "\nx", 1)),
        ("pki/ca.key", |key| key.replace("EC PRIVATE", "RSA PRIVATE")),
        ("admin.conf", |text| {
            text.replace("client-key-data: ", "client-key-data: %")
        }),
        ("admin.conf", |text| {
            text.replace("client-key-data: ", "client-key-data: [")
        }),
        ("scheduler.conf", |text| {
            text.replace("client-key-data: ", "client-key-data: - ")
        }),
    ];
    for (file, damage) in damages {
        let path = kubernetes.join(file);
        let whole = std::fs::read_to_string(&path).unwrap();
        let damaged = damage(&whole);
        assert_ne!(damaged, whole, "{file}");
        std::fs::write(&path, &damaged).unwrap();
        for arguments in [
            ["check-expiration", "--all", "-o", "json", "--within", "1d"].as_slice(),
            &["plan", "-o", "json"],
            &["rehearse"],
            &[
                "renew",
                "apiserver",
                "admin.conf",
                "scheduler.conf",
                "--force",
            ],
        ] {
            watched.run(arguments);
        }
        std::fs::write(&path, &whole).unwrap();
    }
    // The old key is to be kept and is another's: it is read and refused.
    watched
        .node
        .configure("[log]\nlevel = \"trace\"\n[renewal]\nreuse-key = true\n");
    std::fs::copy(
        kubernetes.join("pki/ca.key"),
        kubernetes.join("pki/apiserver.key"),
    )
    .unwrap();
    let output = watched.run(&["renew", "apiserver", "--force"]);
    assert!(!output.status.success());
}

#[test]
fn an_operation_that_was_cut_off_has_no_key_in_its_journal() {
    let mut watched = Watched::new(Node::due());
    for (call, nth) in [("fdatasync", 4), ("renameat", 1), ("renameat", 7)] {
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .arg(format!("trace={call}"))
            .arg("-e")
            .arg(format!("inject={call}:signal=SIGKILL:when={nth}"))
            .arg(env!("CARGO_BIN_EXE_kubecertd"))
            .args(["--log-level", "trace", "--root"])
            .arg(watched.node.directory.path())
            .args(["renew", "all", "--force"]);
        if Command::new("strace").arg("-V").output().is_err() {
            testkit::skipped("no strace");
            return;
        }
        let output = watched.examine(&mut strace, &["killed at", call]);
        assert!(!output.status.success(), "{call} was not reached");
        assert!(
            !contents(&watched.node.path("/var/lib/kubecertd/journal")).is_empty(),
            "{call}"
        );
        let output = watched.run(&["recover"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// Private keys that are opened only to sign, or never.
const CLOSED: [&str; 4] = ["ca.key", "etcd/ca.key", "front-proxy-ca.key", "sa.key"];

/// Which of them a command opens, by device and inode; `None` where nothing may be traced.
fn opened(node: &Node, arguments: &[&str]) -> Option<Vec<&'static str>> {
    let pki = node.path("/etc/kubernetes/pki");
    let log = node.directory.path().join("trace");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", "trace=open,openat,openat2", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(node.directory.path())
        .args(arguments)
        .output();
    let traced = std::fs::read_to_string(&log).ok()?;
    output.ok()?;
    assert!(traced.contains("/apiserver.crt"), "{arguments:?}: {traced}");
    let succeeded: Vec<&str> = traced
        .lines()
        .filter(|line| !line.contains(" = -1 "))
        .collect();
    // With -y the descriptor is followed by its path without links: `= 3</x/ca.key>`.
    Some(
        CLOSED
            .into_iter()
            .filter(|key| {
                let path = std::fs::canonicalize(pki.join(key)).unwrap();
                let end = format!("<{}>", path.display());
                succeeded.iter().any(|line| line.contains(&end))
            })
            .collect(),
    )
}

#[test]
fn keys_of_authorities_are_opened_only_to_sign() {
    let node = Node::due();
    let pki = node.path("/etc/kubernetes/pki");
    node.configure("[renewal]\nenabled = false\n");
    if opened(&node, &["plan"]).is_none() {
        testkit::skipped("no strace that may trace here");
        return;
    }
    // Other names for them, such as whoever writes pki/etcd makes; and an authority that kubeadm does not know.
    std::os::unix::fs::symlink("../ca.key", pki.join("etcd/link.crt")).unwrap();
    std::os::unix::fs::symlink("../sa.key", pki.join("etcd/link.pem")).unwrap();
    std::fs::copy(pki.join("apiserver.crt"), pki.join("etcd/own.crt")).unwrap();
    std::os::unix::fs::symlink("../front-proxy-ca.key", pki.join("etcd/own.key")).unwrap();
    std::fs::copy(pki.join("ca.crt"), pki.join("other-ca.crt")).unwrap();
    std::os::unix::fs::symlink("ca.key", pki.join("other-ca.key")).unwrap();
    std::os::unix::fs::symlink("pki/ca.key", node.path("/etc/kubernetes/x.conf")).unwrap();
    std::fs::remove_file(pki.join("etcd/peer.key")).unwrap();
    std::os::unix::fs::symlink("../ca.key", pki.join("etcd/peer.key")).unwrap();
    for arguments in [
        ["check-expiration"].as_slice(),
        &["check-expiration", "--all", "-o", "json", "--within", "10d"],
        &["plan"],
        &["plan", "--at", "400d"],
        &["preflight"],
        &["renew", "all", "--dry-run"],
        &["run", "--once"],
    ] {
        assert_eq!(opened(&node, arguments), Some(Vec::new()), "{arguments:?}");
    }
    let said = text(&node.run(&["check-expiration", "--all"]).stdout);
    assert!(
        said.contains("etcd/own.key: is the private key of an authority or of the service account"),
        "{said}"
    );
    let kept = std::fs::read(pki.join("ca.key")).unwrap();
    assert_eq!(
        opened(
            &node,
            &[
                "renew",
                "apiserver",
                "etcd-server",
                "--force",
                "--no-restart"
            ]
        ),
        Some(vec!["ca.key", "etcd/ca.key"]),
        "those that sign, and no other"
    );
    assert_eq!(std::fs::read(pki.join("ca.key")).unwrap(), kept);
}

#[test]
fn keys_in_backups_stay_closed_while_they_are_kept() {
    let node = Node::due();
    let renewed = node.run(&["renew", "apiserver", "--no-restart"]);
    assert!(renewed.status.success(), "{}", text(&renewed.stderr));
    let mut backups = std::fs::read_dir(node.path("/var/lib/kubecertd/backups")).unwrap();
    let backup = backups.next().unwrap().unwrap().path();
    let log = node.directory.path().join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", "trace=open,openat,openat2", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(node.directory.path())
        .args(["renew", "apiserver", "--force", "--no-restart"])
        .status();
    if !traced.is_ok_and(|status| status.success()) {
        testkit::skipped("no strace that may trace here");
        return;
    }
    let traced = std::fs::read_to_string(&log).unwrap();
    let opened = |name: &str| {
        let end = format!("<{}/etc/kubernetes/pki/{name}>", backup.display());
        traced.lines().filter(|line| line.contains(&end)).count()
    };
    assert_eq!(opened("apiserver.key"), 0);
    assert!(traced.contains(&format!("<{}/index.json>", backup.display())));
}

#[test]
fn debug_output_of_what_holds_keys_shows_none() {
    let node = Node::fresh();
    let config = kubecertd::config::Config::default();
    let context = Context::new(node.root.clone(), config, None);
    let mut secrets = Secrets::below(&node.path("/etc/kubernetes"));
    let inventory = context.observe();
    let wanted: Vec<Wanted> = testkit::ELEVEN
        .iter()
        .map(|name| Wanted {
            id: (*name).into(),
            may_end_sooner: true,
            more_names: Vec::new(),
        })
        .collect();
    let issued = issue(
        &inventory,
        &Renewal::default(),
        &wanted,
        jiff::Timestamp::now(),
    );
    let mut shown = format!("{inventory:?}{inventory:#?}{issued:?}");
    let before = secrets.count;
    for one in issued {
        let one = one.unwrap();
        secrets.add_file(one.key.to_pem().unwrap().as_bytes());
        let replacements = replacements(&inventory, &one).unwrap();
        shown.push_str(&format!("{replacements:?}{replacements:#?}"));
    }
    assert_eq!(secrets.count, before + 11);
    let read = |path: &str| std::fs::read(node.path("/etc/kubernetes").join(path)).unwrap();
    let key = PrivateKey::from_pem(&read("pki/ca.key")).unwrap();
    let identity =
        Identity::from_pem(&read("pki/apiserver.crt"), &read("pki/apiserver.key")).unwrap();
    shown.push_str(&format!("{key:?}{identity:?}"));
    let certificates = certificates_from_pem(&read("pki/ca.crt")).unwrap();
    shown.push_str(&format!(
        "{:?}",
        CertificateAuthority::new(&certificates, key).unwrap()
    ));
    let kubeconfig = Kubeconfig::parse(text(&read("admin.conf"))).unwrap();
    assert!(matches!(kubeconfig.key, Credential::Embedded(_)));
    shown.push_str(&format!("{kubeconfig:?}{:?}", kubeconfig.key));
    secrets.assert_none_in("Debug output", shown.as_bytes());
}

#[test]
fn a_damaged_file_with_both_certificate_and_key_is_refused_without_a_line_of_it() {
    let node = Node::fresh();
    let read = |path: &str| {
        let path = node.path("/etc/kubernetes/pki").join(path);
        std::fs::read_to_string(path).unwrap()
    };
    let (certificate, key) = (read("apiserver.crt"), read("apiserver.key"));
    let mut secrets = Secrets::default();
    secrets.add_file(key.as_bytes());
    let damages: [Damage; 4] = [
        |key| key.replace('\n', ""),
        |key| key.replacen("KEY-----\n", "KEY---- ", 1),
        |key| key.replacen("KEY-----\n", "KEY", 1),
        |key| key.replace("-----END", "----END"),
    ];
    for damage in damages {
        let both = format!("{}{certificate}", damage(&key));
        let error = Identity::from_pem(both.as_bytes(), both.as_bytes()).unwrap_err();
        secrets.assert_none_in("the message", error.to_string().as_bytes());
        secrets.assert_none_in("the message", format!("{error:?}").as_bytes());
    }
}
