//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::ca_arguments::CaAction;
use super::credential_arguments::{Csr, KubeconfigAction, KubeconfigCommand, Pki};
use super::kubelet_arguments::KubeletAction;
use super::values::{Format, duration, subject_alt_name};
use crate::config::check_filter;
use crate::pki::SubjectAltName;

/// Renews the certificates of a kubeadm control-plane node, restarts what uses them and proves that it worked
#[derive(Debug, Parser)]
#[command(name = "kubecertd", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// Take every path, /etc/kubernetes included, from below this directory
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    /// Read this configuration and no drop-ins [default: /etc/kubecertd/kubecertd.toml]
    #[arg(long, global = true, value_name = "FILE", env = "KUBECERTD_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug, trace or off
    #[arg(long, global = true, value_name = "LEVEL", env = "KUBECERTD_LOG", value_parser = filter)]
    pub(super) log_level: Option<String>,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// A command of its own file each.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run as the daemon: watch, renew what falls due, restart, prove
    Run {
        /// Do what is due now, then exit
        #[arg(long)]
        once: bool,
    },
    /// Show when the certificates end, in kubeadm's table
    CheckExpiration(CheckExpiration),
    /// Renew certificates now, due or not, and restart what uses them
    Renew(Renew),
    /// Restart static pods by moving their manifests out and back
    Restart {
        /// Static pods, as in `kubecertd plan`: kube-apiserver, etcd, …
        #[arg(required = true, value_name = "COMPONENT")]
        components: Vec<String>,
    },
    /// Show which control plane is being restarted; let the others go on after a failure
    Turn {
        #[command(subcommand)]
        action: Option<TurnAction>,
    },
    /// Show what all control planes say of themselves: when each renews next, and how its last operation ended
    Fleet {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show the requests to CAs whose key is not on this node, and what came for them
    Orders {
        #[command(subcommand)]
        action: Option<OrdersAction>,
    },
    /// Look whether Kubernetes' own signers sign what is approved in the certificates API
    Signer {
        #[command(subcommand)]
        action: SignerAction,
    },
    /// Show certificate requests in the cluster; judge, approve or deny those of kubelets for their serving certificates
    Requests {
        #[command(subcommand)]
        action: Option<RequestsAction>,
    },
    /// Show what is renewed when and why, and which pods that restarts
    Plan {
        /// For this moment instead of now: 2027-05-20T09:00:00Z, or from now: 30d
        #[arg(long, value_name = "TIME", value_parser = moment)]
        at: Option<Timestamp>,
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show what would keep a renewal from being done now, and what to do about it
    Preflight {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show what the running daemon is doing and does next
    Status {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show what was done on this node, newest last
    #[command(args_conflicts_with_subcommands = true)]
    History {
        #[command(subcommand)]
        action: Option<HistoryAction>,
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Put the certificates, keys and kubeconfigs back that an operation replaced
    Rollback(Rollback),
    /// Check or show the configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Let the daemon begin nothing by itself for a while; commands go on, and so does what a certificate that ends soon needs
    Hold {
        /// Why, for whoever looks at the status
        #[arg(value_name = "REASON", value_parser = reason)]
        reason: String,
        /// When it ends by itself: 2027-05-20T09:00:00Z, or from now: 3d
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Timestamp>,
    },
    /// End what `hold` began
    Unhold,
    /// Try the whole renewal on a private copy of the node's files; nothing outside it is changed
    Rehearse {
        /// Use a made-up node, for a machine that is no Kubernetes node
        #[arg(long)]
        sample: bool,
    },
    /// Finish or undo an operation that was cut off, manifests first
    Recover {
        /// Only return manifests that are out; needs nothing but the journal and the file system
        #[arg(long)]
        manifests_only: bool,
        /// Get a node back whose certificates have expired: renew them and the kubelet's client certificate, restart the
        /// kubelet and the control plane, through the container runtime where the kubelet cannot act
        #[arg(long, conflicts_with = "manifests_only")]
        expired: bool,
        /// Only put files and manifests where they belong; restart and ask nobody, now or later
        #[arg(long, conflicts_with_all = ["manifests_only", "expired"])]
        give_up: bool,
        /// With --expired: also where the clock looks wrong
        #[arg(long, requires = "expired")]
        force: bool,
    },
    /// Make the CAs of this node last longer, with the keys that they have; show where their certificates lie
    Ca {
        #[command(subcommand)]
        action: CaAction,
    },
    /// Care for the kubelet's own certificates
    Kubelet {
        #[command(subcommand)]
        action: KubeletAction,
    },
    /// Have the credentials of a control plane signed elsewhere: keys and requests, signing, putting in place
    Csr(Csr),
    /// Make authorities, certificates and kubeconfigs of a new control plane
    Pki(Pki),
    /// Make kubeconfigs for further users, and show who has one
    Kubeconfig(KubeconfigCommand),
    /// Make what other programs read, from what is on this node
    Generate {
        #[command(subcommand)]
        kind: Generated,
    },
}

impl Command {
    /// Whether it does something to the node, so that the journal has to have it.
    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::Run { .. }
            | Self::Restart { .. }
            | Self::Recover { .. }
            | Self::Hold { .. }
            | Self::Unhold => true,
            Self::Turn { action } => matches!(action, Some(TurnAction::Clear)),
            Self::Orders { action } => matches!(action, Some(OrdersAction::Cancel { .. })),
            Self::Requests { action } => matches!(
                action,
                Some(RequestsAction::Approve { .. } | RequestsAction::Deny { .. })
            ),
            Self::Renew(options) => !options.dry_run,
            Self::Kubelet { action } => !action.is_dry_run(),
            Self::Ca { action } => matches!(action, CaAction::Extend(options) if !options.dry_run),
            Self::Rollback(options) => !options.dry_run,
            Self::CheckExpiration(_)
            | Self::Fleet { .. }
            | Self::Signer { .. }
            | Self::Plan { .. }
            | Self::Preflight { .. }
            | Self::Status { .. }
            | Self::History { .. }
            | Self::Config { .. }
            | Self::Rehearse { .. }
            | Self::Generate { .. } => false,
            Self::Csr(_) | Self::Pki(_) => true,
            Self::Kubeconfig(command) => matches!(command.action, KubeconfigAction::User(_)),
        }
    }
}

/// `turn`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(super) enum TurnAction {
    /// Show which control plane has its turn, and which has failed (the default); exits with 1 after a failure
    Show,
    /// Let the other control planes go on: what has failed was looked at
    Clear,
}

/// `signer …`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(super) enum SignerAction {
    /// Show what keeps this node's controller-manager from signing, without opening its key; exits with 1 if anything does
    Check {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

/// `orders …`
#[derive(Debug, Subcommand)]
pub(super) enum OrdersAction {
    /// Show the open requests (the default); exits with 1 if something else than answers to them came
    List {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print one request, to be signed
    Show {
        /// The certificate (apiserver) or the request (apiserver-1a2b3c4d)
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// End one and forget its key: what is signed for it is of no use then
    Cancel {
        /// The certificate or the request
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `requests …`
#[derive(Debug, Subcommand)]
pub(super) enum RequestsAction {
    /// Show all requests, as `kubectl get csr` does (the default)
    List {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show what each of the approver's checks says of a request; exits with 1 if one does not pass
    Review {
        /// The request
        #[arg(value_name = "NAME")]
        name: String,
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Approve a request that passes every check
    Approve {
        /// The request
        #[arg(value_name = "NAME")]
        name: String,
        /// Also one that does not pass, or that is for another signer
        #[arg(long)]
        force: bool,
    },
    /// Deny a request, which stands for good
    Deny {
        /// The request
        #[arg(value_name = "NAME")]
        name: String,
        /// Why, for whoever looks at the request
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
}

/// `check-expiration`
#[derive(Debug, Args)]
pub(super) struct CheckExpiration {
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub(super) output: StructuredFormat,
    /// Also the kubelet's certificates, unknown ones, and when each really ends (leaf, chain and CA)
    #[arg(long)]
    pub(super) all: bool,
    /// Exit with 1 if something ends within this time (30d), with 2 if that cannot be told
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) within: Option<std::time::Duration>,
}

/// `renew`
#[derive(Debug, Args)]
pub(super) struct Renew {
    /// Certificates by kubeadm's names (see check-expiration), or all; with --san-from-config those that lack a name, if none is given
    #[arg(required_unless_present = "san_from_config", value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Put these names or addresses into the new server certificates as well; later renewals keep them
    #[arg(long, value_name = "SAN", value_delimiter = ',', value_parser = subject_alt_name)]
    pub(super) add_san: Vec<SubjectAltName>,
    /// The same with the names that manifests, kubeconfigs, the node and the cluster's kubeadm-config call for (see plan)
    #[arg(long, conflicts_with = "add_san")]
    pub(super) san_from_config: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also where the new certificate would not end later than the old one, the clock looks wrong, or what restarts need does
    /// not answer
    #[arg(long)]
    pub(super) force: bool,
    /// Leave the restart of the static pods to somebody else
    #[arg(long)]
    pub(super) no_restart: bool,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub(super) enum ConfigAction {
    /// Check the configuration; says file, line and what would be right
    Check {
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show every option with its value and the file that set it
    Show,
}

/// `rollback`
#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The operation, or the beginning of its name (see `kubecertd history`), or last: the newest whose files can be put back
    #[arg(value_name = "ID")]
    pub(super) id: String,
    /// Only say what would be put back
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Output format of --dry-run
    #[arg(short, long, value_enum, default_value_t, requires = "dry_run")]
    pub(super) output: Format,
    /// Also past later operations, and what is not valid now, ends within a day or lacks something that the present
    /// certificate has
    #[arg(long)]
    pub(super) force: bool,
    /// Leave the restart of the static pods to somebody else
    #[arg(long)]
    pub(super) no_restart: bool,
}

/// `history …`
#[derive(Debug, Subcommand)]
pub(super) enum HistoryAction {
    /// Show everything about one operation, and whether its backup is still kept
    Show {
        /// The operation, or the beginning of its name
        #[arg(value_name = "ID")]
        id: String,
        /// Output format
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// Check that no receipt was changed, removed or moved
    Verify,
}

/// As kubeadm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum StructuredFormat {
    /// kubeadm's table
    #[default]
    Text,
    /// kubeadm's JSON (output.kubeadm.k8s.io/v1alpha3)
    Json,
    /// kubeadm's YAML
    Yaml,
}

/// `generate …`
#[derive(Debug, Subcommand)]
pub(super) enum Generated {
    /// Print a drop-in for kubecertd.service that lets it reach the addresses it needs and no other
    ///
    /// The addresses are those of this node's static pods and kubelet, of the servers that its kubeconfigs name, of the other
    /// control planes, and of the name servers if one of these is a name. The other control planes are those that this node's
    /// etcd knows, or its API server where etcd runs elsewhere; where it does not answer, and with --root, those that etcd's
    /// manifest names. A name counts with every address that it has now; one that cannot be resolved ends the command, and nothing
    /// is printed. Make the drop-in again when a control plane joins or an address changes: preflight and the daemon warn when it
    /// does not allow what is needed.
    AddressFilter,
    /// Write man pages, for packages
    #[command(hide = true)]
    Man {
        /// Where
        directory: PathBuf,
    },
    /// Write shell completions, for packages
    #[command(hide = true)]
    Completions {
        /// Where
        directory: PathBuf,
    },
}

fn filter(text: &str) -> Result<String, String> {
    check_filter(text).map(|()| text.to_owned())
}

/// A sentence on one line.
fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("say why, for whoever looks at the status".to_owned())
    } else if text.chars().count() > 500 {
        Err("longer than 500 letters; say it in a sentence".to_owned())
    } else if text.chars().any(char::is_control) {
        Err("has control characters or line breaks in it".to_owned())
    } else {
        Ok(text.trim().to_owned())
    }
}

/// A moment, or a duration from now.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        return date
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map(|zoned| zoned.timestamp())
            .map_err(|error| error.to_string());
    }
    let from_now = duration(text.trim_start_matches('+')).map_err(|_| {
        format!("{text:?} is no moment; write 2027-05-20T09:00:00Z, 2027-05-20 or 30d from now")
    })?;
    crate::host::now()
        .checked_add(from_now)
        .map_err(|_| format!("{text:?} is too far away"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn moments_and_durations() {
        assert_eq!(duration("30d").unwrap().as_secs(), 720 * 3600);
        assert!(duration("1y").is_err());
        assert!(duration("-1h").is_err());
        assert!(moment("2027-05-20T09:00:00Z").is_ok());
        assert!(moment("2027-05-20").is_ok());
        assert!(moment("30d").unwrap() > Timestamp::now());
        assert!(moment("soon").is_err());
    }
}
