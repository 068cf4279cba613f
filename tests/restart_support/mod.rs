//! A node's tree in a temporary root, with listeners and a container runtime that are real ones seen from outside.
#![allow(dead_code, unreachable_pub)] // each test file uses its own part
#![allow(clippy::disallowed_methods)] // tests write their own temporary files

pub mod cri;
pub mod kubelet;
pub mod server;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::Locations;
use kubecertd::host::Root;
use kubecertd::node::{Inventory, observe};
use kubecertd::pki::{
    CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, SubjectAltName,
    Validity, certificates_to_pem,
};

/// A tree with authorities and nothing else.
pub struct Tree {
    pub root: Root,
    pub ca: CertificateAuthority,
    pub etcd_ca: CertificateAuthority,
    pub front_proxy_ca: CertificateAuthority,
    _directory: tempfile::TempDir,
}

pub const PKI: &str = "/etc/kubernetes/pki";

impl Tree {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = Self {
            root: Root::new(directory.path()).unwrap(),
            ca: authority("kubernetes"),
            etcd_ca: authority("etcd-ca"),
            front_proxy_ca: authority("front-proxy-ca"),
            _directory: directory,
        };
        for (name, authority) in [
            ("ca", &tree.ca),
            ("etcd/ca", &tree.etcd_ca),
            ("front-proxy-ca", &tree.front_proxy_ca),
        ] {
            tree.write(&format!("{PKI}/{name}.crt"), pem_of(authority));
            let key = authority.key().to_pem().unwrap();
            tree.write(&format!("{PKI}/{name}.key"), key.as_str());
        }
        tree
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes `NAME.crt` and `NAME.key` of the certificates directory.
    pub fn leaf(&self, name: &str, signer: &CertificateAuthority, common_name: &str) {
        let (certificate, key) = issue(signer, common_name);
        self.write(&format!("{PKI}/{name}.crt"), certificate);
        self.write(&format!("{PKI}/{name}.key"), key);
    }

    pub fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        (
            self.path(&format!("{PKI}/{name}.crt")),
            self.path(&format!("{PKI}/{name}.key")),
        )
    }

    pub fn kubeconfig(&self, name: &str, server: &str, signer: &CertificateAuthority, user: &str) {
        let (certificate, key) = issue(signer, user);
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {}\ncontexts:\n- name: a\n  context: {{cluster: kubernetes, user: u}}\n\
             current-context: a\nusers:\n- name: u\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
            base64(&pem_of(&self.ca)),
            base64(&certificate),
            base64(&key),
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

    pub fn observe(&self) -> Inventory {
        let mut inventory = observe(&self.root, &Locations::default());
        inventory.node_name = Some("cp1".to_owned());
        // There is no kubelet in these tests.
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

pub fn authority(common_name: &str) -> CertificateAuthority {
    let now = Timestamp::now();
    CertificateAuthority::generate(&NewAuthority {
        common_name: common_name.to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now - SignedDuration::from_hours(24 * 60),
        not_after: now + SignedDuration::from_hours(24 * 90),
    })
    .unwrap()
}

pub fn pem_of(authority: &CertificateAuthority) -> String {
    certificates_to_pem([authority.certificate()])
}

/// A certificate for client and server use on every loopback address that the tests take.
pub fn issue(signer: &CertificateAuthority, common_name: &str) -> (String, String) {
    issue_for(signer, common_name, true)
}

/// The same for clients only, unless for servers too.
pub fn issue_for(
    signer: &CertificateAuthority,
    common_name: &str,
    server_auth: bool,
) -> (String, String) {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let now = Timestamp::now();
    let validity = Validity {
        not_before: now - SignedDuration::from_mins(5),
        not_after: now + SignedDuration::from_hours(2),
    };
    let certificate = NewLeaf {
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
    }
    .sign(&key, signer, validity)
    .unwrap();
    (
        certificates_to_pem([&certificate]),
        key.to_pem().unwrap().to_string(),
    )
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
