//! By what this node's own components are verified before anything is shown to them or believed of them.

use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::CertificateDer;

use super::endpoint::{API_SERVER, ETCD, runs};
use crate::host::read_on_machine;
use crate::net::{Anchors, Identity, Security};
use crate::node::{CertificateId, Entry, Inventory, StaticPod};
use crate::pki::{AuthorityId, Certificate, LeafName, SubjectAltName, certificates_from_pem};

/// Names that kubeadm gives every API server's certificate and no other.
const API_SERVER_NAMES: [&str; 3] = ["kubernetes.default.svc", "kubernetes.default", "kubernetes"];
/// kubeadm's etcd certificates have it.
const ETCD_NAMES: [&str; 1] = ["localhost"];

/// What a server is verified by.
#[derive(Debug)]
pub(super) struct Peer {
    authorities: Vec<CertificateDer<'static>>,
    /// The DER of the certificate in the file that the server is told to serve.
    exactly: Option<Vec<u8>>,
    server_name: String,
}

impl Peer {
    /// This node's API server: by `ca.crt`, as its clients do it, or as the holder of the key of its own file.
    ///
    /// # Errors
    /// Nothing on this node says by what it could be verified.
    pub(super) fn api_server(
        pod: &StaticPod,
        inventory: &Inventory,
        host: &str,
    ) -> Result<Self, String> {
        let file = pod
            .file_flag("tls-cert-file")
            .or_else(|| path_of(inventory, LeafName::Apiserver));
        Self::of(
            fresh_authorities(inventory, AuthorityId::Kubernetes),
            file,
            &API_SERVER_NAMES,
            host,
        )
    }

    /// etcd: by the CA that the API server trusts for it, else by etcd's own CA on this node, or as the holder of the key of
    /// its own file.
    ///
    /// # Errors
    /// Nothing on this node says by what it could be verified.
    pub(super) fn etcd(inventory: &Inventory, host: &str) -> Result<Self, String> {
        let pod = |program| inventory.static_pods.iter().find(|pod| runs(pod, program));
        let named = pod(API_SERVER)
            .and_then(|pod| pod.file_flag("etcd-cafile"))
            .map(|path| certificates_in(&path))
            .filter(|authorities| !authorities.is_empty());
        let authorities = named.unwrap_or_else(|| fresh_authorities(inventory, AuthorityId::Etcd));
        let file = pod(ETCD)
            .and_then(|pod| pod.file_flag("cert-file"))
            .or_else(|| path_of(inventory, LeafName::EtcdServer));
        Self::of(authorities, file, &ETCD_NAMES, host)
    }

    /// The kubelet, if the API server verifies it; `None` where it does not, as kubeadm leaves it.
    pub(super) fn kubelet(inventory: &Inventory, host: &str) -> Option<Self> {
        let pod = inventory
            .static_pods
            .iter()
            .find(|pod| runs(pod, API_SERVER))?;
        let trusted = pod.file_flag("kubelet-certificate-authority")?;
        let authorities = certificates_in(&trusted);
        let names: Vec<&str> = inventory.node_name.as_deref().into_iter().collect();
        let own = serving(inventory).map(|own| server_name(own, &names, host));
        (!authorities.is_empty()).then(|| Self {
            authorities,
            exactly: None,
            server_name: own.unwrap_or_else(|| host.to_owned()),
        })
    }

    /// The kubelet as the holder of the key of the serving certificate on this node, which nobody else vouches for.
    pub(super) fn kubelet_by_its_file(inventory: &Inventory, host: &str) -> Option<Self> {
        Some(Self {
            authorities: Vec::new(),
            exactly: Some(serving(inventory)?.der().to_vec()),
            server_name: host.to_owned(),
        })
    }

    /// The same without the file: for answers that decide, where others than root may write the file.
    ///
    /// # Errors
    /// There is no CA certificate then.
    pub(super) fn by_authorities_only(self) -> Result<Self, String> {
        if self.authorities.is_empty() {
            return Err("its CA cannot be read on this node, so it cannot be verified".to_owned());
        }
        Ok(Self {
            exactly: None,
            ..self
        })
    }

    /// The same kind of server on another node, whose own name it has to bear.
    ///
    /// # Errors
    /// There is no CA certificate by which it could be verified.
    pub(super) fn on_another_node(self, host: &str) -> Result<Self, String> {
        Ok(Self {
            server_name: host.to_owned(),
            ..self.by_authorities_only()?
        })
    }

