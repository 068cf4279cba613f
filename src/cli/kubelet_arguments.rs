//! What can be said of `kubelet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::validity;

/// `kubelet …`
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(super) enum KubeletAction {
    /// Make its client certificate anew where it should have done so itself, and have kubelet.conf refer to the one that it renews;
    /// restarts the kubelet, and no pod
    Repair {
        /// Show what would be done, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Also where the clock looks wrong, or the API server does not answer
        #[arg(long)]
        force: bool,
    },
    /// Make what a worker needs that was off until its kubelet's certificate had ended: one file, for `kubelet accept` there
    ///
    /// A kubeconfig with a new key and a certificate of that node's kubelet, signed by this node's CA, with the server of admin.conf.
    /// Whoever has it acts as that node: take it there by a way that nobody else reads. What is issued is recorded, see
    /// `kubecertd kubeconfig list`.
    Issue(KubeletIssue),
    /// Take what `kubelet issue` made for this node on a control plane, and restart the kubelet with it
    ///
    /// Taken is only what is for this node, valid now and signed by a CA that this node trusts already, with the server that kubelet.conf
    /// has. The file is removed when that is done.
    Accept(KubeletAccept),
    /// Have the kubelet ask the cluster for its serving certificate, or no more: on this node and in the cluster's kubelet-config
    ServingBootstrap {
        #[command(subcommand)]
        action: BootstrapAction,
    },
}

/// `kubelet serving-bootstrap …`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(super) enum BootstrapAction {
    /// Set serverTLSBootstrap, restart the kubelet, approve its request where it passes every check, and see what it serves
    Enable(BootstrapOptions),
    /// Take it back: the kubelet serves the certificate that it made itself
    Disable(BootstrapOptions),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub(super) struct BootstrapOptions {
    /// Show the difference, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also where the clock looks wrong, or the API server does not answer
    #[arg(long)]
    pub(super) force: bool,
}

impl BootstrapAction {
    /// Whether it is to be set, and how.
    pub(super) fn wanted(self) -> (bool, BootstrapOptions) {
        match self {
            Self::Enable(options) => (true, options),
            Self::Disable(options) => (false, options),
        }
    }
}

/// `kubelet issue`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(super) struct KubeletIssue {
    /// The node's name, as `kubectl get nodes` shows it
    #[arg(value_name = "NODE")]
    pub(super) node: String,
    /// Write to this new file, mode 0600, in place of standard output
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// How long the certificate is valid: 24h, 30d; the kubelet renews it [default: renewal.validity]
    #[arg(long, value_name = "DURATION", value_parser = validity)]
    pub(super) validity: Option<Duration>,
    /// Also for this node itself, or another control plane
    #[arg(long)]
    pub(super) force: bool,
}

/// `kubelet accept`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(super) struct KubeletAccept {
    /// The file: root's own, mode 0600
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also where only the file brings the CA that signed it, it leads to another server, or ends no later than the present one
    #[arg(long)]
    pub(super) force: bool,
}

impl KubeletAction {
    /// Whether nothing is changed.
    pub(super) fn is_dry_run(&self) -> bool {
        match self {
            Self::Repair { dry_run, .. } => *dry_run,
            Self::Issue(_) => false,
            Self::Accept(options) => options.dry_run,
            Self::ServingBootstrap { action } => action.wanted().1.dry_run,
        }
    }
}
