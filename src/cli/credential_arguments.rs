//! What can be said of `csr`, `pki` and `kubeconfig`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::{Format, duration};

/// `csr`
#[derive(Debug, Args)]
pub(super) struct Csr {
    // Takes the place of the flag of all other commands, whose name kubeadm has for its own configuration.
    /// kubecertd's own configuration [default: /etc/kubecertd/kubecertd.toml]
    #[arg(id = "config", long = "kubecertd-config", value_name = "FILE")]
    pub(super) own_config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) action: CsrAction,
}

/// `csr …`
#[derive(Debug, Subcommand)]
pub(super) enum CsrAction {
    /// Make a key and a request for each credential of a control plane, as `kubeadm certs generate-csr`
    ///
    /// In the certificates directory .csr and .key for each certificate, in the other one .conf (with the key) and .conf.csr for each
    /// kubeconfig, kubelet.conf among them. Nothing is written if one of the files is there already. The requests ask for the usages
    /// that each certificate needs.
    Generate(CsrGenerate),
    /// Sign the requests with the authorities' keys: the script of kubeadm's page
    ///
    /// Each request is checked before any is signed: its signature, and that it asks for what its file's name says and no more. The
    /// files with serial numbers (.srl) are continued or begun as openssl does it.
    Sign(CsrSign),
    /// Check the signed certificates, and embed those of kubeconfigs
    Install(CsrInstall),
    /// Remove requests whose certificates are in place, and .conf.crt files that are embedded
    Clean(CsrClean),
}

/// Where the credentials are.
#[derive(Debug, Args)]
pub(super) struct CredentialPlaces {
    /// Where certificates, keys and their requests are [default: /etc/kubernetes/pki, or certificatesDir of --config]
    #[arg(long, value_name = "DIR")]
    pub(super) cert_dir: Option<PathBuf>,
    /// Where kubeconfigs and their requests are [default: /etc/kubernetes]
    #[arg(long, value_name = "DIR")]
    pub(super) kubeconfig_dir: Option<PathBuf>,
}

/// `csr generate`
#[derive(Debug, Args)]
pub(super) struct CsrGenerate {
    #[command(flatten)]
    pub(super) places: CredentialPlaces,
    /// kubeadm's configuration: ClusterConfiguration and InitConfiguration [default: kubeadm's defaults on this machine]
    #[arg(id = "kubeadm-config", long = "config", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Prepare a renewal: subject, names and usages are those of this node's certificates, and the files go to /etc/kubernetes/renewal
    #[arg(long, conflicts_with = "kubeadm-config")]
    pub(super) from_existing: bool,
    /// Only this one (apiserver, admin.conf, kubelet.conf …); may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) only: Vec<String>,
}

/// `csr sign`
#[derive(Debug, Args)]
pub(super) struct CsrSign {
    #[command(flatten)]
    pub(super) places: CredentialPlaces,
    /// Where the authorities' certificates, keys and .srl files are [default: the certificates directory]
    #[arg(long, value_name = "DIR")]
    pub(super) ca_dir: Option<PathBuf>,
    /// How long the certificates are valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(super) days: u32,
    /// Sign only names that follow from this configuration of kubeadm's
    #[arg(id = "kubeadm-config", long = "config", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Also system:masters: in super-admin.conf, and where clusters older than 1.29 have it
    #[arg(long)]
    pub(super) allow_system_masters: bool,
    /// Also kubeadm:cluster-admins for apiserver-kubelet-client, as clusters older than 1.36.1 have it, where no configuration says it
    #[arg(long)]
    pub(super) allow_cluster_admins: bool,
    /// Only the request of this one (apiserver, admin.conf, kubelet.conf …); may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) only: Vec<String>,
}

/// `csr install`
#[derive(Debug, Args)]
pub(super) struct CsrInstall {
    #[command(flatten)]
    pub(super) places: CredentialPlaces,
    /// Where the authorities' certificates are [default: the certificates directory]
    #[arg(long, value_name = "DIR")]
    pub(super) ca_dir: Option<PathBuf>,
    /// Also system:masters where clusters older than 1.29 have it
    #[arg(long)]
    pub(super) allow_system_masters: bool,
}

