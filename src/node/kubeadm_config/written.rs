//! The configuration as it is written: the fields that matter, everything optional, everything else left alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

use super::version::{Version, version};

/// One document of any kind: the fields of all that are read, of which each kind has its own.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Document {
    api_version: Option<Spanned<String>>,
    kind: Option<String>,
    // ClusterConfiguration
    pub(super) kubernetes_version: Option<Spanned<String>>,
    pub(super) cluster_name: Option<Spanned<String>>,
    pub(super) control_plane_endpoint: Option<Spanned<String>>,
    pub(super) certificates_dir: Option<Spanned<String>>,
    pub(super) encryption_algorithm: Option<Spanned<String>>,
    pub(super) certificate_validity_period: Option<Spanned<String>>,
    #[serde(rename = "caCertificateValidityPeriod")]
    pub(super) authority_validity_period: Option<Spanned<String>>,
    pub(super) api_server: Option<ApiServer>,
    pub(super) networking: Option<Networking>,
    pub(super) etcd: Option<Etcd>,
    pub(super) feature_gates: Option<BTreeMap<String, bool>>,
    // InitConfiguration
    pub(super) node_registration: Option<NodeRegistration>,
    #[serde(rename = "localAPIEndpoint")]
    pub(super) local_api_endpoint: Option<LocalApiEndpoint>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ApiServer {
    #[serde(rename = "certSANs")]
    pub(super) names: Option<Vec<Spanned<String>>>,
    extra_args: Option<ExtraArguments>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Networking {
    pub(super) service_subnet: Option<Spanned<String>>,
    pub(super) dns_domain: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Etcd {
    pub(super) local: Option<LocalEtcd>,
    pub(super) external: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LocalEtcd {
    #[serde(rename = "serverCertSANs")]
    pub(super) server_names: Option<Vec<Spanned<String>>>,
    #[serde(rename = "peerCertSANs")]
    pub(super) peer_names: Option<Vec<Spanned<String>>>,
    extra_args: Option<ExtraArguments>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct NodeRegistration {
    pub(super) name: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LocalApiEndpoint {
    pub(super) advertise_address: Option<Spanned<String>>,
    pub(super) bind_port: Option<Spanned<u16>>,
}

/// A mapping in v1beta3, a list of names and values later: a file of the one under the other's version is refused by kubeadm, and
/// would lose its arguments.
#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only which of the two it is matters")]
enum ExtraArguments {
    Mapping(BTreeMap<String, IgnoredAny>),
    List(Vec<IgnoredAny>),
}

/// What the documents of a file say.
#[derive(Default)]
pub(super) struct Written {
    pub(super) cluster: Option<Document>,
    pub(super) init: Option<Document>,
}

impl Written {
    pub(super) fn is_empty(&self) -> bool {
        self.cluster.is_none() && self.init.is_none()
    }

    /// Takes a document in. Those of other programs (KubeletConfiguration, say) and of other kinds are left alone, as kubeadm does.
    pub(super) fn take(&mut self, document: Document) -> Result<(), String> {
        let Some(api_version) = &document.api_version else {
            return Err("a document has no apiVersion; write kubeadm.k8s.io/v1beta4".to_owned());
        };
        let at_line = api_version.referenced.line();
        let Some(version) =
            version(&api_version.value).map_err(|error| format!("line {at_line}: {error}"))?
        else {
            return Ok(());
        };
        let place = match document.kind.as_deref() {
            Some("ClusterConfiguration") => &mut self.cluster,
            Some("InitConfiguration") => &mut self.init,
            Some("JoinConfiguration" | "ResetConfiguration" | "UpgradeConfiguration") => {
                return Ok(());
            }
            Some(other) => {
                return Err(format!(
                    "line {at_line}: kind {other:?} is not known; write ClusterConfiguration or InitConfiguration"
                ));
            }
            None => {
                return Err(format!(
                    "line {at_line}: the document has no kind; write ClusterConfiguration or InitConfiguration"
                ));
            }
        };
        if place.is_some() {
            return Err(format!(
                "line {at_line}: the file has a second document of this kind; leave one of them"
            ));
        }
        document.check_extra_arguments(version)?;
        document.check_newer_fields(version)?;
        *place = Some(document);
        Ok(())
    }
}

impl Document {
    fn check_extra_arguments(&self, version: Version) -> Result<(), String> {
        let all = [
            (
                "apiServer.extraArgs",
                self.api_server
                    .as_ref()
                    .and_then(|part| part.extra_args.as_ref()),
            ),
            (
                "etcd.local.extraArgs",
                self.etcd
                    .as_ref()
                    .and_then(|part| part.local.as_ref())
                    .and_then(|part| part.extra_args.as_ref()),
            ),
        ];
        for (field, arguments) in all {
            match (version, arguments) {
                (Version::V1Beta3, Some(ExtraArguments::List(_))) => {
                    return Err(format!(
                        "{field} is a list, and in v1beta3 a mapping (name: value); write it so, or apiVersion: \
                         kubeadm.k8s.io/v1beta4"
                    ));
                }
                (Version::Newer, Some(ExtraArguments::Mapping(_))) => {
                    return Err(format!(
                        "{field} is a mapping, and since v1beta4 a list (- name: ... with value: ...); write it so, or \
                         apiVersion: kubeadm.k8s.io/v1beta3"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Fields that v1beta3 does not have: kubeadm would go on without them.
    fn check_newer_fields(&self, version: Version) -> Result<(), String> {
        let newer = [
            ("encryptionAlgorithm", &self.encryption_algorithm),
            (
                "certificateValidityPeriod",
                &self.certificate_validity_period,
            ),
            (
                "caCertificateValidityPeriod",
                &self.authority_validity_period,
            ),
        ];
        for (field, value) in newer {
            if let (Version::V1Beta3, Some(value)) = (version, value) {
                return Err(format!(
                    "line {}: v1beta3 has no {field}; write apiVersion: kubeadm.k8s.io/v1beta4, or leave it out",
                    value.referenced.line()
                ));
            }
        }
        Ok(())
    }
}
