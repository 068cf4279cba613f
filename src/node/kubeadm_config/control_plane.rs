//! What a configuration means for the certificates of one control plane.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::endpoint::{Endpoint, url};
use super::fields::{cluster_name, directory, dns_domain, given};
use super::names::{canonical, is_dns_name, ordered, subject_alt_name};
use super::networks::first_service_address;
use super::written::{Document, Written};
use crate::node::go_duration;
use crate::pki::{KeyAlgorithm, LeafName, SubjectAltName};

/// What a configuration leaves open and only the machine knows.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The host's name in small letters.
    pub node_name: Option<String>,
    /// The address of the default route.
    pub advertise_address: Option<IpAddr>,
    /// Whether only the way to the cluster matters: where `controlPlaneEndpoint` says it, name and address of this node may be
    /// unknown.
    pub only_server: bool,
}

/// A control plane as its certificates and kubeconfigs have to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlane {
    /// `nodeRegistration.name`
    pub node_name: String,
    /// `clusterName`
    pub cluster_name: String,
    /// `certificatesDir`, a path of the node.
    pub certificates_directory: PathBuf,
    /// What keys are made of.
    pub key_algorithm: KeyAlgorithm,
    /// `certificateValidityPeriod`
    pub validity: Duration,
    /// `caCertificateValidityPeriod`
    pub authority_validity: Duration,
    /// What of that is written, and not only a default.
    pub said: Said,
    /// Whether etcd runs elsewhere, so that its certificates are not made here.
    pub external_etcd: bool,
    /// `kubernetesVersion`, where it is a version.
    version: Option<(u32, u32, u32)>,
    advertise_address: IpAddr,
    bind_port: u16,
    endpoint: Option<Endpoint>,
    service_address: IpAddr,
    dns_domain: String,
    api_server_names: Vec<SubjectAltName>,
    etcd_server_names: Vec<SubjectAltName>,
    etcd_peer_names: Vec<SubjectAltName>,
}

/// What a configuration says of new certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said {
    /// `certificateValidityPeriod`
    pub validity: Option<Duration>,
    /// `caCertificateValidityPeriod`
    pub authority_validity: Option<Duration>,
    /// `encryptionAlgorithm`, or the feature gate before it.
    pub key_algorithm: Option<KeyAlgorithm>,
}

const HOUR: u64 = 3600;
/// kubeadm's own defaults.
const VALIDITY: Duration = Duration::from_secs(8760 * HOUR);
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(87_600 * HOUR);
const BIND_PORT: u16 = 6443;
const SERVICE_SUBNET: &str = "10.96.0.0/12";
const DNS_DOMAIN: &str = "cluster.local";
const CLUSTER_NAME: &str = "kubernetes";
const CERTIFICATES_DIRECTORY: &str = "/etc/kubernetes/pki";

impl ControlPlane {
    /// What kubeadm makes without a configuration.
    ///
    /// # Errors
    /// What of the machine is not known.
    pub fn of_defaults(defaults: &Defaults) -> Result<Self, String> {
        Self::of(&Written::default(), defaults)
    }

