//! Nodes whose components are listeners on the loopback interface and a container runtime on a socket: real ones, seen from
//! outside.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use kubecertd::node::{CertificateId, Inventory, PodRef};
use kubecertd::pki::{
    CertificateAuthority, NewLeaf, SubjectAltName, Validity, certificates_to_pem,
};

use crate::node::{Node, PKI};
use crate::pair::{self, Pair};

impl Node {
    /// Three authorities of today and nothing else.
    pub fn with_authorities() -> Self {
        Self::of(PKI, authority)
    }

    /// Writes `NAME.crt` and `NAME.key` of the certificates directory.
    pub fn leaf(&self, name: &str, signer: &CertificateAuthority, common_name: &str) {
        self.write_leaf(name, &issue(signer, common_name));
    }

    pub fn write_kubeconfig(
        &self,
        name: &str,
        server: &str,
        signer: &CertificateAuthority,
        user: &str,
    ) {
        let pair = issue(signer, user);
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {}\ncontexts:\n- name: a\n  context: {{cluster: kubernetes, user: u}}\n\
             current-context: a\nusers:\n- name: u\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
            base64(&pem_of(&self.ca)),
            base64(&pair.certificate_pem()),
            base64(&pair.key_pem()),
        );
        self.write(&format!("/etc/kubernetes/{name}"), text);
    }

    /// A manifest as kubeadm writes it: the certificates directory is mounted where it is.
    pub fn manifest(&self, component: &str, command: &[String]) -> PathBuf {
        self.write(
            &format!("/etc/kubernetes/manifests/{component}.yaml"),
            manifest_text(component, command),
        )
    }

    pub fn served(&self, name: &str) -> (PathBuf, PathBuf) {
        let path = |end: &str| self.path(&format!("/served/{name}.{end}"));
        (path("crt"), path("key"))
    }

    pub fn copy_to_served(&self, name: &str) {
        let (certificate, key) = self.pair(name);
        let (to_certificate, to_key) = self.served(name);
        fs::create_dir_all(to_key.parent().unwrap()).unwrap();
        fs::copy(key, to_key).unwrap();
        fs::copy(certificate, to_certificate).unwrap();
    }

    /// A kubelet without a health port, on the node `cp1`, with these further lines in its configuration.
    pub fn write_kubelet_settings(&self, more: &str) {
        self.write("/etc/hostname", "cp1\n");
        let text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nhealthzPort: 0\n\
                    staticPodPath: /etc/kubernetes/manifests\n";
        self.write("/var/lib/kubelet/config.yaml", format!("{text}{more}"));
    }

    /// As it is found, but for the kubelet, which is not there to be asked.
    pub fn observe_without_kubelet(&self) -> Inventory {
        let mut inventory = self.observe();
        inventory.node_name = Some("cp1".to_owned());
        inventory.kubelet.healthz = None;
        inventory
    }
}

pub fn manifest_text(component: &str, command: &[String]) -> String {
    let command: String = command
        .iter()
        .map(|part| format!("    - \"{part}\"\n"))
        .collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {component}\n  namespace: kube-system\n  labels: \
         {{component: {component}}}\nspec:\n  hostNetwork: true\n  containers:\n  - name: {component}\n    \
         image: registry.example/{component}\n    command:\n{command}    volumeMounts:\n    \
         - {{mountPath: {PKI}, name: pki}}\n  volumes:\n  - {{name: pki, hostPath: {{path: {PKI}}}}}\n"
    )
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn ids(names: &[&str]) -> Vec<CertificateId> {
    names
        .iter()
        .map(|name| CertificateId::from(*name))
        .collect()
}

pub fn pods(inventory: &Inventory, names: &[&str]) -> Vec<PodRef> {
    let pod = |name: &&str| PodRef::from(inventory.static_pod(name).unwrap());
    names.iter().map(pod).collect()
}

pub fn authority(common_name: &str) -> CertificateAuthority {
    let now = Timestamp::now();
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    pair::authority(common_name, now - days(60), now + days(90))
}

fn pem_of(authority: &CertificateAuthority) -> String {
    certificates_to_pem([authority.certificate()])
}

/// A certificate for client and server use on every loopback address that the tests take.
pub fn issue(signer: &CertificateAuthority, common_name: &str) -> Pair {
    issue_for(signer, common_name, true)
}

/// The same for clients only, unless for servers too.
pub fn issue_for(signer: &CertificateAuthority, common_name: &str, server_auth: bool) -> Pair {
    let now = Timestamp::now();
    let leaf = NewLeaf {
        common_name: common_name.to_owned(),
        organizations: Vec::new(),
        subject_alt_names: vec![
            SubjectAltName::Dns("localhost".to_owned()),
            SubjectAltName::Dns("balancer.example".to_owned()),
            SubjectAltName::Ip("127.0.0.1".parse().unwrap()),
            SubjectAltName::Ip(NODE_ADDRESS.parse().unwrap()),
        ],
        server_auth,
        client_auth: true,
    };
    let validity = Validity {
        not_before: now - SignedDuration::from_mins(5),
        not_after: now + SignedDuration::from_hours(2),
    };
    Pair::sign(&leaf, signer, validity)
}

/// An address of the loopback interface that nothing else listens on.
pub const NODE_ADDRESS: &str = "127.45.67.89";

pub fn serial_in(path: &Path) -> String {
    kubecertd::pki::certificates_from_pem(&fs::read(path).unwrap()).unwrap()[0]
        .serial
        .clone()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
