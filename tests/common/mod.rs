//! A made-up node below a temporary root, and the program run on it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods
)]

pub mod cut_off;
pub mod daemon;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use kubecertd::host::Root;
use kubecertd::pki::{KeyAlgorithm, certificates_from_pem};
use kubecertd::rehearsal::Sample;

/// A sample node whose leaves were valid from `since` ago and are for `remaining` more.
pub struct Node {
    pub directory: tempfile::TempDir,
    pub root: Root,
}

impl Node {
    pub fn new(since: SignedDuration, remaining: SignedDuration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        let now = Timestamp::now();
        Sample {
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: now - since,
            not_after: now + remaining,
        }
        .write(&root)
        .unwrap();
        Self { directory, root }
    }

    /// As made a month ago for a year.
    pub fn fresh() -> Self {
        Self::new(
            SignedDuration::from_hours(24 * 30),
            SignedDuration::from_hours(24 * 335),
        )
    }

    /// Twenty days before the end.
    pub fn due() -> Self {
        Self::new(
            SignedDuration::from_hours(24 * 345),
            SignedDuration::from_hours(24 * 20),
        )
    }

    pub fn path(&self, node_path: &str) -> PathBuf {
        self.root.join(node_path)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubecertd"));
        command
            .arg("--root")
            .arg(self.directory.path())
            .env_remove("KUBECERTD_CONFIG")
            .env_remove("KUBECERTD_LOG")
            .env_remove("NOTIFY_SOCKET");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    pub fn configure(&self, text: &str) {
        let path = self.path("/etc/kubecertd/kubecertd.toml");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Serial of the certificate in a PEM file or kubeconfig.
    pub fn serial(&self, name: &str) -> String {
        self.certificate(name).serial
    }

    pub fn certificate(&self, name: &str) -> kubecertd::pki::Certificate {
        let config = kubecertd::config::Config::default();
        let context = kubecertd::operation::Context::new(self.root.clone(), config, None);
        let inventory = context.observe();
        let entry = inventory.entry(name).unwrap_or_else(|| panic!("no {name}"));
        entry
            .present()
            .unwrap_or_else(|| panic!("{name}: {:?}", entry.state))
            .leaf
            .clone()
    }
}

/// All files below a directory with their bytes.
pub fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                all.insert(path, target.into_os_string().into_encoded_bytes());
            } else {
                let bytes = std::fs::read(&path).unwrap();
                all.insert(path, bytes);
            }
        }
    }
    all
}

/// Says that a test was left out, past the test harness, which keeps what passing tests print to itself.
pub fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "!!! SKIPPED: {why}");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn first_certificate(path: &Path) -> kubecertd::pki::Certificate {
    certificates_from_pem(&std::fs::read(path).unwrap())
        .unwrap()
        .remove(0)
}

pub const ELEVEN: [&str; 11] = [
    "admin.conf",
    "apiserver",
    "apiserver-etcd-client",
    "apiserver-kubelet-client",
    "controller-manager.conf",
    "etcd-healthcheck-client",
    "etcd-peer",
    "etcd-server",
    "front-proxy-client",
    "scheduler.conf",
    "super-admin.conf",
];
