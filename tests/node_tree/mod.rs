//! A kubeadm control-plane node under a temporary root, with real certificates.

// Each test crate uses a part of it.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Locations;
use kubecertd::host::Root;
use kubecertd::node::{Inventory, observe};
use kubecertd::pki::{
    AuthorityName, Certificate, CertificateAuthority, KeyAlgorithm, KubeconfigName, LeafName,
    NewAuthority, NewLeaf, PrivateKey, Validity, certificates_to_pem,
};

/// When the node was made.
pub(crate) const MADE: &str = "2026-05-20T09:12:31Z";

pub(crate) struct Tree {
    directory: tempfile::TempDir,
    pub(crate) root: Root,
    pub(crate) ca: CertificateAuthority,
    pub(crate) etcd_ca: CertificateAuthority,
    pub(crate) front_proxy_ca: CertificateAuthority,
    /// kubeadm's certificatesDir.
    pub(crate) pki: &'static str,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) key: PrivateKey,
}

impl Pair {
    pub(crate) fn certificate_pem(&self) -> String {
        certificates_to_pem([&self.certificate])
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.to_pem().unwrap().to_string()
    }
}

pub(crate) fn made() -> Timestamp {
    MADE.parse().unwrap()
}

pub(crate) fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days * 24)
}

pub(crate) fn authority(name: &str) -> CertificateAuthority {
    CertificateAuthority::generate(&NewAuthority {
        common_name: name.to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: made(),
        not_after: made() + days(3650),
    })
    .unwrap()
}

/// A leaf that is valid for so many days.
pub(crate) fn leaf(authority: &CertificateAuthority, name: &str, valid: i64) -> Pair {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let certificate = NewLeaf {
        common_name: name.to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: true,
    }
    .sign(
        &key,
        authority,
        Validity {
            not_before: made(),
            not_after: made() + days(valid),
        },
    )
    .unwrap();
    Pair { certificate, key }
}

pub(crate) fn common_name(leaf: LeafName) -> &'static str {
    match leaf {
        LeafName::Apiserver => "kube-apiserver",
        LeafName::ApiserverEtcdClient => "kube-apiserver-etcd-client",
        LeafName::ApiserverKubeletClient => "kube-apiserver-kubelet-client",
        LeafName::EtcdHealthcheckClient => "kube-etcd-healthcheck-client",
        LeafName::EtcdPeer | LeafName::EtcdServer => "node-1",
        LeafName::FrontProxyClient => "front-proxy-client",
    }
}

impl Tree {
    /// What `kubeadm init` leaves behind, kubelet included, with leaves of a year and CAs of ten.
    pub(crate) fn new() -> Self {
        Self::with_pki("/etc/kubernetes/pki")
    }

    pub(crate) fn with_pki(pki: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = Self {
            root: Root::new(directory.path()).unwrap(),
            directory,
            ca: authority("kubernetes"),
            etcd_ca: authority("etcd-ca"),
            front_proxy_ca: authority("front-proxy-ca"),
            pki,
        };
        for name in AuthorityName::ALL {
            let authority = tree.authority(name);
            tree.write_pki(
                &format!("{}.crt", name.base()),
                certificates_to_pem([authority.certificate()]),
            );
            tree.write_pki(
                &format!("{}.key", name.base()),
                authority.key().to_pem().unwrap(),
            );
        }
        for name in LeafName::ALL {
            tree.write_leaf(
                name.base(),
                &leaf(tree.authority(name.authority()), common_name(name), 365),
            );
        }
        for name in KubeconfigName::ALL {
            let pair = leaf(&tree.ca, "kubernetes-admin", 365);
            tree.write(
                &format!("/etc/kubernetes/{}", name.name()),
                tree.kubeconfig(&pair),
            );
        }
        let sa = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        tree.write_pki("sa.key", sa.to_pem().unwrap());
        tree.write_pki("sa.pub", public_key_pem(&sa));
        tree.write_kubelet();
        tree.write_manifests();
        tree
    }

    pub(crate) fn authority(&self, name: AuthorityName) -> &CertificateAuthority {
        match name {
            AuthorityName::Kubernetes => &self.ca,
            AuthorityName::Etcd => &self.etcd_ca,
            AuthorityName::FrontProxy => &self.front_proxy_ca,
        }
    }

    pub(crate) fn observe(&self) -> Inventory {
        observe(&self.root, &Locations::default())
    }

    pub(crate) fn path(&self, node_path: &str) -> PathBuf {
        self.root.join(node_path)
    }

    /// The real path of a file of the certificates directory.
    pub(crate) fn pki_path(&self, name: &str) -> PathBuf {
        self.root.join(Path::new(self.pki).join(name))
    }

