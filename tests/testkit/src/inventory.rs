//! A node's inventory made from values, for the tests of planning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::host::Root;
use kubecertd::node::{
    Authority, AuthorityState, CertificateId, CertificateState, ClientLink, Directories, Entry,
    Inventory, KeyState, KubeletConfiguration, Present, ServiceAccountKeys, Signer, StaticPod,
};
use kubecertd::pki::{
    AuthorityId, Catalogued, Certificate, CertificateAuthority, KeyAlgorithm, NewAuthority,
    NewLeaf, PrivateKey, SubjectAltName, Validity,
};
use kubecertd::plan::{Answered, Awaited};

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;
pub const YEAR: i64 = 365 * DAY;

/// A fixed moment that the tests call now: June 1, 2026.
pub fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

pub fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap())
}

/// What the node of these tests calls for.
const NAMES: [&str; 4] = [
    "cp",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// One real CA and one real leaf; planning reads no more of them than the times.
fn samples() -> &'static (Certificate, Certificate) {
    static SAMPLES: OnceLock<(Certificate, Certificate)> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let validity = Validity {
            not_before: after(-DAY),
            not_after: after(DAY),
        };
        let authority = CertificateAuthority::generate(&NewAuthority {
            common_name: "kubernetes".to_owned(),
            algorithm: KeyAlgorithm::EcdsaP256,
            not_before: validity.not_before,
            not_after: validity.not_after,
        })
        .unwrap();
        let leaf = NewLeaf {
            common_name: "kube-apiserver".to_owned(),
            organizations: Vec::new(),
            subject_alt_names: NAMES
                .map(|name| SubjectAltName::Dns(name.to_owned()))
                .to_vec(),
            server_auth: true,
            client_auth: false,
        };
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let leaf = leaf.sign(&key, &authority, validity).unwrap();
        (authority.certificate().clone(), leaf)
    })
}

pub fn authority_certificate(not_before: Timestamp, not_after: Timestamp) -> Certificate {
    valid(&samples().0, not_before, not_after)
}

pub fn leaf(not_before: Timestamp, not_after: Timestamp) -> Certificate {
    valid(&samples().1, not_before, not_after)
}

fn valid(sample: &Certificate, not_before: Timestamp, not_after: Timestamp) -> Certificate {
    let mut certificate = sample.clone();
    certificate.not_before = not_before;
    certificate.not_after = not_after;
    certificate
}

pub fn present(not_before: Timestamp, not_after: Timestamp) -> Present {
    Present {
        leaf: leaf(not_before, not_after),
        chain: Vec::new(),
        key: KeyState::Matching(Some(KeyAlgorithm::EcdsaP256)),
        signer: Signer::Expected,
        modified: None,
    }
}

/// A node with kubeadm's eleven, each made half a year ago for a year, three CAs for ten years, and no static pods.
pub fn node() -> Inventory {
    let entries = Catalogued::all()
        .into_iter()
        .map(|catalogued| {
            let made = present(after(-YEAR / 2 - 300), after(YEAR / 2));
            entry(catalogued, CertificateState::Present(Box::new(made)))
        })
        .collect();
    Inventory {
        node_name: Some("cp".to_owned()),
        lot: None,
        directories: Directories {
            kubernetes: PathBuf::from("/etc/kubernetes"),
            certificates: PathBuf::from("/etc/kubernetes/pki"),
            manifests: PathBuf::from("/etc/kubernetes/manifests"),
            kubelet_pki: PathBuf::from("/var/lib/kubelet/pki"),
        },
        kubelet: KubeletConfiguration {
            rotate_certificates: true,
            ..KubeletConfiguration::default()
        },
        kubelet_client: ClientLink::Link,
        authorities: AuthorityId::ALL
            .into_iter()
            .map(|name| Authority {
                name,
                certificate_path: PathBuf::from(format!("/etc/kubernetes/pki/{}.crt", name.base())),
                key_path: Some(PathBuf::from(format!(
                    "/etc/kubernetes/pki/{}.key",
                    name.base()
                ))),
                state: authority_state(
                    vec![authority_certificate(after(-YEAR), after(9 * YEAR))],
                    KeyState::Matching(Some(KeyAlgorithm::Rsa2048)),
                ),
            })
            .collect(),
        entries,
        service_account: ServiceAccountKeys {
            key_path: PathBuf::from("/etc/kubernetes/pki/sa.key"),
            public_key_path: PathBuf::from("/etc/kubernetes/pki/sa.pub"),
            key: KeyState::Matching(Some(KeyAlgorithm::Rsa2048)),
            public_key_present: true,
        },
        static_pods: Vec::new(),
        shadowed: Vec::new(),
        unread_manifests: Vec::new(),
        uneditable: BTreeMap::new(),
        users: BTreeMap::new(),
        problems: Vec::new(),
        trusts: Vec::new(),
        external_etcd: false,
        servers: BTreeMap::new(),
        cluster: None,
        other_control_planes: false,
        links: BTreeMap::new(),
    }
}

