//! A node whose CA key is elsewhere, and OpenSSL as that CA.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{ELEVEN, Node, said};

pub(crate) const OUTBOX: &str = "/var/lib/kubecertd/outbox";
pub(crate) const INBOX: &str = "/var/lib/kubecertd/inbox";
pub(crate) const ORDERS: &str = "/var/lib/kubecertd/orders";

/// What the Kubernetes CA signs on a control-plane node.
pub(crate) const BY_CA: [&str; 6] = [
    "admin.conf",
    "apiserver",
    "apiserver-kubelet-client",
    "controller-manager.conf",
    "scheduler.conf",
    "super-admin.conf",
];

/// A node whose CA key was taken away, and where it is now.
pub(crate) struct Elsewhere {
    pub(crate) node: Node,
    pub(crate) ca: tempfile::TempDir,
}

impl Elsewhere {
    pub(crate) fn of(node: Node) -> Self {
        let ca = tempfile::tempdir().unwrap();
        let key = node.path("/etc/kubernetes/pki/ca.key");
        std::fs::copy(&key, ca.path().join("ca.key")).unwrap();
        std::fs::copy(
            node.path("/etc/kubernetes/pki/ca.crt"),
            ca.path().join("ca.crt"),
        )
        .unwrap();
        std::fs::remove_file(key).unwrap();
        Self { node, ca }
    }

    pub(crate) fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.node.path(directory)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The request for that certificate.
    pub(crate) fn request(&self, certificate: &str) -> PathBuf {
        let names = self.names(OUTBOX);
        let begins = |name: &&String| {
            name.strip_prefix(certificate)
                .and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".csr"))
                .is_some_and(|rest| rest.len() == 8)
        };
        let name = names.iter().find(begins);
        let name = name.unwrap_or_else(|| panic!("{certificate}: {names:?}"));
        self.node.path(OUTBOX).join(name)
    }

    /// Signs a request as an administrator does it.
    pub(crate) fn sign(&self, request: &Path, extra: &[&str]) -> PathBuf {
        let signed = self.ca.path().join("signed.pem");
        let mut arguments = vec!["x509", "-req", "-in"];
        arguments.push(request.to_str().unwrap());
        let ca = ["ca.crt", "ca.key"].map(|name| self.ca.path().join(name));
        arguments.extend(["-CA", ca[0].to_str().unwrap()]);
        arguments.extend(["-CAkey", ca[1].to_str().unwrap()]);
        arguments.extend(["-out", signed.to_str().unwrap(), "-CAcreateserial"]);
        arguments.extend(["-copy_extensions", "copyall"]);
        if !extra.contains(&"-days") {
            arguments.extend(["-days", "365"]);
        }
        arguments.extend(extra);
        openssl(&arguments);
        signed
    }

    /// Puts a file into the inbox.
    pub(crate) fn deliver(&self, name: &str, content: impl AsRef<[u8]>) {
        self.node.write(&format!("{INBOX}/{name}"), content);
    }

    pub(crate) fn once(&self) -> String {
        said(&self.node.run(&["run", "--once"]))
    }
}

/// A node with one open request, the API server's, and the serial of what is in place.
pub(crate) fn asked() -> (Elsewhere, String) {
    let here = Elsewhere::of(Node::due());
    let skip = ELEVEN.iter().filter(|name| **name != "apiserver");
    let skip: Vec<String> = skip.map(|name| format!("{name:?}")).collect();
    here.node
        .configure(&format!("[renewal]\nskip = [{}]\n", skip.join(", ")));
    here.once();
    let before = here.node.serial("apiserver");
    (here, before)
}

pub(crate) fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
}
