//! The files of a control-plane node as `kubeadm init` makes them, for a node that does not exist.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::sample_manifests::{KUBELET_CONFIGURATION, manifests};
use crate::host::{Root, shifted};
use crate::node::KUBELET_CLIENT;
use crate::pki::{
    AuthorityId, Certificate, CertificateAuthority, IssueError, KeyAlgorithm, KubeconfigName,
    LeafName, NewAuthority, NewLeaf, PrivateKey, SubjectAltName, Validity, certificates_to_pem,
};

/// The node's name.
const NODE: &str = "cp1";
/// Its address: of the range for documentation (RFC 5737).
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
/// The API server's service address.
const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What a sample node is like.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The algorithm of all keys.
    pub algorithm: KeyAlgorithm,
    /// Start of the leaves' validity.
    pub not_before: Timestamp,
    /// End of the leaves' validity.
    pub not_after: Timestamp,
}

impl Default for Sample {
    /// RSA-2048 as kubeadm's, made eleven months ago: due for renewal.
    fn default() -> Self {
        let now = crate::host::now();
        Self {
            algorithm: KeyAlgorithm::Rsa2048,
            not_before: shifted(now, -(DAY * 345)),
            not_after: shifted(now, DAY * 20),
        }
    }
}

/// Why a sample could not be made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum SampleError {
    /// A file.
    #[error("{}: {source}", path.display())]
    #[strum(serialize = "sample-not-written")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key or certificate.
    #[error(transparent)]
    #[strum(serialize = "sample-not-signed")]
    Issue(#[from] IssueError),
}

impl SampleError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Sample {
    /// Writes the node's files below `root`, which must not have them yet.
    ///
    /// # Errors
    /// [`SampleError`].
    pub fn write(&self, root: &Root) -> Result<(), SampleError> {
        let pki = root.join("/etc/kubernetes/pki");
        let kubernetes = self.authority(&pki, AuthorityId::Kubernetes, "kubernetes")?;
        let etcd = self.authority(&pki, AuthorityId::Etcd, "etcd-ca")?;
        let front_proxy = self.authority(&pki, AuthorityId::FrontProxy, "front-proxy-ca")?;
        for leaf in LeafName::ALL {
            let authority = match leaf.authority() {
                AuthorityId::Kubernetes => &kubernetes,
                AuthorityId::Etcd => &etcd,
                // kubeadm's leaves have kubeadm's authorities.
                AuthorityId::FrontProxy | AuthorityId::Other(_) => &front_proxy,
            };
            let (certificate, key) = self.sign(&new_leaf(leaf), authority)?;
            write_pair(&pki.join(leaf.base()), &certificate, &key)?;
        }
        self.service_account(&pki)?;
        for kubeconfig in KubeconfigName::ALL {
            let (user, organization, server) = kubeconfig_user(kubeconfig);
            let (certificate, key) = self.sign(&client(user, organization), &kubernetes)?;
            let text = kubeconfig_text(user, server, &kubernetes, &certificate, &key)?;
            let path = root.join("/etc/kubernetes").join(kubeconfig.name());
            write(&path, text.as_bytes(), 0o600, self.not_before)?;
        }
        self.kubelet(root, &kubernetes)?;
        for (name, text) in manifests(NODE, ADDRESS) {
            let path = root.join("/etc/kubernetes/manifests").join(name);
            write(&path, text.as_bytes(), 0o600, self.not_before)?;
        }
        Ok(())
    }

    fn authority(
        &self,
        pki: &Path,
        name: AuthorityId,
        common_name: &str,
    ) -> Result<CertificateAuthority, SampleError> {
        let authority = CertificateAuthority::generate(&NewAuthority {
            common_name: common_name.to_owned(),
            algorithm: self.algorithm,
            not_before: self.not_before,
            not_after: shifted(self.not_before, DAY * 3650),
        })?;
        write_pair(
            &pki.join(name.base()),
            authority.certificate(),
            authority.key(),
        )?;
        Ok(authority)
    }

    fn sign(
        &self,
        leaf: &NewLeaf,
        authority: &CertificateAuthority,
    ) -> Result<(Certificate, PrivateKey), SampleError> {
        let key = PrivateKey::generate(self.algorithm).map_err(IssueError::from)?;
        let validity = Validity {
            not_before: self.not_before,
            not_after: self.not_after,
        };
        let certificate = leaf.sign(&key, authority, validity)?;
        Ok((certificate, key))
    }

