//! The value that observing a node yields.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    CertificateId, ControlPlane, Described, KubeletConfiguration, Lot, PodRef, Problem, StaticPod,
    Trust,
};
use crate::pki::{AuthorityId, Certificate, KeyAlgorithm, SignedBy};

/// Everything found on the node. Paths are real: the root is already in them.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The node's name in the cluster (from the kubelet's own certificate, else its flags, else the host name).
    pub node_name: Option<String>,
    /// What tells this machine from others; `None` without a machine-id.
    pub lot: Option<Lot>,
    /// Where things lie on this node.
    pub directories: Directories,
    /// The kubelet's own configuration.
    pub kubelet: KubeletConfiguration,
    /// What lies under the name of the link to the kubelet's client certificate.
    pub kubelet_client: ClientLink,
    /// `ca`, `etcd-ca`, `front-proxy-ca`; without etcd's where etcd is external.
    pub authorities: Vec<Authority>,
    /// kubeadm's eleven by name (the etcd ones absent where etcd is external, but then the API server's etcd client
    /// is listed as [`CertificateId::Found`]), then the kubelet's, those that the configuration describes, and unknown ones by
    /// path. On a node that has only described ones, none of kubeadm's is missing.
    pub entries: Vec<Entry>,
    /// `sa.key` and `sa.pub`.
    pub service_account: ServiceAccountKeys,
    /// The pods of the manifest directory that the kubelet runs: of two manifests for one pod the one that it reads last.
    pub static_pods: Vec<StaticPod>,
    /// Pods of the manifest directory of which the kubelet runs another manifest.
    pub shadowed: Vec<StaticPod>,
    /// Files of the manifest directory that are no pods to kubecertd. The kubelet may run one all the same, and then nothing is
    /// known of the files that it uses. They are among `problems`, too.
    pub unread_manifests: Vec<Problem>,
    /// Why kubecertd could not put new credentials into a kubeconfig: construct and line.
    pub uneditable: BTreeMap<CertificateId, String>,
    /// The names of the users whose certificates kubeadm's kubeconfigs have.
    pub users: BTreeMap<CertificateId, String>,
    /// The servers that kubeadm's kubeconfigs lead to, as they are written there.
    pub servers: BTreeMap<CertificateId, String>,
    /// What the cluster's own configuration (kube-system/kubeadm-config) says of this node, as it was known last; `None` where it
    /// never was.
    pub cluster: Option<ControlPlane>,
    /// What else is wrong: unreadable manifests, two manifests for one pod, an unreadable directory, whatever was to be looked
    /// at and was not.
    pub problems: Vec<Problem>,
    /// What the clients and servers of this node trust.
    pub trusts: Vec<Trust>,
    /// Whether etcd runs elsewhere (the API server's `--etcd-servers` with no local etcd manifest or CA).
    pub external_etcd: bool,
    /// Whether there are other control planes, as far as that is known: their etcd members in a flag here, or what was found out
    /// before.
    pub other_control_planes: bool,
    /// Where those files of entries, authorities, the service account and static pods really lie whose paths lead through
    /// links. Only what lies there is opened.
    pub links: BTreeMap<PathBuf, PathBuf>,
}

/// What lies under the name `kubelet-client-current.pem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientLink {
    /// Nothing.
    Missing,
    /// A link to a file, as the kubelet makes it.
    Link,
    /// A link that leads to nothing.
    Dangling,
    /// Something that is no link: then the kubelet renews nothing (client-go's certificate store expects one).
    NoLink,
}

/// Where things lie on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// `/etc/kubernetes`: the kubeconfigs.
    pub kubernetes: PathBuf,
    /// kubeadm's `certificatesDir`, from the manifests' flags before any default.
    pub certificates: PathBuf,
    /// The kubelet's `staticPodPath`.
    pub manifests: PathBuf,
    /// The kubelet's `--cert-dir`.
    pub kubelet_pki: PathBuf,
}

/// One certificate authority.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Which.
    pub name: AuthorityId,
    /// Its `.crt`.
    pub certificate_path: PathBuf,
    /// Its `.key`; `None` for one of which the configuration names the certificate alone, as its key is elsewhere.
    pub key_path: Option<PathBuf>,
    /// What was found.
    pub state: AuthorityState,
}

/// What was found of an authority.
#[derive(Debug, Clone)]
pub enum AuthorityState {
    /// No `.crt`.
    Missing,
    /// The `.crt` cannot be read or is no CA's.
    Unreadable(Problem),
    /// A certificate, or a bundle of them; the first is "the" authority for kubeadm.
    Present {
        /// All certificates of the file, at least one.
        certificates: Vec<Certificate>,
        /// Its key; [`KeyState::Missing`] is kubeadm's external-CA mode.
        key: KeyState,
        /// Those of the certificates that the key belongs to, as far as that is known: only they can sign. All of them while the
        /// key is [`KeyState::Unread`].
        signing: Vec<Certificate>,
    },
}

