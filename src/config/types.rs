//! What the configuration means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::issuer::Issuers;
use super::renewal::{CertificateRenewal, Renewal};
use super::{Approver, Description, Window};

/// The whole configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// `[paths]`
    pub locations: Locations,
    /// `[renewal]`, and what `[certificate.NAME]` says of single ones
    pub renewal: Renewal,
    /// `[issuer.NAME]`: who signs where the CA's key is not on this node
    pub issuers: Issuers,
    /// `[window.NAME]`, by name; without any the daemon may act at any time
    pub windows: BTreeMap<String, Window>,
    /// `[admin-copies]`
    pub admin_copies: AdminCopies,
    /// `[restart]`
    pub restart: Restart,
    /// `[kubelet]`
    pub kubelet: Kubelet,
    /// `[turn]`
    pub turn: Turn,
    /// `[approver]`
    pub approver: Approver,
    /// `[hooks]`
    pub hooks: Hooks,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[events]`
    pub events: Events,
    /// `[cluster-api]`
    pub cluster_api: ClusterApi,
    /// `[backup]`
    pub backup: Backup,
    /// `[log]`
    pub log: Log,
}

/// `[kubelet]`: what is done about the kubelet's own client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kubelet {
    /// `repair`
    pub repair: KubeletRepair,
}

/// `kubelet.repair`: when the daemon makes the kubelet a client certificate that it did not get by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum KubeletRepair {
    /// Never.
    Off,
    /// When it has expired, so that the kubelet cannot start.
    #[default]
    Expired,
    /// When its rotation is overdue, too, or kubelet.conf holds an old one itself.
    Overdue,
}

impl Config {
    /// What holds for the renewal of the certificate of that name.
    #[must_use]
    pub fn renewal_of(&self, name: &str) -> CertificateRenewal {
        self.renewal.of(name)
    }
}

/// `[paths]`: where to look; what is not said comes from the manifests, then from the kubelet's configuration, then
/// from kubeadm's defaults. Paths are the node's, without the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    /// `kubernetes`: the kubeconfigs' directory, `/etc/kubernetes`.
    pub kubernetes: PathBuf,
    /// `certificates`: kubeadm's certificatesDir.
    pub certificates: Option<PathBuf>,
    /// `manifests`: the kubelet's staticPodPath.
    pub manifests: Option<PathBuf>,
    /// `kubelet-configuration`: `/var/lib/kubelet/config.yaml`.
    pub kubelet_configuration: PathBuf,
    /// `kubelet-certificates`: the kubelet's --cert-dir.
    pub kubelet_pki: Option<PathBuf>,
    /// `[certificate.NAME]` with a `file`: where certificates lie that are not kubeadm's, by name.
    pub described: BTreeMap<String, Description>,
}

impl Default for Locations {
    fn default() -> Self {
        Self {
            kubernetes: PathBuf::from("/etc/kubernetes"),
            certificates: None,
            manifests: None,
            kubelet_configuration: PathBuf::from("/var/lib/kubelet/config.yaml"),
            kubelet_pki: None,
            described: BTreeMap::new(),
        }
    }
}

/// `[admin-copies]`: copies of admin.conf and super-admin.conf that are renewed with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminCopies {
    /// `paths`: files that may be copies. The node's paths, without the root.
    pub paths: Vec<PathBuf>,
    /// `discover`
    pub discover: Discover,
}

/// `admin-copies.discover`: in whose home a copy is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discover {
    /// In nobody's.
    None,
    /// In root's, who may read the original as well.
    #[default]
    Root,
    /// In those of all local users: whoever has a copy that is valid stays an administrator of the cluster.
    Users,
}

/// `[restart]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// `mode`
    pub mode: RestartMode,
    /// `method`
    pub method: RestartBy,
    /// `drain`
    pub drain: Drain,
    /// `wait`
    pub wait: RestartWait,
    /// `timeout`: the bound for one pod to go, and for one pod to become healthy, 5 min each.
    pub timeout: Duration,
    /// `reload-timeout`: with `when-needed`, how long a renewal waits for a component to show a renewed certificate by itself, 90 s.
    pub reload_timeout: Duration,
    /// `container-runtime`: the CRI socket, else the kubelet's, else the usual ones.
    pub container_runtime: Option<PathBuf>,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            mode: RestartMode::Affected,
            method: RestartBy::Manifest,
            drain: Drain::For(Duration::from_secs(3)),
            wait: RestartWait::Observed,
            timeout: Duration::from_secs(300),
            reload_timeout: Duration::from_secs(90),
            container_runtime: None,
        }
    }
}

