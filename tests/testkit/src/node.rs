//! A made-up node below a temporary root, and the program run on it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Locations;
use kubecertd::node::{Inventory, observe};
use kubecertd::pki::{
    AuthorityId, CertificateAuthority, KeyAlgorithm, PrivateKey, certificates_from_pem,
    certificates_to_pem,
};
use kubecertd::rehearsal::Sample;

use crate::pair::Pair;
use crate::tree::Tree;

/// kubeadm's usual certificatesDir.
pub const PKI: &str = "/etc/kubernetes/pki";

/// A kubeadm control-plane node in a temporary root, with real certificates.
///
/// [`Node::fresh`] and [`Node::due`] are whole nodes of today, [`Node::as_kubeadm_made_it`] one of a fixed moment, and
/// [`Node::with_authorities`] one to build upon, for components that listen. [`Live`](crate::live::Live) and
/// [`Machine`](crate::machine::Machine) let one of these run.
pub struct Node {
    tree: Tree,
    pub ca: CertificateAuthority,
    pub etcd_ca: CertificateAuthority,
    pub front_proxy_ca: CertificateAuthority,
    /// kubeadm's certificatesDir.
    pub pki: &'static str,
}

impl Deref for Node {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl Node {
    /// With authorities of these common names in files, and nothing else.
    pub fn of(pki: &'static str, authority: fn(&str) -> CertificateAuthority) -> Self {
        let node = Self {
            tree: Tree::new(),
            ca: authority("kubernetes"),
            etcd_ca: authority("etcd-ca"),
            front_proxy_ca: authority("front-proxy-ca"),
            pki,
        };
        for name in AuthorityId::ALL {
            let authority = node.authority(name);
            node.write_pki(
                &format!("{}.crt", name.base()),
                certificates_to_pem([authority.certificate()]),
            );
            node.write_pki(
                &format!("{}.key", name.base()),
                authority.key().to_pem().unwrap(),
            );
        }
        node
    }

    /// A sample node whose leaves were valid from `since` ago and are for `remaining` more.
    pub fn new(since: SignedDuration, remaining: SignedDuration) -> Self {
        let tree = Tree::new();
        let now = Timestamp::now();
        Sample {
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: now - since,
            not_after: now + remaining,
        }
        .write(&tree.root)
        .unwrap();
        let authority = |name: AuthorityId| {
            let [certificate, key] =
                ["crt", "key"].map(|end| tree.read(&format!("{PKI}/{}.{end}", name.base())));
            let certificate = certificates_from_pem(certificate.as_bytes())
                .unwrap()
                .remove(0);
            let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
            CertificateAuthority::new(&[certificate], key).unwrap()
        };
        Self {
            ca: authority(AuthorityId::Kubernetes),
            etcd_ca: authority(AuthorityId::Etcd),
            front_proxy_ca: authority(AuthorityId::FrontProxy),
            tree,
            pki: PKI,
        }
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

    pub fn authority(&self, name: AuthorityId) -> &CertificateAuthority {
        match name {
            AuthorityId::Kubernetes => &self.ca,
            AuthorityId::Etcd => &self.etcd_ca,
            AuthorityId::FrontProxy => &self.front_proxy_ca,
            AuthorityId::Other(name) => panic!("{name:?} is not kubeadm's"),
        }
    }

    pub fn observe(&self) -> Inventory {
        observe(&self.root, &Locations::default())
    }

    /// The real path of a file of the certificates directory.
    pub fn pki_path(&self, name: &str) -> PathBuf {
        self.root.join(Path::new(self.pki).join(name))
    }

    pub fn write_pki(&self, name: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("{}/{name}", self.pki), content);
    }

    pub fn write_leaf(&self, base: &str, pair: &Pair) {
        self.write_pki(&format!("{base}.crt"), pair.certificate_pem());
        self.write_pki(&format!("{base}.key"), pair.key_pem());
    }

    /// Certificate and key of that name in the certificates directory.
    pub fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        (
            self.pki_path(&format!("{name}.crt")),
            self.pki_path(&format!("{name}.key")),
        )
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(crate::program());
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
        self.write("/etc/kubecertd/kubecertd.toml", text);
    }

    /// Serial of the certificate in a PEM file or kubeconfig.
    pub fn serial(&self, name: &str) -> String {
        self.certificate(name).serial
    }

    pub fn certificate(&self, name: &str) -> kubecertd::pki::Certificate {
        let config = kubecertd::config::Config::default();
        let context = kubecertd::operation::Context::new(self.root.clone(), config, None);
        let inventory = context.observe();
        let entry = inventory.find(name).unwrap_or_else(|| panic!("no {name}"));
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

/// The program under test: cargo puts it beside the directory of the test programs.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("kubecertd")
    })
}

/// What a command printed.
pub fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
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