impl Authority {
    /// Its certificate and its key.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.certificate_path)
            .chain(&self.key_path)
            .map(PathBuf::as_path)
    }

    /// The first certificate of the file.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        match &self.state {
            AuthorityState::Present { certificates, .. } => certificates.first(),
            AuthorityState::Missing | AuthorityState::Unreadable(_) => None,
        }
    }

    /// All certificates of the file, if it could be read.
    #[must_use]
    pub fn certificates(&self) -> Option<&[Certificate]> {
        match &self.state {
            AuthorityState::Present { certificates, .. } => Some(certificates),
            AuthorityState::Missing | AuthorityState::Unreadable(_) => None,
        }
    }

    /// The certificate of the file that signed a leaf, as far as that can be told; of several for one key the one that
    /// lasts longest.
    #[must_use]
    pub fn signer_of(&self, leaf: &Certificate) -> Option<&Certificate> {
        self.certificates()?
            .iter()
            .filter_map(|certificate| match leaf.signed_by(certificate) {
                SignedBy::Yes => Some((true, certificate)),
                SignedBy::Unchecked(_) => Some((false, certificate)),
                SignedBy::No => None,
            })
            .max_by_key(|(is_checked, certificate)| (*is_checked, certificate.not_after))
            .map(|(_, certificate)| certificate)
    }

    /// The one of its certificates that signed what an entry of this authority holds, with no signature checked twice.
    #[must_use]
    pub fn signer_of_present(&self, present: &Present) -> Option<&Certificate> {
        match (&present.signer, self.certificates()) {
            (Signer::Expected, Some([only])) => Some(only),
            _ => self.signer_of(&present.leaf),
        }
    }

    /// Whether the certificate is here and its key is not: an external CA.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(
            self.state,
            AuthorityState::Present {
                key: KeyState::Missing,
                ..
            }
        )
    }
}

/// What was found where a key should be. The key itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// No such file.
    Missing,
    /// Something is there, or should be, that cannot be read at all: the key may well be sound, and a new one could not be
    /// written there either.
    OutOfReach(Problem),
    /// There, and not read: the key of an authority is opened only to sign, that of the service account never.
    Unread,
    /// It was read and is no key that can be used, with the reason.
    Damaged(Problem),
    /// The certificate's or the key's file must not be replaced, because it is, or may be, not this certificate's own: a
    /// link to another's, say. Whether the key is sound is not known then.
    NotOwn(Problem),
    /// It was read, and its kind is not supported here: it may be the certificate's and sound, which cannot be checked.
    Unsupported(Problem),
    /// There, but another certificate's.
    Mismatched,
    /// The certificate's own key; `None` for an algorithm that is not made here.
    Matching(Option<KeyAlgorithm>),
}

/// One certificate of the node.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Which.
    pub id: CertificateId,
    /// The file it is in: a `.crt`, `.pem` or a kubeconfig.
    pub path: PathBuf,
    /// The file which really holds the certificate; equal to `path` except for kubeconfigs that refer to files.
    pub certificate_path: PathBuf,
    /// The file its key is in; the same as `path` for kubeconfigs with embedded data and the kubelet's `.pem`. `None`
    /// where no key was found beside an unknown certificate.
    pub key_path: Option<PathBuf>,
    /// The authority that is to sign it, where known.
    pub authority: Option<AuthorityId>,
    /// What was found.
    pub state: CertificateState,
    /// What the configuration says of it, where it is not kubeadm's.
    pub described: Option<Box<Described>>,
}

/// What was found of a certificate.
#[derive(Debug, Clone)]
pub enum CertificateState {
    /// No such file. Normal for super-admin.conf on joined nodes.
    Missing,
    /// There, but not usable, with the reason.
    Unreadable(Problem),
    /// A certificate.
    Present(Box<Present>),
}

/// Who renews a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// This program, with that authority.
    Issuer(AuthorityId),
    /// The kubelet.
    Kubelet,
    /// Somebody else, by whatever means: it is only watched.
    Watched,
}

/// A certificate that could be read.
#[derive(Debug, Clone)]
pub struct Present {
    /// The certificate itself: the first of the file.
    pub leaf: Certificate,
    /// Further certificates of the file, in order.
    pub chain: Vec<Certificate>,
    /// Its key.
    pub key: KeyState,
    /// Who signed it.
    pub signer: Signer,
    /// When the file was last changed; NotBefore can lie about when a certificate was made (kubeadm before 1.31 wrote
    /// the CA's).
    pub modified: Option<Timestamp>,
}

/// Who signed a certificate, seen from this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// The authority that is to sign it.
    Expected,
    /// The authority that is to sign it, by issuer and key identifier; but nothing here can check such a signature: what
    /// of it.
    Unchecked(String),
    /// Another certificate: its issuer's name. Such a file is never overwritten.
    Foreign(String),
    /// Itself.
    SelfSigned,
    /// The authority's certificate could not be read, so nobody knows.
    Unknown,
}