    fn of(
        authorities: Vec<CertificateDer<'static>>,
        file: Option<PathBuf>,
        names: &[&str],
        host: &str,
    ) -> Result<Self, String> {
        // Read now: the inventory may be from before the files were replaced.
        let own = file.and_then(|path| certificates_of(&path).into_iter().next());
        if authorities.is_empty() && own.is_none() {
            return Err(
                "neither its CA nor its certificate can be read on this node, so it cannot be verified"
                    .to_owned(),
            );
        }
        Ok(Self {
            server_name: own
                .as_ref()
                .map_or_else(|| host.to_owned(), |own| server_name(own, names, host)),
            exactly: own.map(|own| own.der().to_vec()),
            authorities,
        })
    }

    /// A connection to it that shows `identity`, once it is verified.
    pub(crate) fn security<'a>(&'a self, identity: Option<&'a Identity>) -> Security<'a> {
        Security::Verified {
            anchors: Anchors {
                authorities: &self.authorities,
                exactly: self.exactly.as_deref(),
            },
            server_name: &self.server_name,
            identity,
        }
    }
}

/// The CA certificates that may have signed one of the node's certificates, as the inventory has them.
pub(super) fn signers<'i>(
    inventory: &'i Inventory,
    certificate: &CertificateId,
) -> &'i [Certificate] {
    inventory
        .entry(certificate)
        .and_then(|entry| inventory.authority(entry.authority?)?.certificates())
        .unwrap_or_default()
}

/// Whether one of the authorities signed the first of a chain, itself or through the others of it.
pub(super) fn vouch_for(authorities: &[Certificate], chain: &[Certificate]) -> bool {
    let mut rest = chain.iter();
    let Some(mut current) = rest.next() else {
        return false;
    };
    loop {
        if authorities
            .iter()
            .any(|authority| current.is_signed_by(authority))
        {
            return true;
        }
        match rest.next() {
            Some(next) if next.is_ca && current.is_signed_by(next) => current = next,
            _ => return false,
        }
    }
}

/// A name under which the server's certificate can be verified: the best that it has.
fn server_name(own: &Certificate, names: &[&str], host: &str) -> String {
    let texts: Vec<String> = own
        .subject_alt_names
        .iter()
        .filter_map(|name| match name {
            SubjectAltName::Dns(dns) if !dns.contains('*') => Some(dns.clone()),
            SubjectAltName::Ip(address) => Some(address.to_string()),
            _ => None,
        })
        .collect();
    names
        .iter()
        .copied()
        .chain([host])
        .find(|wanted| texts.iter().any(|text| text == wanted))
        .map(str::to_owned)
        .or_else(|| texts.first().cloned())
        .unwrap_or_else(|| host.to_owned())
}

/// The kubelet's serving certificate on this node.
fn serving(inventory: &Inventory) -> Option<&Certificate> {
    let of_kubelet = |entry: &&Entry| matches!(entry.id, CertificateId::KubeletServing(_));
    let entry = inventory.entries.iter().find(of_kubelet)?;
    Some(&entry.present()?.leaf)
}

fn path_of(inventory: &Inventory, name: LeafName) -> Option<PathBuf> {
    let entry = inventory.entry(&CertificateId::leaf(name))?;
    Some(entry.certificate_path.clone())
}

/// Read now, else as the inventory has them.
fn fresh_authorities(inventory: &Inventory, name: AuthorityId) -> Vec<CertificateDer<'static>> {
    let Some(authority) = inventory.authority(name) else {
        return Vec::new();
    };
    let fresh = certificates_in(&authority.certificate_path);
    if fresh.is_empty() {
        ders(authority.certificates().unwrap_or_default())
    } else {
        fresh
    }
}

/// None where the file cannot be read: then nothing can be verified by it.
fn certificates_in(path: &Path) -> Vec<CertificateDer<'static>> {
    ders(&certificates_of(path))
}

fn certificates_of(path: &Path) -> Vec<Certificate> {
    read_on_machine(path)
        .ok()
        .and_then(|bytes| certificates_from_pem(&bytes).ok())
        .unwrap_or_default()
}

fn ders(certificates: &[Certificate]) -> Vec<CertificateDer<'static>> {
    certificates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
        .collect()
}
