//! The value that planning yields.

use std::path::PathBuf;

use jiff::Timestamp;

use super::order::{RestartGroup, RestartMethod};
use super::reason::Reason;
use super::trust::Refusal;
use crate::node::Problem;
use crate::pki::AuthorityName;

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The daemon: whatever is due.
    Due,
    /// By hand: whatever is due or has expired, also while the daemon is to watch only.
    DueByHand {
        /// Also where the clock looks wrong.
        force: bool,
    },
    /// By hand: everything that can be renewed, due or not.
    All {
        /// Also where the new certificate would not end later.
        force: bool,
    },
    /// By hand: these, due or not.
    Named {
        /// kubeadm's names.
        names: Vec<String>,
        /// As for `All`; also those that `renewal.skip` names.
        force: bool,
    },
}

/// A name that is no certificate of this node.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("no certificate is called {name:?}{}", nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
pub struct UnknownName {
    /// What was asked for.
    pub name: String,
    /// The most similar name there is.
    pub nearest: Option<String>,
}

/// What is to be done at a moment.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The moment it was made for.
    pub at: Timestamp,
    /// One per entry of the inventory, in its order.
    pub items: Vec<PlanItem>,
    /// Static pods that use a file which is to be renewed.
    pub affected: Vec<AffectedPod>,
    /// The restarts, in order; empty with `restart.mode = none`.
    pub restarts: Vec<RestartGroup>,
    /// How they are restarted.
    pub method: RestartMethod,
    /// Certificates that earlier operations put in place and that are still to be proved in use.
    pub adopted_proofs: Vec<String>,
    /// The earliest moment at which the daemon will renew something that is not renewed now, as things stand, and the first
    /// that it will renew then.
    pub next_due: Option<(Timestamp, String)>,
    /// Files of the manifest directory that cannot be read: a pod in one of them may use a file that is to be renewed, and is
    /// neither restarted nor proved.
    pub unread_manifests: Vec<Problem>,
}

impl Plan {
    /// The certificates that are renewed, by name.
    #[must_use]
    pub fn renewed(&self) -> Vec<&str> {
        self.items
            .iter()
            .filter(|item| matches!(item.action, Action::Renew(_)))
            .map(|item| item.name.as_str())
            .collect()
    }
}

/// What is to happen to one certificate.
#[derive(Debug, Clone)]
pub struct PlanItem {
    /// The entry's name.
    pub name: String,
    /// Its authority.
    pub authority: Option<AuthorityName>,
    /// When it ends, if it could be read.
    pub not_after: Option<Timestamp>,
    /// When its renewal is due; `None` where nobody here renews it.
    pub due_at: Option<Timestamp>,
    /// What is done now.
    pub action: Action,
    /// What is to be known of its renewal, now or when it is due: where the new one differs from the old one, and what
    /// cannot be checked. One sentence each, which goes on from its name.
    pub notes: Vec<String>,
    /// Who does not trust the CA that will sign it, or is made to. One sentence each, likewise.
    pub trust_notes: Vec<String>,
}

/// What is done with a certificate now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Renew it.
    Renew(Reason),
    /// Nothing is due, or others were asked for.
    Wait,
    /// It is not renewed, although it might be wanted.
    Leave(Obstacle),
}

/// Why a certificate is not renewed. [`std::fmt::Display`] says it with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such file.
    Missing,
    /// It cannot be read: path and reason.
    Unreadable(String),
    /// One of its files must not be replaced: path and reason.
    NotReplaceable(String),
    /// The authority's key is not on this node.
    ExternalAuthority(AuthorityName),
    /// Its kubeconfig is written so that nothing can be put into it in place: construct and line.
    NotEditable(String),
    /// The local authority did not sign it: the issuer's name.
    ForeignIssuer(String),
    /// The authority cannot sign: what is wrong with it.
    AuthorityUnusable(String),
    /// The authority's key, or the certificate's that is to be kept, is of a kind that cannot be used here: which, and what
    /// to do.
    NotSupported(String),
    /// One that checks it does not trust the CA that would sign it, and accepts the present one.
    NotTrusted(Box<Refusal>),
    /// The authority ends so early, at that moment, that a new certificate would be due again at once, or not end later than
    /// the old one.
    AuthorityEndsTooSoon(Timestamp),
    /// The configured validity is so short that the new one would end at that moment, no later than the old one.
    WouldNotEndLater(Timestamp),
    /// It was made less than a minimum time ago, so renewing it again would be a loop: not before that moment.
    RenewedJustNow(Timestamp),
    /// Somebody rolled it back by hand, which the daemon does not undo before that moment.
    RolledBack(Timestamp),
    /// The configuration says `renewal.skip`.
    Skipped,
    /// It is due, but the configuration says `renewal.enabled = false`.
    Disabled,
    /// It is the kubelet's own and has ended, so that the kubelet can neither start nor renew it: why, and what does.
    NeedsRecovery(String),
    /// The kubelet renews it itself, or nobody told kubecertd how.
    NotManaged,
}

/// A static pod that uses renewed files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedPod {
    /// Its component.
    pub component: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The certificates, by name, on whose account.
    pub certificates: Vec<String>,
}
