//! The value that planning yields.

use jiff::Timestamp;

use super::note::Note;
use super::obstacle::Obstacle;
use super::order::{RestartGroup, RestartMethod};
use super::reason::Reason;
use crate::node::{CertificateId, PodRef, Problem};
use crate::pki::AuthorityId;

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
        /// As a person calls them.
        names: Vec<String>,
        /// As for `All`; also those that `renewal.skip` names.
        force: bool,
        /// Those of them that get more names, for which they may end no later than the old ones.
        for_names: Vec<String>,
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
    /// The restarts, in order; empty with `restart.mode = none`. With `when-needed` all that may turn out to be needed.
    pub restarts: Vec<RestartGroup>,
    /// Of the affected pods, those that are expected to read their new files by themselves, with `restart.mode = when-needed`.
    pub rereading: Vec<PodRef>,
    /// The restarts that are left if they do.
    pub expected: Vec<RestartGroup>,
    /// How they are restarted.
    pub method: RestartMethod,
    /// Certificates that earlier operations put in place and that are still to be proved in use.
    pub adopted_proofs: Vec<CertificateId>,
    /// Certificates whose users an earlier operation left to be told of.
    pub adopted_users: Vec<CertificateId>,
    /// The earliest moment at which the daemon will renew something that is not renewed now, as things stand, and the first
    /// that it will renew then.
    pub next_due: Option<(Timestamp, CertificateId)>,
    /// Files of the manifest directory that cannot be read: a pod in one of them may use a file that is to be renewed, and is
    /// neither restarted nor proved.
    pub unread_manifests: Vec<Problem>,
}

impl Plan {
    /// The certificates that are renewed.
    #[must_use]
    pub fn renewed(&self) -> Vec<&CertificateId> {
        self.items
            .iter()
            .filter(|item| matches!(item.action, Action::Renew(_)))
            .map(|item| &item.id)
            .collect()
    }
}

/// What is to happen to one certificate.
#[derive(Debug, Clone)]
pub struct PlanItem {
    /// Which.
    pub id: CertificateId,
    /// Its authority.
    pub authority: Option<AuthorityId>,
    /// When it ends, if it could be read.
    pub not_after: Option<Timestamp>,
    /// When its renewal is due; `None` where nobody here renews it.
    pub due_at: Option<Timestamp>,
    /// What is done now.
    pub action: Action,
    /// What is to be known of its renewal, now or when it is due: where the new one differs from the old one, and what
    /// cannot be checked.
    pub notes: Vec<Note>,
    /// Who does not trust the CA that will sign it, or is made to.
    pub trust_notes: Vec<Note>,
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

/// A static pod that uses renewed files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedPod {
    /// Which.
    pub pod: PodRef,
    /// The certificates on whose account.
    pub certificates: Vec<CertificateId>,
}
