//! Which certificate of the node.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::kubelet_files::{KUBELET_CLIENT, KUBELET_CONFIG, KUBELET_OWN, KUBELET_SERVER};
use crate::pki::{AuthorityId, Catalogued, KubeconfigName, LeafName};

/// Which certificate of the node. [`fmt::Display`] gives the name that people see and that journals and receipts have; they
/// are ordered by it. Cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CertificateId {
    /// One of kubeadm's eleven.
    Catalogued(Catalogued),
    /// The client certificate in or behind kubelet.conf.
    KubeletConfig,
    /// The kubelet's rotated client certificate (kubelet-client-current.pem).
    KubeletClient,
    /// The kubelet's serving certificate, with its file's name.
    KubeletServing(Arc<str>),
    /// A certificate that kubeadm does not know: the name that the configuration gives it; or, where it was found beside the known
    /// ones or is named by a manifest, its path below the certificates directory or kubeadm's, else the whole path.
    Found(Arc<str>),
}

impl CertificateId {
    /// admin.conf.
    pub const ADMIN: Self = Self::Catalogued(Catalogued::Kubeconfig(KubeconfigName::Admin));

    /// super-admin.conf, which is missing on nodes that were joined.
    pub const SUPER_ADMIN: Self =
        Self::Catalogued(Catalogued::Kubeconfig(KubeconfigName::SuperAdmin));

    /// One of the certificates directory.
    #[must_use]
    pub const fn leaf(name: LeafName) -> Self {
        Self::Catalogued(Catalogued::Leaf(name))
    }

    /// A CA's certificate, where it is itself what is changed: in journals, receipts and backups it has the CA's name. Of the certificates
    /// of a node it is none; [`super::Inventory::authority_called`] finds it.
    #[must_use]
    pub fn of_authority(name: AuthorityId) -> Self {
        Self::Found(name.name().into())
    }

    /// The name that people see: kubeadm's, the kubelet's file name, or a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Catalogued(catalogued) => catalogued.name(),
            Self::KubeletConfig => KUBELET_CONFIG,
            Self::KubeletClient => KUBELET_CLIENT,
            Self::KubeletServing(name) | Self::Found(name) => name,
        }
    }

    /// Whether kubeadm's `check-expiration` and `renew` know it.
    #[must_use]
    pub fn is_catalogued(&self) -> bool {
        matches!(self, Self::Catalogued(_))
    }

    /// Whether it is one by which a server of the control plane proves its name.
    #[must_use]
    pub fn is_server(&self) -> bool {
        let servers = [
            LeafName::Apiserver,
            LeafName::EtcdServer,
            LeafName::EtcdPeer,
        ];
        servers.into_iter().any(|name| *self == Self::leaf(name))
    }

    /// Whether it is the one that the kubelet serves.
    #[must_use]
    pub fn is_kubelets_server(&self) -> bool {
        matches!(self, Self::KubeletServing(_))
    }

    /// Whether it is one with which the kubelet makes itself known to the API server.
    #[must_use]
    pub fn is_kubelets_client(&self) -> bool {
        matches!(self, Self::KubeletConfig | Self::KubeletClient)
    }
}

/// What a journal, a receipt or a backup calls so. Of what lies on the node, [`super::Inventory::find`] knows more: there a file
/// of any name may be the one that the kubelet serves.
impl From<&str> for CertificateId {
    fn from(name: &str) -> Self {
        match name {
            KUBELET_CONFIG => Self::KubeletConfig,
            KUBELET_CLIENT => Self::KubeletClient,
            KUBELET_SERVER => Self::KubeletServing(name.into()),
            _ if name == KUBELET_OWN[0] => Self::KubeletServing(name.into()),
            _ => {
                Catalogued::by_name(name).map_or_else(|| Self::Found(name.into()), Self::Catalogued)
            }
        }
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl CertificateId {
    /// Where it comes among those of one name: as in the inventory.
    fn rank(&self) -> u8 {
        match self {
            Self::Catalogued(_) => 0,
            Self::KubeletConfig => 1,
            Self::KubeletClient => 2,
            Self::KubeletServing(_) => 3,
            Self::Found(_) => 4,
        }
    }
}

impl Ord for CertificateId {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.as_str(), self.rank()).cmp(&(other.as_str(), other.rank()))
    }
}

impl PartialOrd for CertificateId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Their names, as a sentence has them.
#[must_use]
pub fn listed<'a>(certificates: impl IntoIterator<Item = &'a CertificateId>) -> String {
    let names: Vec<&str> = certificates
        .into_iter()
        .map(CertificateId::as_str)
        .collect();
    names.join(", ")
}

impl serde::Serialize for CertificateId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for CertificateId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Self::from(name.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn all() -> Vec<CertificateId> {
        let kubeadms = Catalogued::all().into_iter().map(CertificateId::Catalogued);
        kubeadms
            .chain([
                CertificateId::KubeletConfig,
                CertificateId::KubeletClient,
                CertificateId::KubeletServing("kubelet.crt".into()),
                CertificateId::KubeletServing("kubelet-server-current.pem".into()),
                CertificateId::Found("etcd/old.crt".into()),
                CertificateId::Found("/opt/\"ä\".pem".into()),
            ])
            .collect()
    }

    #[test]
    fn each_is_in_the_journal_as_its_name_and_is_read_back() {
        for id in all() {
            let text = serde_json::to_string(&id).unwrap();
            assert_eq!(text, serde_json::to_string(id.as_str()).unwrap());
            assert_eq!(serde_json::from_str::<CertificateId>(&text).unwrap(), id);
            let escaped: CertificateId =
                serde_json::from_value(serde_json::Value::String(id.to_string())).unwrap();
            assert_eq!(escaped, id);
        }
    }

    #[test]
    fn they_are_ordered_by_name_and_two_of_one_name_are_two() {
        let mut sorted = all();
        sorted.sort();
        let mut names: Vec<String> = all().iter().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(
            sorted.iter().map(ToString::to_string).collect::<Vec<_>>(),
            names
        );
        let beside = CertificateId::Found("kubelet.conf".into());
        assert_ne!(beside, CertificateId::KubeletConfig);
        assert!(CertificateId::KubeletConfig < beside);
    }
}
