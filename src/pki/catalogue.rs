//! kubeadm's own catalogue: which certificates a control-plane node has, what each is called, and
//! which authority signs it (`cmd/kubeadm/app/phases/certs/certlist.go`, `kubeconfig.go`).

use std::fmt;

use super::authority_name::AuthorityName;

/// A certificate authority: one of a kubeadm cluster, or another of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthorityId {
    /// Signs the API server's certificate and every Kubernetes client's.
    Kubernetes,
    /// Signs everything of a local etcd.
    Etcd,
    /// Signs the client with which the API server calls extension API servers.
    FrontProxy,
    /// Signs certificates that are not kubeadm's.
    Other(AuthorityName),
}

impl AuthorityId {
    /// kubeadm's, in the order of its second table.
    pub const ALL: [Self; 3] = [Self::Kubernetes, Self::Etcd, Self::FrontProxy];

    /// Whether it is one of kubeadm's.
    #[must_use]
    pub fn is_kubeadms(self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// kubeadm's name, as in the column CERTIFICATE AUTHORITY; of another the path of its certificate.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Other(name) => name.as_str(),
            Self::Kubernetes => "ca",
            Self::Etcd => "etcd-ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }

    /// Path of `.crt` and `.key` below the certificates directory, without the ending; of kubeadm's.
    #[must_use]
    pub fn base(self) -> &'static str {
        match self {
            Self::Other(name) => name.as_str(),
            Self::Kubernetes => "ca",
            Self::Etcd => "etcd/ca",
            Self::FrontProxy => "front-proxy-ca",
        }
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl serde::Serialize for AuthorityId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One of the seven leaf certificates in the certificates directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeafName {
    /// `apiserver`
    Apiserver,
    /// `apiserver-etcd-client`
    ApiserverEtcdClient,
    /// `apiserver-kubelet-client`
    ApiserverKubeletClient,
    /// `etcd-healthcheck-client`
    EtcdHealthcheckClient,
    /// `etcd-peer`
    EtcdPeer,
    /// `etcd-server`
    EtcdServer,
    /// `front-proxy-client`
    FrontProxyClient,
}

impl LeafName {
    /// All of them, by name.
    pub const ALL: [Self; 7] = [
        Self::Apiserver,
        Self::ApiserverEtcdClient,
        Self::ApiserverKubeletClient,
        Self::EtcdHealthcheckClient,
        Self::EtcdPeer,
        Self::EtcdServer,
        Self::FrontProxyClient,
    ];

    /// kubeadm's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apiserver => "apiserver",
            Self::ApiserverEtcdClient => "apiserver-etcd-client",
            Self::ApiserverKubeletClient => "apiserver-kubelet-client",
            Self::EtcdHealthcheckClient => "etcd-healthcheck-client",
            Self::EtcdPeer => "etcd-peer",
            Self::EtcdServer => "etcd-server",
            Self::FrontProxyClient => "front-proxy-client",
        }
    }

    /// Path of `.crt` and `.key` below the certificates directory, without the ending.
    #[must_use]
    pub fn base(self) -> &'static str {
        match self {
            Self::EtcdHealthcheckClient => "etcd/healthcheck-client",
            Self::EtcdPeer => "etcd/peer",
            Self::EtcdServer => "etcd/server",
            other => other.name(),
        }
    }

    /// The authority that signs it.
    #[must_use]
    pub fn authority(self) -> AuthorityId {
        match self {
            Self::Apiserver | Self::ApiserverKubeletClient => AuthorityId::Kubernetes,
            Self::FrontProxyClient => AuthorityId::FrontProxy,
            Self::ApiserverEtcdClient
            | Self::EtcdHealthcheckClient
            | Self::EtcdPeer
            | Self::EtcdServer => AuthorityId::Etcd,
        }
    }

    /// Whether it is shown by a server, and by a client: etcd shows its servers' to itself and to the other members.
    #[must_use]
    pub fn usages(self) -> (bool, bool) {
        match self {
            Self::Apiserver => (true, false),
            Self::EtcdServer | Self::EtcdPeer => (true, true),
            Self::ApiserverEtcdClient
            | Self::ApiserverKubeletClient
            | Self::EtcdHealthcheckClient
            | Self::FrontProxyClient => (false, true),
        }
    }

    /// What it is for, in kubeadm's words.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Apiserver => "certificate for serving the Kubernetes API",
            Self::ApiserverEtcdClient => "certificate the apiserver uses to access etcd",
            Self::ApiserverKubeletClient => "certificate for the API server to connect to kubelet",
            Self::EtcdHealthcheckClient => "certificate for liveness probes to healthcheck etcd",
            Self::EtcdPeer => "certificate for etcd nodes to communicate with each other",
            Self::EtcdServer => "certificate for serving etcd",
            Self::FrontProxyClient => "certificate for the front proxy client",
        }
    }
}

/// One of the four kubeconfigs whose embedded client certificate kubeadm renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KubeconfigName {
    /// `admin.conf`
    Admin,
    /// `controller-manager.conf`
    ControllerManager,
    /// `scheduler.conf`
    Scheduler,
    /// `super-admin.conf`, normally only on the node that `kubeadm init` made
    SuperAdmin,
}

impl KubeconfigName {
    /// All of them, by name.
    pub const ALL: [Self; 4] = [
        Self::Admin,
        Self::ControllerManager,
        Self::Scheduler,
        Self::SuperAdmin,
    ];

    /// kubeadm's name, which is the file's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin.conf",
            Self::ControllerManager => "controller-manager.conf",
            Self::Scheduler => "scheduler.conf",
            Self::SuperAdmin => "super-admin.conf",
        }
    }

    /// What it is for, in kubeadm's words.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Admin => {
                "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself"
            }
            Self::ControllerManager => {
                "certificate embedded in the kubeconfig file for the controller manager to use"
            }
            Self::Scheduler => {
                "certificate embedded in the kubeconfig file for the scheduler manager to use"
            }
            Self::SuperAdmin => "certificate embedded in the kubeconfig file for the super-admin",
        }
    }
}

/// One of the eleven certificates that `kubeadm certs renew` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Catalogued {
    /// A certificate and key of the certificates directory.
    Leaf(LeafName),
    /// The client certificate in a kubeconfig.
    Kubeconfig(KubeconfigName),
}

impl Catalogued {
    /// All eleven, sorted by name as kubeadm prints and renews them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = LeafName::ALL.into_iter().map(Self::Leaf).collect();
        all.extend(KubeconfigName::ALL.into_iter().map(Self::Kubeconfig));
        all.sort_by_key(|entry| entry.name());
        all
    }

    /// The entry of that name, if kubeadm has it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|entry| entry.name() == name)
    }

    /// kubeadm's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf(leaf) => leaf.name(),
            Self::Kubeconfig(kubeconfig) => kubeconfig.name(),
        }
    }

    /// What it is for, in kubeadm's words.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Leaf(leaf) => leaf.purpose(),
            Self::Kubeconfig(kubeconfig) => kubeconfig.purpose(),
        }
    }

    /// The authority that signs it.
    #[must_use]
    pub fn authority(self) -> AuthorityId {
        match self {
            Self::Leaf(leaf) => leaf.authority(),
            Self::Kubeconfig(_) => AuthorityId::Kubernetes,
        }
    }
}