/// `csr clean`
#[derive(Debug, Args)]
pub(super) struct CsrClean {
    #[command(flatten)]
    pub(super) places: CredentialPlaces,
    /// Also requests whose certificate is not in place
    #[arg(long)]
    pub(super) unsigned: bool,
}

/// `pki`
#[derive(Debug, Args)]
pub(super) struct Pki {
    /// kubecertd's own configuration [default: /etc/kubecertd/kubecertd.toml]
    #[arg(id = "config", long = "kubecertd-config", value_name = "FILE")]
    pub(super) own_config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) action: PkiAction,
}

/// `pki …`
#[derive(Debug, Subcommand)]
pub(super) enum PkiAction {
    /// Make what is missing, as `kubeadm init phase certs` and `init phase kubeconfig`; what is there is checked and kept
    ///
    /// Names: ca, etcd-ca, front-proxy-ca, sa, the certificates and kubeconfigs by kubeadm's names; all for everything in the
    /// certificates directory, kubeconfigs for all kubeconfigs. What is there has to be sound: the right authority's, with its key,
    /// valid now. Where it differs from the configuration that is said, and it is kept.
    Init(PkiInit),
}

/// `pki init`
#[derive(Debug, Args)]
pub(super) struct PkiInit {
    /// ca, etcd-ca, front-proxy-ca, sa, apiserver, admin.conf, …, all or kubeconfigs
    #[arg(required = true, value_name = "NAME")]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) places: CredentialPlaces,
    /// kubeadm's configuration: ClusterConfiguration and InitConfiguration [default: kubeadm's defaults on this machine]
    #[arg(id = "kubeadm-config", long = "config", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// `kubeconfig`
#[derive(Debug, Args)]
pub(super) struct KubeconfigCommand {
    /// kubecertd's own configuration [default: /etc/kubecertd/kubecertd.toml]
    #[arg(id = "config", long = "kubecertd-config", value_name = "FILE")]
    pub(super) own_config: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) action: KubeconfigAction,
}

/// `kubeconfig …`
#[derive(Debug, Subcommand)]
pub(super) enum KubeconfigAction {
    /// Print a kubeconfig with a new certificate for a user, as `kubeadm kubeconfig user`
    ///
    /// Server and name of the cluster are those of kubeadm's configuration (--config), else of this node's admin.conf. What is issued
    /// is recorded, see `kubecertd kubeconfig list`.
    User(KubeconfigUser),
    /// Show who got a certificate, until when, and its serial number
    List {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// A bearer token: wiped when dropped, and never shown.
#[derive(Clone)]
pub(super) struct Token(pub(super) zeroize::Zeroizing<String>);

impl std::str::FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(zeroize::Zeroizing::new(text.to_owned())))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// `kubeconfig user`
#[derive(Debug, Args)]
pub(super) struct KubeconfigUser {
    /// Who: the certificate's common name
    #[arg(long, value_name = "NAME")]
    pub(super) client_name: String,
    /// A group of the user's (organization); may be repeated
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub(super) org: Vec<String>,
    /// How long the certificate is valid: 24h, 30d [default: the configuration's, else a year]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) validity_period: Option<std::time::Duration>,
    /// A token in place of a certificate
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["org", "validity_period"])]
    pub(super) token: Option<Token>,
    /// kubeadm's configuration
    #[arg(id = "kubeadm-config", long = "config", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where the authority's certificate and key are [default: the configuration's certificatesDir, else this node's]
    #[arg(long, value_name = "DIR")]
    pub(super) cert_dir: Option<PathBuf>,
    /// Write to this new file, mode 0600, in place of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Allow the group system:masters, whose members no role limits
    #[arg(long)]
    pub(super) allow_system_masters: bool,
}