/// The service account key pair, which never expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccountKeys {
    /// `sa.key`
    pub key_path: PathBuf,
    /// `sa.pub`
    pub public_key_path: PathBuf,
    /// The private key, which is never read: [`KeyState::Unread`] where it is there.
    pub key: KeyState,
    /// Whether `sa.pub` is there.
    pub public_key_present: bool,
}

impl Inventory {
    /// Whether anything of kubeadm's is, or should be, on this node; else it has only certificates that the configuration describes.
    #[must_use]
    pub fn is_kubeadms(&self) -> bool {
        !self.static_pods.is_empty() || self.entries.iter().any(|entry| entry.id.is_catalogued())
    }

    /// The entry of that certificate.
    #[must_use]
    pub fn entry(&self, id: &CertificateId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == *id)
    }

    /// The first entry that a person calls so.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id.as_str() == name)
    }

    /// What the entries are called.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    /// The authority of that name; absent where etcd is external.
    #[must_use]
    pub fn authority(&self, name: AuthorityId) -> Option<&Authority> {
        self.authorities
            .iter()
            .find(|authority| authority.name == name)
    }

    /// The authority whose certificate an operation changed, by what its journal calls that; `None` for what a certificate of this node
    /// is called.
    #[must_use]
    pub fn authority_called(&self, id: &CertificateId) -> Option<&Authority> {
        let mut authorities = self.authorities.iter();
        authorities
            .find(|authority| authority.name.name() == id.as_str())
            .filter(|_| self.entry(id).is_none())
    }

    /// Where a file of an entry, an authority, the service account or a static pod really lies.
    #[must_use]
    pub fn real<'path>(&'path self, path: &'path Path) -> &'path Path {
        self.links.get(path).map_or(path, PathBuf::as_path)
    }

    /// The static pod that has the part of `name` (`kube-apiserver`, `etcd`, …) on this node, or is called so.
    #[must_use]
    pub fn static_pod(&self, name: &str) -> Option<&StaticPod> {
        StaticPod::of_name(&self.static_pods, name)
    }
}

impl Inventory {
    /// The static pod that is meant: the one of that manifest, or of that name where the manifest has another path by now.
    #[must_use]
    pub fn pod(&self, pod: &PodRef) -> Option<&StaticPod> {
        let pods = &self.static_pods;
        pods.iter()
            .find(|one| one.path == pod.manifest)
            .or_else(|| self.static_pod(&pod.component))
    }
}

impl Entry {
    /// The certificate, if one could be read.
    #[must_use]
    pub fn present(&self) -> Option<&Present> {
        match &self.state {
            CertificateState::Present(present) => Some(present),
            CertificateState::Missing | CertificateState::Unreadable(_) => None,
        }
    }

    /// The files that a renewal of it replaces.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.certificate_path)
            .chain(&self.key_path)
            .map(PathBuf::as_path)
    }

    /// Who renews it.
    #[must_use]
    pub fn custody(&self) -> Custody {
        match (&self.id, self.authority) {
            (CertificateId::Catalogued(_), Some(authority)) => Custody::Issuer(authority),
            (CertificateId::Found(_), Some(authority)) if self.described.is_some() => {
                Custody::Issuer(authority)
            }
            (
                CertificateId::KubeletConfig
                | CertificateId::KubeletClient
                | CertificateId::KubeletServing(_),
                _,
            ) => Custody::Kubelet,
            (CertificateId::Catalogued(_) | CertificateId::Found(_), _) => Custody::Watched,
        }
    }

    /// Whether this program renews it.
    #[must_use]
    pub fn is_renewed_here(&self) -> bool {
        matches!(self.custody(), Custody::Issuer(_))
    }
}

impl Present {
    /// The CA certificates of its own file that vouch for it, nearest first; each signed the one before.
    #[must_use]
    pub fn issuers(&self) -> Vec<&Certificate> {
        let mut issuers: Vec<&Certificate> = Vec::new();
        while let Some(next) = self.chain.iter().find(|one| {
            let below = issuers.last().copied().unwrap_or(&self.leaf);
            one.is_ca && below.is_signed_by(one) && !issuers.contains(one)
        }) {
            issuers.push(next);
        }
        issuers
    }

    /// Whether one of these authorities vouches for it, by itself or through the certificates of its own file.
    #[must_use]
    pub fn leads_to(&self, authorities: &[Certificate]) -> bool {
        let issuers = self.issuers();
        std::iter::once(&self.leaf)
            .chain(issuers)
            .any(|one| authorities.iter().any(|above| one.is_signed_by(above)))
    }

    /// When the first of the leaf, its chain and `authority` ends: after that nobody accepts it.
    #[must_use]
    pub fn effective_not_after(&self, authority: Option<&Certificate>) -> Timestamp {
        self.chain
            .iter()
            .chain(authority)
            .map(|certificate| certificate.not_after)
            .fold(self.leaf.not_after, Timestamp::min)
    }
}