    pub(super) fn of(written: &Written, defaults: &Defaults) -> Result<Self, String> {
        let empty = Document::default();
        let cluster = written.cluster.as_ref().unwrap_or(&empty);
        let init = written.init.as_ref().unwrap_or(&empty);
        let endpoint = given(
            cluster.control_plane_endpoint.as_ref(),
            "controlPlaneEndpoint",
            Endpoint::parse,
        )?;
        let networking = cluster.networking.as_ref();
        let subnet = networking.and_then(|part| part.service_subnet.as_ref());
        let service_address =
            match given(subnet, "networking.serviceSubnet", first_service_address)? {
                Some(address) => address,
                None => first_service_address(SERVICE_SUBNET)?,
            };
        let domain = networking.and_then(|part| part.dns_domain.as_ref());
        let local_etcd = cluster.etcd.as_ref().and_then(|etcd| etcd.local.as_ref());
        let external_etcd = cluster
            .etcd
            .as_ref()
            .is_some_and(|etcd| etcd.external.is_some());
        if external_etcd && local_etcd.is_some() {
            return Err("etcd has both local and external; leave one of them".to_owned());
        }
        let api_server_names = cluster
            .api_server
            .as_ref()
            .and_then(|server| server.names.as_deref())
            .unwrap_or_default();
        let (node_name, advertise_address) =
            match (node_name(init, defaults), advertise_address(init, defaults)) {
                (name, address) if defaults.only_server && endpoint.is_some() => (
                    name.unwrap_or_default(),
                    address.unwrap_or(IpAddr::from([0, 0, 0, 0])),
                ),
                (name, address) => (name?, address?),
            };
        let said = Said {
            validity: period(
                cluster.certificate_validity_period.as_ref(),
                "certificateValidityPeriod",
            )?,
            authority_validity: period(
                cluster.authority_validity_period.as_ref(),
                "caCertificateValidityPeriod",
            )?,
            key_algorithm: key_algorithm(cluster)?,
        };
        Ok(Self {
            node_name,
            cluster_name: given(cluster.cluster_name.as_ref(), "clusterName", cluster_name)?
                .unwrap_or_else(|| CLUSTER_NAME.to_owned()),
            certificates_directory: given(
                cluster.certificates_dir.as_ref(),
                "certificatesDir",
                directory,
            )?
            .unwrap_or_else(|| PathBuf::from(CERTIFICATES_DIRECTORY)),
            key_algorithm: said.key_algorithm.unwrap_or(KeyAlgorithm::Rsa2048),
            validity: said.validity.unwrap_or(VALIDITY),
            authority_validity: said.authority_validity.unwrap_or(AUTHORITY_VALIDITY),
            said,
            external_etcd,
            version: version(cluster)?,
            advertise_address,
            bind_port: bind_port(init)?,
            endpoint,
            service_address,
            dns_domain: given(domain, "networking.dnsDomain", dns_domain)?
                .unwrap_or_else(|| DNS_DOMAIN.to_owned()),
            // kubeadm makes small letters of these, and only of these.
            api_server_names: names(api_server_names, "apiServer.certSANs", str::to_lowercase)?,
            etcd_server_names: names(
                local_etcd
                    .and_then(|etcd| etcd.server_names.as_deref())
                    .unwrap_or_default(),
                "etcd.local.serverCertSANs",
                str::to_owned,
            )?,
            etcd_peer_names: names(
                local_etcd
                    .and_then(|etcd| etcd.peer_names.as_deref())
                    .unwrap_or_default(),
                "etcd.local.peerCertSANs",
                str::to_owned,
            )?,
        })
    }

    /// Whether the configuration says for which version it is.
    #[must_use]
    pub fn knows_its_version(&self) -> bool {
        self.version.is_some()
    }

    /// Whether the API server's client of the kubelets belongs to the administrators' group, as kubeadm had it before 1.36.1; since
    /// then a binding of its user gives it its rights.
    #[must_use]
    pub fn gives_api_server_the_admins_group(&self) -> bool {
        self.version.is_some_and(|version| version < (1, 36, 1))
    }

    /// Whether the kubelet of a control plane talks to the API server of its own node, as since 1.35.
    #[must_use]
    pub fn kubelet_uses_local_server(&self) -> bool {
        self.version.is_none_or(|version| version >= (1, 35, 0))
    }

    /// The URL of this node's own API server.
    #[must_use]
    pub fn local_server(&self) -> String {
        url(&SubjectAltName::Ip(self.advertise_address), self.bind_port)
    }

    /// The URL by which the whole control plane is reached.
    #[must_use]
    pub fn server(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => url(&endpoint.host, endpoint.port.unwrap_or(self.bind_port)),
            None => self.local_server(),
        }
    }

    /// The names of a leaf, as kubeadm puts them into it.
    #[must_use]
    pub fn names_of(&self, leaf: LeafName) -> Vec<SubjectAltName> {
        let dns = |name: &str| SubjectAltName::Dns(name.to_owned());
        let node = SubjectAltName::Dns(self.node_name.clone());
        let own = SubjectAltName::Ip(self.advertise_address);
        let of_etcd = |more: &[SubjectAltName]| {
            let loopback = [
                IpAddr::from([127, 0, 0, 1]),
                "::1".parse().unwrap_or(self.advertise_address),
            ];
            let mut names = vec![node.clone(), dns("localhost"), own.clone()];
            names.extend(loopback.map(SubjectAltName::Ip));
            names.extend_from_slice(more);
            ordered(names)
        };
        match leaf {
            LeafName::Apiserver => {
                let mut names = vec![
                    node,
                    dns("kubernetes"),
                    dns("kubernetes.default"),
                    dns("kubernetes.default.svc"),
                    dns(&format!("kubernetes.default.svc.{}", self.dns_domain)),
                    SubjectAltName::Ip(self.service_address),
                    own,
                ];
                names.extend(self.endpoint.as_ref().map(|endpoint| endpoint.host.clone()));
                names.extend_from_slice(&self.api_server_names);
                ordered(names)
            }
            LeafName::EtcdServer => of_etcd(&self.etcd_server_names),
            LeafName::EtcdPeer => of_etcd(&self.etcd_peer_names),
            LeafName::ApiserverEtcdClient
            | LeafName::ApiserverKubeletClient
            | LeafName::EtcdHealthcheckClient
            | LeafName::FrontProxyClient => Vec::new(),
        }
    }
}

