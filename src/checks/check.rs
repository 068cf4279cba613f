//! What is looked at.

/// What is looked at, in the order in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Room for what will be written.
    Space,
    /// Whether files can be replaced where they lie.
    Writable,
    /// Whether every authority can sign.
    Authorities,
    /// One manifest for each pod that is restarted, where the kubelet looks for it.
    Manifests,
    /// Whether the images of pods that are out stay on the disk.
    Images,
    /// Whether the kubelet answers.
    Kubelet,
    /// Whether the container runtime answers.
    Runtime,
    /// Whether what is to be restarted is well before.
    Health,
    /// Whether it is this control plane's turn, and the others answer.
    Peers,
    /// Whether a filter in the daemon's unit lets through what it needs.
    Addresses,
    /// Whether the clock can be believed.
    Clock,
    /// Another kubeadm that changes the same files.
    Kubeadm,
    /// Somebody else who renews here regularly.
    OtherRenewer,
    /// Whether every hook that lies there can be run.
    Hooks,
    /// Whether whoever uses certificates that are not kubeadm's can be told of new ones.
    Users,
    /// Whether a maintenance window is open.
    Windows,
    /// Whether an administrator holds the daemon back.
    Hold,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Space,
        Self::Writable,
        Self::Authorities,
        Self::Manifests,
        Self::Images,
        Self::Kubelet,
        Self::Runtime,
        Self::Health,
        Self::Peers,
        Self::Addresses,
        Self::Clock,
        Self::Kubeadm,
        Self::OtherRenewer,
        Self::Hooks,
        Self::Users,
        Self::Windows,
        Self::Hold,
    ];

    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Writable => "writable",
            Self::Manifests => "manifests",
            Self::Authorities => "authorities",
            Self::Images => "images",
            Self::Kubelet => "kubelet",
            Self::Runtime => "runtime",
            Self::Health => "health",
            Self::Peers => "peers",
            Self::Addresses => "addresses",
            Self::Clock => "clock",
            Self::Kubeadm => "kubeadm",
            Self::OtherRenewer => "other-renewer",
            Self::Hooks => "hooks",
            Self::Users => "users",
            Self::Windows => "windows",
            Self::Hold => "hold",
        }
    }

    /// Whether it is asked of a running node, and means nothing on a copy of one.
    #[must_use]
    pub fn is_asked(self) -> bool {
        matches!(
            self,
            Self::Kubelet | Self::Runtime | Self::Health | Self::Peers | Self::Users
        )
    }

    /// What is true when nothing is found.
    #[must_use]
    pub fn passed(self) -> &'static str {
        match self {
            Self::Space => "room for twice what would be written",
            Self::Writable => "nothing is read-only or immutable",
            Self::Manifests => "one manifest for each pod",
            Self::Images => "no disk so full that the kubelet removes images",
            Self::Authorities => "every CA that is to sign here can",
            Self::Kubelet => "the kubelet answers",
            Self::Runtime => "the container runtime answers",
            Self::Health => "what would be restarted is well",
            Self::Peers => "no other control plane has to be waited for",
            Self::Addresses => "no address filter keeps the daemon from what it needs",
            Self::Clock => "synchronised, or in keeping with everything on the node",
            Self::Kubeadm => "no kubeadm is at work",
            Self::Windows => "no maintenance window has to be waited for",
            Self::Hooks => "nothing is among the hooks that is not run",
            Self::Users => "whoever is to be told of a new certificate can be",
            Self::Hold => "no administrator holds the daemon back",
            Self::OtherRenewer => "no timer and no cron job that counts calls kubeadm certs renew",
        }
    }
}