    fn service_account(&self, pki: &Path) -> Result<(), SampleError> {
        let key = PrivateKey::generate(self.algorithm).map_err(IssueError::from)?;
        let pem = key.to_pem().map_err(IssueError::from)?;
        write(&pki.join("sa.key"), pem.as_bytes(), 0o600, self.not_before)?;
        let public = pem::encode_config(
            &pem::Pem::new("PUBLIC KEY", key.public_key_der()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        );
        write(
            &pki.join("sa.pub"),
            public.as_bytes(),
            0o600,
            self.not_before,
        )
    }

    /// The kubelet's configuration, its rotated client certificate and a kubelet.conf that refers to it.
    fn kubelet(&self, root: &Root, authority: &CertificateAuthority) -> Result<(), SampleError> {
        let user = format!("system:node:{NODE}");
        let (certificate, key) = self.sign(&client(&user, Some("system:nodes")), authority)?;
        let mut pem = certificates_to_pem([&certificate]);
        pem.push_str(&key.to_pem().map_err(IssueError::from)?);
        let directory = root.join("/var/lib/kubelet/pki");
        let stamped = "kubelet-client-2026-01-01-00-00-00.pem";
        write(
            &directory.join(stamped),
            pem.as_bytes(),
            0o600,
            self.not_before,
        )?;
        let current = directory.join(KUBELET_CLIENT);
        symlink(Path::new("/var/lib/kubelet/pki").join(stamped), &current).map_err(|source| {
            SampleError::File {
                path: current,
                source,
            }
        })?;
        let kubelet_conf = kubeconfig_with_files(&user, authority);
        write(
            &root.join("/etc/kubernetes/kubelet.conf"),
            kubelet_conf.as_bytes(),
            0o600,
            self.not_before,
        )?;
        write(
            &root.join("/var/lib/kubelet/config.yaml"),
            KUBELET_CONFIGURATION.as_bytes(),
            0o644,
            self.not_before,
        )
    }
}

fn new_leaf(leaf: LeafName) -> NewLeaf {
    let dns = |names: &[&str]| -> Vec<SubjectAltName> {
        names
            .iter()
            .map(|name| SubjectAltName::Dns((*name).to_owned()))
            .collect()
    };
    let ip = |addresses: &[IpAddr]| -> Vec<SubjectAltName> {
        addresses.iter().copied().map(SubjectAltName::Ip).collect()
    };
    let etcd_names = || {
        let mut names = dns(&[NODE, "localhost"]);
        names.extend(ip(&[
            ADDRESS.into(),
            Ipv4Addr::LOCALHOST.into(),
            Ipv6Addr::LOCALHOST.into(),
        ]));
        names
    };
    match leaf {
        LeafName::Apiserver => {
            let mut names = dns(&[
                NODE,
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ]);
            names.extend(ip(&[SERVICE_ADDRESS.into(), ADDRESS.into()]));
            NewLeaf {
                common_name: "kube-apiserver".to_owned(),
                organizations: Vec::new(),
                subject_alt_names: names,
                server_auth: true,
                client_auth: false,
            }
        }
        LeafName::EtcdServer | LeafName::EtcdPeer => NewLeaf {
            common_name: NODE.to_owned(),
            organizations: Vec::new(),
            subject_alt_names: etcd_names(),
            server_auth: true,
            client_auth: true,
        },
        LeafName::ApiserverKubeletClient => client("kube-apiserver-kubelet-client", None),
        LeafName::ApiserverEtcdClient => client("kube-apiserver-etcd-client", None),
        LeafName::EtcdHealthcheckClient => client("kube-etcd-healthcheck-client", None),
        LeafName::FrontProxyClient => client("front-proxy-client", None),
    }
}

fn client(user: &str, organization: Option<&str>) -> NewLeaf {
    NewLeaf {
        common_name: user.to_owned(),
        organizations: organization.map(str::to_owned).into_iter().collect(),
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    }
}

fn kubeconfig_user(name: KubeconfigName) -> (&'static str, Option<&'static str>, &'static str) {
    const LOCAL: &str = "https://192.0.2.11:6443";
    match name {
        KubeconfigName::Admin => ("kubernetes-admin", Some("kubeadm:cluster-admins"), LOCAL),
        KubeconfigName::SuperAdmin => ("kubernetes-super-admin", Some("system:masters"), LOCAL),
        KubeconfigName::ControllerManager => ("system:kube-controller-manager", None, LOCAL),
        KubeconfigName::Scheduler => ("system:kube-scheduler", None, LOCAL),
    }
}

fn kubeconfig_text(
    user: &str,
    server: &str,
    authority: &CertificateAuthority,
    certificate: &Certificate,
    key: &PrivateKey,
) -> Result<String, IssueError> {
    let key_pem = key.to_pem()?;
    Ok(format!(
        "{}users:\n- name: {user}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        kubeconfig_head(user, server, authority),
        STANDARD.encode(certificates_to_pem([certificate])),
        STANDARD.encode(key_pem.as_bytes()),
    ))
}

fn kubeconfig_with_files(user: &str, authority: &CertificateAuthority) -> String {
    const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    format!(
        "{}users:\n- name: {user}\n  user:\n    client-certificate: {CURRENT}\n    client-key: {CURRENT}\n",
        kubeconfig_head(user, "https://192.0.2.11:6443", authority),
    )
}

fn kubeconfig_head(user: &str, server: &str, authority: &CertificateAuthority) -> String {
    let bundle = STANDARD.encode(certificates_to_pem([authority.certificate()]));
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {bundle}\n    server: {server}\n  \
         name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    user: {user}\n  name: {user}@kubernetes\n\
         current-context: {user}@kubernetes\nkind: Config\npreferences: {{}}\n"
    )
}

fn write_pair(base: &Path, certificate: &Certificate, key: &PrivateKey) -> Result<(), SampleError> {
    let made = certificate.not_before;
    let pem = key.to_pem().map_err(IssueError::from)?;
    write(&with_ending(base, "key"), pem.as_bytes(), 0o600, made)?;
    let certificate_pem = certificates_to_pem([certificate]);
    write(
        &with_ending(base, "crt"),
        certificate_pem.as_bytes(),
        0o644,
        made,
    )
}

fn with_ending(base: &Path, ending: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn write(
    path: &Path,
    contents: &[u8],
    mode: u32,
    written_at: Timestamp,
) -> Result<(), SampleError> {
    let written = || -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(directory)?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(contents)?;
        // A file is as old as the certificate in it.
        file.set_modified(written_at.into())
    };
    written().map_err(|source| SampleError::File {
        path: path.to_path_buf(),
        source,
    })
}
