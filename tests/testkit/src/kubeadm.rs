//! A kubeadm control-plane node under a temporary root, with real certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{
    CertificateAuthority, KeyAlgorithm, KubeconfigName, LeafName, NewLeaf, PrivateKey, Validity,
    certificates_to_pem,
};

use crate::node::{Node, PKI};
use crate::pair::{self, Pair};

/// When the node was made.
pub const MADE: &str = "2026-05-20T09:12:31Z";

pub fn made() -> Timestamp {
    MADE.parse().unwrap()
}

pub fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days * 24)
}

pub fn authority(name: &str) -> CertificateAuthority {
    pair::authority(name, made(), made() + days(3650))
}

/// A leaf that is valid for so many days.
pub fn leaf(authority: &CertificateAuthority, name: &str, valid: i64) -> Pair {
    let leaf = NewLeaf {
        common_name: name.to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: true,
    };
    let validity = Validity {
        not_before: made(),
        not_after: made() + days(valid),
    };
    Pair::sign(&leaf, authority, validity)
}

fn common_name(leaf: LeafName) -> &'static str {
    match leaf {
        LeafName::Apiserver => "kube-apiserver",
        LeafName::ApiserverEtcdClient => "kube-apiserver-etcd-client",
        LeafName::ApiserverKubeletClient => "kube-apiserver-kubelet-client",
        LeafName::EtcdHealthcheckClient => "kube-etcd-healthcheck-client",
        LeafName::EtcdPeer | LeafName::EtcdServer => "node-1",
        LeafName::FrontProxyClient => "front-proxy-client",
    }
}

impl Node {
    /// What `kubeadm init` left behind at [`MADE`], kubelet included, with leaves of a year and CAs of ten.
    pub fn as_kubeadm_made_it() -> Self {
        Self::as_kubeadm_made_it_in(PKI)
    }

    /// The same with another certificatesDir.
    pub fn as_kubeadm_made_it_in(pki: &'static str) -> Self {
        let node = Self::of(pki, authority);
        for name in LeafName::ALL {
            node.write_leaf(
                name.base(),
                &leaf(node.authority(name.authority()), common_name(name), 365),
            );
        }
        for name in KubeconfigName::ALL {
            let pair = leaf(&node.ca, "kubernetes-admin", 365);
            node.write(
                &format!("/etc/kubernetes/{}", name.name()),
                node.kubeconfig_of(&pair),
            );
        }
        let sa = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        node.write_pki("sa.key", sa.to_pem().unwrap());
        node.write_pki("sa.pub", public_key_pem(&sa));
        node.write_kubelet();
        node.write_manifests();
        node
    }

    /// A kubeconfig as kubeadm writes it.
    pub fn kubeconfig_of(&self, pair: &Pair) -> String {
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
        self.link(&format!("{pki}/kubelet-client-current.pem"), &dated);
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
                 clientCAFile: {}/ca.crt\nstaticPodPath: /etc/kubernetes/manifests\nfileCheckFrequency: 0s\nrotateCertificates: true\n",
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
    pub fn write_manifest(&self, component: &str, flags: &[&str], mounts: &[(&str, &str)]) {
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
pub fn kubeconfig_with(ca: &str, credentials: &str) -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://192.0.2.10:6443\n  \
         name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    user: me\n  name: me@kubernetes\n\
         current-context: me@kubernetes\nkind: Config\nusers:\n- name: me\n  user:\n    {credentials}\n",
        STANDARD.encode(ca)
    )
}

pub fn public_key_pem(key: &PrivateKey) -> String {
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(key.public_key_der())
    )
}