fn names(
    list: &[Spanned<String>],
    field: &str,
    adapted: fn(&str) -> String,
) -> Result<Vec<SubjectAltName>, String> {
    list.iter()
        .map(|name| {
            subject_alt_name(&adapted(&name.value))
                .map_err(|error| format!("line {}: {field}: {error}", name.referenced.line()))
        })
        .collect()
}

/// The version that the cluster has. A name (`stable-1`) says none, and counts as the newest.
fn version(cluster: &Document) -> Result<Option<(u32, u32, u32)>, String> {
    let read = |text: &str| {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let mut numbers = numbers.split(['.', '-', '+']).map(str::parse::<u32>);
        let version = match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => (major, minor, patch),
            _ => return Ok(None),
        };
        if version < (1, 29, 0) {
            return Err(format!(
                "{text} is older than 1.29, where administrators belong to other groups; make these credentials with its own \
                 kubeadm, or successors of its certificates (--from-existing)"
            ));
        }
        Ok(Some(version))
    };
    given(
        cluster.kubernetes_version.as_ref(),
        "kubernetesVersion",
        read,
    )
    .map(Option::flatten)
}

fn node_name(init: &Document, defaults: &Defaults) -> Result<String, String> {
    let field = init
        .node_registration
        .as_ref()
        .and_then(|node| node.name.as_ref());
    let read = |text: &str| {
        let name = text.trim().to_lowercase();
        if is_dns_name(&name) {
            Ok(name)
        } else {
            Err(format!(
                "{text:?} is no name of a node; write letters, digits, '-' and '.'"
            ))
        }
    };
    if let Some(name) = given(field, "nodeRegistration.name", read)? {
        return Ok(name);
    }
    let own = defaults.node_name.as_deref().ok_or(
        "the node's name is not known; give it as nodeRegistration.name of an InitConfiguration",
    )?;
    read(own).map_err(|error| format!("the host's name: {error}"))
}

fn advertise_address(init: &Document, defaults: &Defaults) -> Result<IpAddr, String> {
    let field = init
        .local_api_endpoint
        .as_ref()
        .and_then(|endpoint| endpoint.advertise_address.as_ref());
    let read = |text: &str| match text.parse::<IpAddr>() {
        Ok(address)
            if address.is_unspecified() || address.is_loopback() || address.is_multicast() =>
        {
            Err(format!(
                "{text} is no address at which other nodes reach this one"
            ))
        }
        Ok(address) => Ok(canonical(address)),
        Err(_) => Err(format!("{text:?} is no IP address")),
    };
    match given(field, "localAPIEndpoint.advertiseAddress", read)? {
        Some(address) => Ok(address),
        None => defaults.advertise_address.ok_or_else(|| {
            "this machine's address is not known (no default route, or another machine's files); give it as \
             localAPIEndpoint.advertiseAddress of an InitConfiguration"
                .to_owned()
        }),
    }
}

fn bind_port(init: &Document) -> Result<u16, String> {
    let field = init
        .local_api_endpoint
        .as_ref()
        .and_then(|endpoint| endpoint.bind_port.as_ref());
    match field {
        Some(port) if port.value == 0 => Ok(BIND_PORT),
        Some(port) => Ok(port.value),
        None => Ok(BIND_PORT),
    }
}

fn period(field: Option<&Spanned<String>>, name: &str) -> Result<Option<Duration>, String> {
    given(field, name, |text| {
        go_duration::parse(text)
            .filter(|period| period.as_secs() > 0)
            .ok_or_else(|| format!("{text:?} is no duration; write 8760h or 90m"))
    })
}

fn key_algorithm(cluster: &Document) -> Result<Option<KeyAlgorithm>, String> {
    let gate = cluster
        .feature_gates
        .as_ref()
        .and_then(|gates| gates.get("PublicKeysECDSA"));
    match gate {
        Some(true) => return Ok(Some(KeyAlgorithm::EcdsaP256)),
        Some(false) => return Ok(Some(KeyAlgorithm::Rsa2048)),
        None => {}
    }
    let read = |text: &str| {
        Ok(match text {
            "RSA-2048" => KeyAlgorithm::Rsa2048,
            "RSA-3072" => KeyAlgorithm::Rsa3072,
            "RSA-4096" => KeyAlgorithm::Rsa4096,
            "ECDSA-P256" => KeyAlgorithm::EcdsaP256,
            "ECDSA-P384" => KeyAlgorithm::EcdsaP384,
            _ => {
                return Err(format!(
                    "{text:?} is not known; write RSA-2048, RSA-3072, RSA-4096, ECDSA-P256 or ECDSA-P384"
                ));
            }
        })
    };
    given(
        cluster.encryption_algorithm.as_ref(),
        "encryptionAlgorithm",
        read,
    )
}