    pub(crate) fn write(&self, node_path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(node_path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn write_pki(&self, name: &str, content: impl AsRef<[u8]>) {
        self.write(&format!("{}/{name}", self.pki), content);
    }

    pub(crate) fn write_leaf(&self, base: &str, pair: &Pair) {
        self.write_pki(&format!("{base}.crt"), pair.certificate_pem());
        self.write_pki(&format!("{base}.key"), pair.key_pem());
    }

    pub(crate) fn remove(&self, node_path: &str) {
        let path = self.path(node_path);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// A kubeconfig as kubeadm writes it.
    pub(crate) fn kubeconfig(&self, pair: &Pair) -> String {
        kubeconfig_with(
            &certificates_to_pem([self.ca.certificate()]),
            &format!(
                "client-certificate-data: {}\n    client-key-data: {}",
                STANDARD.encode(pair.certificate_pem()),
                STANDARD.encode(pair.key_pem())
            ),
        )
    }

    fn write_kubelet(&self) {
        let pki = "/var/lib/kubelet/pki";
        let client = leaf(&self.ca, "system:node:node-1", 365);
        let dated = format!("{pki}/kubelet-client-2026-05-20-09-12-31.pem");
        self.write(&dated, client.certificate_pem() + &client.key_pem());
        std::os::unix::fs::symlink(
            &dated,
            self.path(&format!("{pki}/kubelet-client-current.pem")),
        )
        .unwrap();
        let own_ca = authority("node-1-ca@1779268351");
        let serving = leaf(&own_ca, "node-1@1779268351", 365);
        self.write(
            &format!("{pki}/kubelet.crt"),
            certificates_to_pem([&serving.certificate, own_ca.certificate()]),
        );
        self.write(&format!("{pki}/kubelet.key"), serving.key_pem());
        self.write(
            "/etc/kubernetes/kubelet.conf",
            kubeconfig_with(
                &certificates_to_pem([self.ca.certificate()]),
                &format!("client-certificate: {pki}/kubelet-client-current.pem\n    client-key: {pki}/kubelet-client-current.pem"),
            ),
        );
        self.write(
            "/var/lib/kubelet/config.yaml",
            format!(
                "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication:\n  x509:\n    \
                 clientCAFile: {}/ca.crt\nstaticPodPath: /etc/kubernetes/manifests\nfileCheckFrequency: 0s\n",
                self.pki
            ),
        );
    }

    fn write_manifests(&self) {
        let pki = self.pki;
        self.write_manifest(
            "kube-apiserver",
            &[
                "--advertise-address=192.0.2.10",
                &format!("--client-ca-file={pki}/ca.crt"),
                &format!("--etcd-cafile={pki}/etcd/ca.crt"),
                &format!("--etcd-certfile={pki}/apiserver-etcd-client.crt"),
                &format!("--etcd-keyfile={pki}/apiserver-etcd-client.key"),
                "--etcd-servers=https://127.0.0.1:2379",
                &format!("--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt"),
                &format!("--kubelet-client-key={pki}/apiserver-kubelet-client.key"),
                &format!("--proxy-client-cert-file={pki}/front-proxy-client.crt"),
                &format!("--proxy-client-key-file={pki}/front-proxy-client.key"),
                &format!("--requestheader-client-ca-file={pki}/front-proxy-ca.crt"),
                &format!("--service-account-signing-key-file={pki}/sa.key"),
                &format!("--tls-cert-file={pki}/apiserver.crt"),
                &format!("--tls-private-key-file={pki}/apiserver.key"),
            ],
            &[
                (pki, "DirectoryOrCreate"),
                ("/etc/ssl/certs", "DirectoryOrCreate"),
            ],
        );
        self.write_manifest(
            "kube-controller-manager",
            &[
                "--kubeconfig=/etc/kubernetes/controller-manager.conf",
                &format!("--root-ca-file={pki}/ca.crt"),
            ],
            &[
                (pki, "DirectoryOrCreate"),
                ("/etc/kubernetes/controller-manager.conf", "FileOrCreate"),
            ],
        );
        self.write_manifest(
            "kube-scheduler",
            &["--kubeconfig=/etc/kubernetes/scheduler.conf"],
            &[("/etc/kubernetes/scheduler.conf", "FileOrCreate")],
        );
        self.write_manifest(
            "etcd",
            &[
                &format!("--cert-file={pki}/etcd/server.crt"),
                &format!("--key-file={pki}/etcd/server.key"),
                &format!("--peer-cert-file={pki}/etcd/peer.crt"),
                &format!("--peer-key-file={pki}/etcd/peer.key"),
                &format!("--trusted-ca-file={pki}/etcd/ca.crt"),
            ],
            &[
                (&format!("{pki}/etcd"), "DirectoryOrCreate"),
                ("/var/lib/etcd", "DirectoryOrCreate"),
            ],
        );
    }

    /// A manifest with these flags, each path mounted where it is.
    pub(crate) fn write_manifest(&self, component: &str, flags: &[&str], mounts: &[(&str, &str)]) {
        let mut text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    component: {component}\n  name: {component}\n  \
             namespace: kube-system\nspec:\n  containers:\n  - name: {component}\n    command:\n    - {component}\n"
        );
        for flag in flags {
            text += &format!("    - {flag}\n");
        }
        text += "    volumeMounts:\n";
        for (index, (path, _)) in mounts.iter().enumerate() {
            text += &format!("    - {{name: v{index}, mountPath: {path}}}\n");
        }
        text += "  volumes:\n";
        for (index, (path, kind)) in mounts.iter().enumerate() {
            text += &format!("  - {{name: v{index}, hostPath: {{path: {path}, type: {kind}}}}}\n");
        }
        self.write(&format!("/etc/kubernetes/manifests/{component}.yaml"), text);
    }
}

/// A kubeconfig that trusts `ca` and whose user has `credentials`.
pub(crate) fn kubeconfig_with(ca: &str, credentials: &str) -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://192.0.2.10:6443\n  \
         name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    user: me\n  name: me@kubernetes\n\
         current-context: me@kubernetes\nkind: Config\nusers:\n- name: me\n  user:\n    {credentials}\n",
        STANDARD.encode(ca)
    )
}

pub(crate) fn public_key_pem(key: &PrivateKey) -> String {
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(key.public_key_der())
    )
}