fn entry(catalogued: Catalogued, state: CertificateState) -> Entry {
    let (path, key_path) = match catalogued {
        Catalogued::Leaf(leaf) => {
            let base = format!("/etc/kubernetes/pki/{}", leaf.base());
            (format!("{base}.crt"), format!("{base}.key"))
        }
        Catalogued::Kubeconfig(name) => {
            let path = format!("/etc/kubernetes/{}", name.name());
            (path.clone(), path)
        }
    };
    Entry {
        id: CertificateId::Catalogued(catalogued),
        path: PathBuf::from(&path),
        certificate_path: PathBuf::from(path),
        key_path: Some(PathBuf::from(key_path)),
        authority: Some(catalogued.authority()),
        state,
        described: None,
    }
}

/// An authority whose key, if it is one of them, is that of all the certificates.
pub fn authority_state(certificates: Vec<Certificate>, key: KeyState) -> AuthorityState {
    let signing = match key {
        KeyState::Matching(_) => certificates.clone(),
        _ => Vec::new(),
    };
    AuthorityState::Present {
        certificates,
        key,
        signing,
    }
}

/// Only the named entries.
pub fn node_with(names: &[&str]) -> Inventory {
    let mut node = node();
    node.entries
        .retain(|entry| names.contains(&entry.id.as_str()));
    assert_eq!(node.entries.len(), names.len());
    node
}

pub fn present_mut<'node>(node: &'node mut Inventory, name: &str) -> &'node mut Present {
    let entry = node
        .entries
        .iter_mut()
        .find(|entry| entry.id.as_str() == name)
        .unwrap();
    match &mut entry.state {
        CertificateState::Present(present) => present,
        other => panic!("{name} is {other:?}"),
    }
}

pub fn set_state(node: &mut Inventory, name: &str, state: CertificateState) {
    node.entries
        .iter_mut()
        .find(|entry| entry.id.as_str() == name)
        .unwrap()
        .state = state;
}

pub fn set_authority(node: &mut Inventory, name: AuthorityId, state: AuthorityState) {
    node.authorities
        .iter_mut()
        .find(|authority| authority.name == name)
        .unwrap()
        .state = state;
}

/// kubeadm's four static pods with the flags and mounts that matter.
pub fn add_kubeadm_pods(node: &mut Inventory) {
    let pki = "/etc/kubernetes/pki";
    add_pod(
        node,
        "etcd",
        true,
        &[
            format!("--cert-file={pki}/etcd/server.crt"),
            format!("--key-file={pki}/etcd/server.key"),
            format!("--peer-cert-file={pki}/etcd/peer.crt"),
            format!("--peer-key-file={pki}/etcd/peer.key"),
            format!("--trusted-ca-file={pki}/etcd/ca.crt"),
        ],
        &[&format!("{pki}/etcd")],
    );
    add_pod(
        node,
        "kube-apiserver",
        true,
        &[
            format!("--tls-cert-file={pki}/apiserver.crt"),
            format!("--tls-private-key-file={pki}/apiserver.key"),
            format!("--etcd-certfile={pki}/apiserver-etcd-client.crt"),
            format!("--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt"),
            format!("--proxy-client-cert-file={pki}/front-proxy-client.crt"),
        ],
        &[pki],
    );
    for component in ["controller-manager", "scheduler"] {
        let kubeconfig = format!("/etc/kubernetes/{component}.conf");
        add_pod(
            node,
            &format!("kube-{component}"),
            true,
            &[
                format!("--kubeconfig={kubeconfig}"),
                format!("--client-ca-file={pki}/ca.crt"),
            ],
            &[pki, &kubeconfig],
        );
    }
}

/// A pod; `labelled` ones carry kubeadm's label `component`.
pub fn add_pod(
    node: &mut Inventory,
    name: &str,
    labelled: bool,
    flags: &[String],
    mounts: &[&str],
) {
    let mut text =
        format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: kube-system\n");
    if labelled {
        text.push_str(&format!("  labels:\n    component: {name}\n"));
    }
    text.push_str(&format!(
        "spec:\n  containers:\n  - name: {name}\n    image: x\n    command:\n    - {name}\n"
    ));
    for flag in flags {
        text.push_str(&format!("    - {flag}\n"));
    }
    text.push_str("    volumeMounts:\n");
    for (number, mount) in mounts.iter().enumerate() {
        text.push_str(&format!(
            "    - name: v{number}\n      mountPath: {mount}\n"
        ));
    }
    text.push_str("  volumes:\n");
    for (number, mount) in mounts.iter().enumerate() {
        text.push_str(&format!(
            "  - name: v{number}\n    hostPath:\n      path: {mount}\n"
        ));
    }
    let path = PathBuf::from(format!("/etc/kubernetes/manifests/{name}.yaml"));
    node.static_pods
        .push(StaticPod::parse(&path, &text, &Root::default()).unwrap());
}

/// The key of the Kubernetes CA is elsewhere.
pub fn take_key(node: &mut Inventory) {
    let certificates = vec![authority_certificate(after(-YEAR), after(9 * YEAR))];
    let state = authority_state(certificates, KeyState::Missing);
    set_authority(node, AuthorityId::Kubernetes, state);
}

/// An open request.
pub fn awaited(id: &str, answered: Answered) -> Awaited {
    Awaited {
        id: id.into(),
        since: after(-DAY),
        request: PathBuf::from("/var/lib/kubecertd/outbox/x.csr"),
        issuer: None,
        signing_request: None,
        inbox: PathBuf::from("/var/lib/kubecertd/inbox"),
        deadline: after(DAY),
        left: None,
        answered,
        rejected: None,
    }
}
