//! What the clients and servers of this node trust: the kubeconfigs' bundles, and the files that flags name.

use std::path::Path;

use super::node::Node;
use super::pem_files;
use crate::host::FILE_LIMIT;
use crate::node::{CertificateId, Fault, NamedBy, Problem, Trust, TrustHolder};
use crate::pki::{AuthorityId, Catalogued, Certificate, KubeconfigName, LeafName};

/// A flag that names whom a component trusts, and the certificates that it checks so.
type Flag = (&'static str, &'static str, &'static [CertificateId]);

/// Whoever talks to the API server with a client certificate.
const CLIENTS: &[CertificateId] = &[
    kubeconfig(KubeconfigName::Admin),
    kubeconfig(KubeconfigName::ControllerManager),
    kubeconfig(KubeconfigName::Scheduler),
    kubeconfig(KubeconfigName::SuperAdmin),
    CertificateId::KubeletConfig,
    CertificateId::KubeletClient,
];

/// What a kubeconfig's bundle is for.
pub(super) const API_SERVER: &[CertificateId] = &[CertificateId::leaf(LeafName::Apiserver)];

const fn kubeconfig(name: KubeconfigName) -> CertificateId {
    CertificateId::Catalogued(Catalogued::Kubeconfig(name))
}

/// What the kubelet checks.
const KUBELET: &[CertificateId] = &[CertificateId::leaf(LeafName::ApiserverKubeletClient)];

const FLAGS: &[Flag] = &[
    ("kube-apiserver", "client-ca-file", CLIENTS),
    (
        "kube-apiserver",
        "etcd-cafile",
        &[CertificateId::leaf(LeafName::EtcdServer)],
    ),
    // Extension API servers get it from there.
    (
        "kube-apiserver",
        "requestheader-client-ca-file",
        &[CertificateId::leaf(LeafName::FrontProxyClient)],
    ),
    // Every pod of the cluster gets it from there.
    ("kube-controller-manager", "root-ca-file", API_SERVER),
    (
        "etcd",
        "trusted-ca-file",
        &[
            CertificateId::leaf(LeafName::ApiserverEtcdClient),
            CertificateId::leaf(LeafName::EtcdHealthcheckClient),
        ],
    ),
    (
        "etcd",
        "peer-trusted-ca-file",
        &[CertificateId::leaf(LeafName::EtcdPeer)],
    ),
    // What they check, or sign with, is none of this node's certificates; but they hold CAs' certificates as well.
    ("kube-apiserver", "kubelet-certificate-authority", &[]),
    ("kube-controller-manager", "client-ca-file", &[]),
    (
        "kube-controller-manager",
        "requestheader-client-ca-file",
        &[],
    ),
    ("kube-controller-manager", "cluster-signing-cert-file", &[]),
    (
        "kube-controller-manager",
        "cluster-signing-kubelet-serving-cert-file",
        &[],
    ),
    (
        "kube-controller-manager",
        "cluster-signing-kubelet-client-cert-file",
        &[],
    ),
    (
        "kube-controller-manager",
        "cluster-signing-kube-apiserver-client-cert-file",
        &[],
    ),
    (
        "kube-controller-manager",
        "cluster-signing-legacy-unknown-cert-file",
        &[],
    ),
    ("kube-scheduler", "client-ca-file", &[]),
    ("kube-scheduler", "requestheader-client-ca-file", &[]),
];

/// The flags of those by which the API server, and extensions of it, know their clients.
const OF_CLIENTS: [&str; 2] = ["client-ca-file", "requestheader-client-ca-file"];

/// What pods and the kubelet trust, by their flags and configuration.
pub(super) fn by_flags(node: &Node<'_>) -> Vec<Trust> {
    let pods = FLAGS.iter().filter_map(|flag| by_flag(node, flag));
    let kubelet = node
        .kubelet
        .client_ca_file
        .as_deref()
        .map(|path| of_file(node, TrustHolder::Kubelet, KUBELET, path));
    pods.chain(kubelet).collect()
}

fn by_flag(node: &Node<'_>, (component, flag, checks): &Flag) -> Option<Trust> {
    let path = node.pod(component)?.file_flag(flag)?;
    let holder = TrustHolder::Pod {
        component: (*component).to_owned(),
        flag,
    };
    Some(of_file(node, holder, checks, &path))
}

/// The CAs by which the API server, and extensions of it, know their clients; `None` where they cannot be read.
pub(super) fn of_clients(node: &Node<'_>) -> Option<Vec<Certificate>> {
    let of_clients = [AuthorityId::Kubernetes, AuthorityId::FrontProxy];
    let mut all: Vec<Certificate> = node
        .authorities
        .iter()
        .filter(|authority| of_clients.contains(&authority.name))
        .filter_map(|authority| authority.certificates())
        .flatten()
        .cloned()
        .collect();
    let flags = FLAGS
        .iter()
        .filter(|(_, flag, _)| OF_CLIENTS.contains(flag));
    for trust in flags.filter_map(|flag| by_flag(node, flag)) {
        all.extend(trust.authorities?);
    }
    Some(all)
}

/// Trust in the certificates of a file. kubeadm's is nearly always an authority's own, which is read already.
pub(super) fn of_file(
    node: &Node<'_>,
    holder: TrustHolder,
    checks: &'static [CertificateId],
    path: &Path,
) -> Trust {
    let known = node
        .authorities
        .iter()
        .find(|authority| authority.certificate_path == path)
        .and_then(|authority| authority.certificates());
    let found = match known {
        Some(certificates) => Ok(Some(certificates.to_vec())),
        // Those whom a client trusts may be many more than sign here.
        None => match pem_files::some_certificates(node.reader, path, FILE_LIMIT) {
            Ok(Some(file)) if file.is_cut => Ok(None),
            Ok(Some(file)) => Ok(Some(file.all())),
            Ok(None) => Err(Problem::new(
                path,
                Fault::DoesNotExist {
                    named_by: NamedBy::Unsaid,
                },
            )),
            Err(unusable) => Err(unusable.into_problem()),
        },
    };
    trust(holder, checks, path, found)
}

/// Trust in what was found at a path.
pub(super) fn trust(
    holder: TrustHolder,
    checks: &'static [CertificateId],
    path: &Path,
    found: Result<Option<Vec<Certificate>>, Problem>,
) -> Trust {
    let (authorities, problem) = match found {
        Ok(authorities) => (authorities, None),
        Err(problem) => (None, Some(problem)),
    };
    Trust {
        holder,
        checks,
        path: path.to_path_buf(),
        authorities,
        problem,
    }
}
