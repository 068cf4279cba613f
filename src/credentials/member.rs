//! The credentials of one control plane.

use std::fmt;

use crate::node::ControlPlane;
use crate::pki::{AuthorityId, Catalogued, KubeconfigName, LeafName, NewLeaf};

/// One of the twelve: kubeadm's eleven, and kubelet.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// A certificate with its key.
    Leaf(LeafName),
    /// A kubeconfig.
    Kubeconfig(KubeconfigName),
    /// kubelet.conf
    Kubelet,
}

/// Members of every cluster's group of administrators since 1.29.
pub(super) const CLUSTER_ADMINS: &str = "kubeadm:cluster-admins";
/// Beyond all authorisation.
pub(super) const MASTERS: &str = "system:masters";
pub(super) const NODES: &str = "system:nodes";
/// Before the name of a kubelet's node.
pub(super) const NODE_USER: &str = "system:node:";
const KUBELET_CONF: &str = "kubelet.conf";

impl Member {
    /// All of them: the certificates, then the kubeconfigs, by name.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let leaves = LeafName::ALL.into_iter().map(Self::Leaf);
        let kubeconfigs = KubeconfigName::ALL.into_iter().map(Self::Kubeconfig);
        let mut all: Vec<Self> = leaves.chain(kubeconfigs).chain([Self::Kubelet]).collect();
        all.sort_by_key(|member| (member.is_kubeconfig(), member.name()));
        all
    }

    /// That of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|member| member.name() == name)
    }

    /// kubeadm's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf(leaf) => leaf.name(),
            Self::Kubeconfig(kubeconfig) => kubeconfig.name(),
            Self::Kubelet => KUBELET_CONF,
        }
    }

    /// Whether certificate and key are embedded in a kubeconfig.
    #[must_use]
    pub fn is_kubeconfig(self) -> bool {
        !matches!(self, Self::Leaf(_))
    }

    /// Whether it is one of etcd, or for its clients.
    #[must_use]
    pub fn is_of_etcd(self) -> bool {
        self.authority() == AuthorityId::Etcd
    }

    /// Who signs it.
    #[must_use]
    pub fn authority(self) -> AuthorityId {
        match self {
            Self::Leaf(leaf) => leaf.authority(),
            Self::Kubeconfig(kubeconfig) => Catalogued::Kubeconfig(kubeconfig).authority(),
            Self::Kubelet => AuthorityId::Kubernetes,
        }
    }

    /// Whether it is shown by a server, and by a client.
    pub(super) fn usages(self) -> (bool, bool) {
        match self {
            Self::Leaf(leaf) => leaf.usages(),
            Self::Kubeconfig(_) | Self::Kubelet => (false, true),
        }
    }

    /// The common name, where it is the same on every node.
    pub(super) fn fixed_common_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Leaf(LeafName::Apiserver) => "kube-apiserver",
            Self::Leaf(LeafName::ApiserverKubeletClient) => "kube-apiserver-kubelet-client",
            Self::Leaf(LeafName::ApiserverEtcdClient) => "kube-apiserver-etcd-client",
            Self::Leaf(LeafName::EtcdHealthcheckClient) => "kube-etcd-healthcheck-client",
            Self::Leaf(LeafName::FrontProxyClient) => "front-proxy-client",
            Self::Kubeconfig(KubeconfigName::Admin) => "kubernetes-admin",
            Self::Kubeconfig(KubeconfigName::SuperAdmin) => "kubernetes-super-admin",
            Self::Kubeconfig(KubeconfigName::ControllerManager) => "system:kube-controller-manager",
            Self::Kubeconfig(KubeconfigName::Scheduler) => "system:kube-scheduler",
            Self::Leaf(LeafName::EtcdServer | LeafName::EtcdPeer) | Self::Kubelet => return None,
        })
    }

    /// What has to be said when it is made by this configuration.
    #[must_use]
    pub fn caution(self, control_plane: &ControlPlane) -> Option<String> {
        (self == Self::Leaf(LeafName::ApiserverKubeletClient) && !control_plane.knows_its_version())
            .then(|| {
                format!(
                    "the configuration has no kubernetesVersion of the form v1.36.1, so it is made without the group {CLUSTER_ADMINS}, \
                     as clusters since 1.36.1 have it; in an older one the API server could not reach its kubelets with it (logs, exec): \
                     move its files away, write kubernetesVersion into the configuration (ClusterConfiguration) and make it again"
                )
            })
    }

    /// What its certificate is to be like.
    pub(super) fn leaf(self, control_plane: &ControlPlane) -> NewLeaf {
        let node = &control_plane.node_name;
        let (server_auth, client_auth) = self.usages();
        let groups: &[&str] = match self {
            Self::Kubeconfig(KubeconfigName::Admin) => &[CLUSTER_ADMINS],
            Self::Kubeconfig(KubeconfigName::SuperAdmin) => &[MASTERS],
            Self::Leaf(LeafName::ApiserverKubeletClient)
                if control_plane.gives_api_server_the_admins_group() =>
            {
                &[CLUSTER_ADMINS]
            }
            Self::Kubelet => &[NODES],
            Self::Leaf(_) | Self::Kubeconfig(_) => &[],
        };
        NewLeaf {
            common_name: match self.fixed_common_name() {
                Some(name) => name.to_owned(),
                None if self == Self::Kubelet => format!("{NODE_USER}{node}"),
                None => node.clone(),
            },
            organizations: groups.iter().map(ToString::to_string).collect(),
            subject_alt_names: match self {
                Self::Leaf(leaf) => control_plane.names_of(leaf),
                Self::Kubeconfig(_) | Self::Kubelet => Vec::new(),
            },
            server_auth,
            client_auth,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
