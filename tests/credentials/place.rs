//! A machine without Kubernetes, with a configuration of kubeadm and perhaps authorities.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{
    Certificate, CertificateAuthority, CertificateRequest, KeyAlgorithm, NewAuthority,
    certificates_from_pem, certificates_to_pem,
};
use testkit::text;
use testkit::tree::Tree;

pub(crate) const CONFIG: &str = "/kubeadm.yaml";

/// A configuration of a control plane on its own, with quick keys.
pub(crate) const CONFIGURATION: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {name: cp-1}
localAPIEndpoint: {advertiseAddress: 10.0.0.5}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: prod
controlPlaneEndpoint: api.example.net:8443
encryptionAlgorithm: ECDSA-P256
apiServer:
  certSANs: [extra.example.net]
";

/// The requests of a control plane, below /etc/kubernetes.
pub(crate) const TWELVE: [&str; 12] = [
    "pki/apiserver",
    "pki/apiserver-etcd-client",
    "pki/apiserver-kubelet-client",
    "pki/etcd/healthcheck-client",
    "pki/etcd/peer",
    "pki/etcd/server",
    "pki/front-proxy-client",
    "admin.conf",
    "controller-manager.conf",
    "kubelet.conf",
    "scheduler.conf",
    "super-admin.conf",
];

pub(crate) struct Place {
    tree: Tree,
}

impl Deref for Place {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let tree = Tree::in_memory();
        tree.write(CONFIG, CONFIGURATION);
        Self { tree }
    }

    /// With three authorities.
    pub(crate) fn with_authorities() -> Self {
        let place = Self::new();
        for (base, name) in [
            ("ca", "kubernetes"),
            ("etcd/ca", "etcd-ca"),
            ("front-proxy-ca", "front-proxy-ca"),
        ] {
            let authority = authority(name);
            place.write_pair(base, &authority);
        }
        place
    }

    pub(crate) fn write_pair(&self, base: &str, authority: &CertificateAuthority) {
        let pem = certificates_to_pem([authority.certificate()]);
        self.write(&format!("/etc/kubernetes/pki/{base}.crt"), pem);
        let key = authority.key().to_pem().unwrap();
        self.write(&format!("/etc/kubernetes/pki/{base}.key"), key.as_bytes());
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(testkit::program());
        command
            .arg("--root")
            .arg(self.directory.path())
            .env_remove("KUBECERTD_CONFIG")
            .env_remove("KUBECERTD_LOG");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().unwrap()
    }

    /// A run that has to succeed: what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// A run that has to fail: its error, after which every file is as before.
    pub(crate) fn fail(&self, arguments: &[&str]) -> String {
        let before = self.entries("/");
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(self.entries("/"), before, "{arguments:?}");
        text(&output.stderr)
    }

    pub(crate) fn generate(&self) {
        self.succeed(&["csr", "generate", "--config", CONFIG]);
    }

    pub(crate) fn request(&self, base: &str) -> CertificateRequest {
        let text = self.read(&format!("/etc/kubernetes/{base}.csr"));
        CertificateRequest::from_pem(text.as_bytes()).unwrap()
    }

    pub(crate) fn certificate(&self, base: &str) -> Certificate {
        let text = self.read(&format!("/etc/kubernetes/{base}.crt"));
        certificates_from_pem(text.as_bytes()).unwrap().remove(0)
    }

    /// Everything below /etc/kubernetes that is no directory.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        self.entries("/etc/kubernetes")
            .into_iter()
            .filter(|(_, entry)| entry.contents != "directory")
            .map(|(path, _)| path)
            .collect()
    }
}

pub(crate) fn authority(name: &str) -> CertificateAuthority {
    let now = Timestamp::now();
    CertificateAuthority::generate(&NewAuthority {
        common_name: name.to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now - SignedDuration::from_hours(1),
        not_after: now + SignedDuration::from_hours(24 * 3650),
    })
    .unwrap()
}