/// `restart.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Every static pod that uses a renewed file.
    Affected,
    /// Only those that do not prove by a handshake, in time, that they picked the file up.
    WhenNeeded,
    /// None; somebody else restarts them.
    None,
}

/// `restart.method`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartBy {
    /// Manifests go out and come back.
    Manifest,
    /// Containers are ended through the container runtime; manifests stay where they are.
    Container,
}

/// `restart.drain`: how long requests in flight get, once an API server that is to end does not listen any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// So long; then its container is ended.
    For(Duration),
    /// As long as the pod's own grace, by the kubelet's clock.
    Pod,
}

/// `restart.wait`
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartWait {
    /// Return a manifest as soon as the pod is seen to be gone.
    Observed,
    /// kubeadm's page to the letter: a full `fileCheckFrequency` out, and one more after the return.
    Interval,
}

/// `[turn]`: how several control planes keep from acting together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// `mode`
    pub mode: TurnMode,
    /// `emergency`: so long before its certificates end a node acts without a turn if it cannot ask for one, 24 h.
    pub emergency: Duration,
    /// `notice`: how long into the emergency a node waits that another one's failure holds up, 1 h.
    pub notice: Duration,
    /// `settle`: how long a node keeps its turn after its proof, 5 s.
    pub settle: Duration,
    /// `kubeconfig`: by what the API is asked, else the node's admin.conf. The node's path, without the root.
    pub kubeconfig: Option<PathBuf>,
    /// `fleet-lock-url`: the FleetLock server whose slot is taken before anything is disturbed; `http` or `https`, no path's slash at
    /// the end.
    pub fleet_lock_url: Option<String>,
    /// `fleet-lock-group`: in which group of its, `default` as Zincati's.
    pub fleet_lock_group: String,
    /// `fleet-lock-ca`: the CA certificates that its own is verified by, else the system's.
    pub fleet_lock_ca: Option<PathBuf>,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            mode: TurnMode::Auto,
            emergency: Duration::from_secs(86_400),
            notice: Duration::from_secs(3600),
            settle: Duration::from_secs(5),
            kubeconfig: None,
            fleet_lock_url: None,
            fleet_lock_group: "default".to_owned(),
            fleet_lock_ca: None,
        }
    }
}

/// `turn.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnMode {
    /// By a Lease, where there are several control planes.
    Auto,
    /// None; whoever says so sees to it.
    Off,
}

/// `[hooks]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// `timeout`: how long each hook may run, 30 s.
    pub timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
        }
    }
}

/// `[metrics]`: what Prometheus may know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// `textfile`: the file for the node exporter's textfile collector; `None` writes none. The node's path, without the root.
    pub textfile: Option<PathBuf>,
}

/// `[events]`: Kubernetes Events on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// `enabled`: whether they are written.
    pub enabled: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `[cluster-api]`: for machines that Cluster API has made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterApi {
    /// `kubeconfig`: by what the management cluster is asked; `None` asks none. The node's path, without the root.
    pub kubeconfig: Option<PathBuf>,
}

/// `[backup]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// `keep`: generations kept, 10; at least 1.
    pub keep: usize,
    /// `max-size`: bytes kept in all generations together, 64 MiB; the newest is always kept.
    pub max_bytes: u64,
    /// `max-age`: how long the private keys in them are kept, 90 d, and never beyond the end of their certificates.
    pub max_age: Duration,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            keep: 10,
            max_bytes: 64 * 1024 * 1024,
            max_age: Duration::from_secs(90 * 86_400),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `level`: a tracing filter, `info`.
    pub level: String,
    /// `format`
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// journald under systemd, text otherwise.
    Auto,
    /// journald.
    Journald,
    /// Plain text on stderr.
    Text,
}
