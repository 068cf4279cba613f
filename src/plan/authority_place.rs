//! Where on this node a CA's certificates lie, and who reads them there when.

use std::path::PathBuf;

use crate::node::{Inventory, PodRef, StaticPod, TrustHolder};
use crate::pki::{Catalogued, Certificate, KubeconfigName, is_of_one_authority};

/// A file that holds certificates of a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityPlace {
    /// The file; links are not followed.
    pub path: PathBuf,
    /// The certificates of this CA in it, in order: usually one.
    pub certificates: Vec<Certificate>,
    /// Who reads it.
    pub readers: Vec<Reader>,
}

/// Who reads a CA's certificates from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// `kube-apiserver`, `kubelet`, or `admin.conf` for whoever uses it.
    pub name: String,
    /// What names the file: `--client-ca-file`, `clientCAFile`; empty where the file itself is what is used.
    pub by: &'static str,
    /// When.
    pub when: Reading,
}

/// When somebody reads a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// When it is used, or soon after it was changed.
    Anew,
    /// When the static pod starts, and never again.
    AtStart(PodRef),
    /// When the kubelet starts, and never again.
    AtKubeletsStart,
}

/// The flags whose files are read when the component starts, and never again. The others are watched: client CAs and the CAs of the
/// front proxy by API server and controller-manager, the signing certificate by controller-manager.
const READ_AT_START: [(&str, &str); 6] = [
    ("etcd", "trusted-ca-file"),
    ("etcd", "peer-trusted-ca-file"),
    ("kube-apiserver", "etcd-cafile"),
    // Since 1.36 it is looked at every five minutes.
    ("kube-apiserver", "kubelet-certificate-authority"),
    ("kube-apiserver", "oidc-ca-file"),
    ("kube-controller-manager", "root-ca-file"),
];

impl AuthorityPlace {
    /// The static pods that read it when they start, and never again.
    pub fn pods_at_start(&self) -> impl Iterator<Item = &PodRef> {
        self.readers.iter().filter_map(Reader::pod_at_start)
    }

    /// Whether that pod is one of them.
    #[must_use]
    pub fn is_read_at_start_by(&self, pod: &PodRef) -> bool {
        self.pods_at_start().any(|one| one == pod)
    }

    /// Whether this is what it holds of the CA, once.
    #[must_use]
    pub fn holds_only(&self, certificate: &Certificate) -> bool {
        matches!(self.certificates.as_slice(), [only] if only == certificate)
    }
}

impl Reader {
    pub(super) fn pod_at_start(&self) -> Option<&PodRef> {
        match &self.when {
            Reading::AtStart(pod) => Some(pod),
            Reading::Anew | Reading::AtKubeletsStart => None,
        }
    }

    pub(super) fn is_kubelet_at_start(&self) -> bool {
        self.when == Reading::AtKubeletsStart
    }
}

/// The files that hold a certificate of the same CA as this one: the CAs' own files first, then what clients and servers trust.
#[must_use]
pub fn authority_places(inventory: &Inventory, of: &Certificate) -> Vec<AuthorityPlace> {
    let mut places: Vec<AuthorityPlace> = Vec::new();
    let mut add = |path: &PathBuf, all: &[Certificate], reader: Option<Reader>| {
        let certificates: Vec<Certificate> = all
            .iter()
            .filter(|one| is_of_one_authority(one, of))
            .cloned()
            .collect();
        if certificates.is_empty() {
            return;
        }
        let real = inventory.real(path);
        match places
            .iter_mut()
            .find(|place| inventory.real(&place.path) == real)
        {
            Some(place) => place.readers.extend(reader),
            None => places.push(AuthorityPlace {
                path: path.clone(),
                certificates,
                readers: reader.into_iter().collect(),
            }),
        }
    };
    for authority in &inventory.authorities {
        let all = authority.certificates().unwrap_or_default();
        add(&authority.certificate_path, all, None);
    }
    for trust in &inventory.trusts {
        let all = trust.authorities.as_deref().unwrap_or_default();
        add(&trust.path, all, reader(inventory, &trust.holder));
    }
    for pod in inventory.static_pods.iter().filter(|pod| is_foreign(pod)) {
        for place in &mut places {
            if pod.uses(&place.path) || pod.uses(inventory.real(&place.path)) {
                place.readers.push(Reader {
                    name: pod.component().to_owned(),
                    by: "",
                    when: Reading::AtStart(pod.into()),
                });
            }
        }
    }
    places
}

/// One that is none of kubeadm's: whether it ever reads its files anew is not known.
fn is_foreign(pod: &StaticPod) -> bool {
    pod.program().is_none()
}

fn reader(inventory: &Inventory, holder: &TrustHolder) -> Option<Reader> {
    let pod = |name: &str| inventory.static_pod(name).map(PodRef::from);
    let (name, by, when) = match holder {
        TrustHolder::Pod { component, flag } => {
            let is_at_start = READ_AT_START.contains(&(component.as_str(), flag));
            let when = match pod(component) {
                Some(pod) if is_at_start => Reading::AtStart(pod),
                _ => Reading::Anew,
            };
            (component.clone(), *flag, when)
        }
        TrustHolder::Kubelet => ("kubelet".to_owned(), "clientCAFile", Reading::Anew),
        TrustHolder::Kubeconfig { id, .. } => {
            let component = match id {
                id if id.is_kubelets_client() => {
                    return Some(Reader {
                        name: "kubelet".to_owned(),
                        by: "kubelet.conf",
                        when: Reading::AtKubeletsStart,
                    });
                }
                id if *id == kubeconfig(KubeconfigName::ControllerManager) => {
                    Some("kube-controller-manager")
                }
                id if *id == kubeconfig(KubeconfigName::Scheduler) => Some("kube-scheduler"),
                _ => None,
            };
            match component.and_then(pod) {
                Some(pod) => (pod.component.clone(), "kubeconfig", Reading::AtStart(pod)),
                None => (id.to_string(), "", Reading::Anew),
            }
        }
    };
    Some(Reader { name, by, when })
}

const fn kubeconfig(name: KubeconfigName) -> crate::node::CertificateId {
    crate::node::CertificateId::Catalogued(Catalogued::Kubeconfig(name))
}
