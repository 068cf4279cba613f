//! What can be said of CAs on the command line.

use clap::{Args, Subcommand};

use super::values::{Format, duration};

/// `ca …`
#[derive(Debug, Subcommand)]
pub(super) enum CaAction {
    /// Make new certificates for CAs with the keys that they have, so that everything that they signed stays valid
    ///
    /// Subject, key and key identifier stay, and so does the hash with which nodes join. The new certificate takes the old one's place
    /// in every file and kubeconfig of this node, as one operation, which `kubecertd rollback` takes back. No pod is restarted: what
    /// read the old certificate when it started goes on with it until it ends.
    Extend(Extend),
    /// Show each CA of this node: when it ends, where its certificate lies and who reads it there, and whether it can be extended here
    Status {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// `ca extend`
#[derive(Debug, Args)]
pub(super) struct Extend {
    /// A CA by its name (ca, etcd-ca, front-proxy-ca, or the path of a certificate that the configuration names), or all
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// How long the new certificate lasts [default: 3650d, as kubeadm's]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) validity: Option<std::time::Duration>,
    /// Also restart the pods that read the old certificate when they started
    #[arg(long)]
    pub(super) restart: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also where the clock looks wrong, or what restarts need does not answer
    #[arg(long)]
    pub(super) force: bool,
}
