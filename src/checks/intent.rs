//! What is about to be done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::{CertificateUser, Config, Renewal};
use crate::host::shifted;
use crate::node::{CertificateId, Entry, Inventory};
use crate::plan::{Action, Plan, Reason, RestartGroup, due_at, longest};

/// Doubts have no force any more when a certificate ends within this time, however short its life is.
const LAST_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Who asked, which decides what may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The daemon, which can come back later.
    BySchedule,
    /// Somebody who looks at the answer.
    ByHand {
        /// With `--force`: whoever asks knows better than the clock.
        force: bool,
    },
}

/// The files that an operation changes, and how long it can wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intent {
    /// Files to be replaced. Real paths; links are followed by whoever looks at them.
    pub targets: BTreeSet<PathBuf>,
    /// Manifests to be moved out and back.
    pub manifests: BTreeSet<PathBuf>,
    /// Until when it can wait; `None` when nothing ends.
    pub deadline: Option<Deadline>,
    /// The certificate that ends first, and when; `None` when nothing ends.
    pub first_end: Option<(CertificateId, Timestamp)>,
    /// The certificate for whose sake windows and holds lose their force first, its end, and when they do.
    pub overridden: Option<Overridden>,
    /// How long the operation may take at most, as far as that is known.
    pub longest: Duration,
    /// Whether one of them is of no use to anybody now: what uses it need not be well.
    pub broken: bool,
    /// Whether a certificate with a file that cannot be replaced is left out, and the others are not.
    pub separable: bool,
    /// Who is told of certificates that are not kubeadm's, and of which.
    pub users: BTreeMap<CertificateUser, Vec<CertificateId>>,
}

/// How long a renewal can wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// The certificate that can wait least.
    pub certificate: CertificateId,
    /// When it ends, or its authority.
    pub ends: Timestamp,
    /// When waiting is over: two thirds of the time that `renewal.before` leaves are gone.
    pub patience_ends: Timestamp,
}

/// When windows and holds no longer hold a renewal back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The certificate that ends too soon.
    pub certificate: CertificateId,
    /// When it ends, or its authority.
    pub ends: Timestamp,
    /// From when on: `renewal.window-override` before the end, or in the second half of the time in which it is due, where that
    /// is later.
    pub from: Timestamp,
}

impl Deadline {
    /// Whether doubts have lost their force.
    #[must_use]
    pub fn is_near(&self, now: Timestamp) -> bool {
        self.patience_ends <= now || self.ends.duration_since(now) <= LAST_DAY
    }
}

impl Intent {
    /// What a plan changes. `restart`: whether pods are restarted at all.
    #[must_use]
    pub fn of(inventory: &Inventory, plan: &Plan, config: &Config, restart: bool) -> Self {
        let renewal = &config.renewal;
        let entries: Vec<&Entry> = plan
            .items
            .iter()
            .filter(|item| matches!(item.action, Action::Renew(_)))
            .filter_map(|item| inventory.entry(&item.id))
            .collect();
        let manifests = plan
            .restarts
            .iter()
            .filter(|_| restart)
            .flat_map(RestartGroup::pods)
            .map(|pod| pod.manifest.clone());
        Self {
            manifests: manifests.collect(),
            longest: longest(if restart { &plan.restarts } else { &[] }, &config.restart),
            broken: plan.items.iter().any(|item| {
                matches!(
                    item.action,
                    Action::Renew(Reason::Expired | Reason::NotYetValid | Reason::KeyUnusable)
                )
            }),
            separable: true,
            users: if restart {
                users(inventory, plan.renewed())
            } else {
                BTreeMap::new()
            },
            ..Self::of_entries(inventory, &entries, renewal)
        }
    }

    /// What replacing the files of these changes, and how long that can wait.
    #[must_use]
    pub fn of_entries(inventory: &Inventory, entries: &[&Entry], renewal: &Renewal) -> Self {
        let before = |entry: &Entry| renewal.of(entry.id.as_str()).before;
        Self {
            targets: entries
                .iter()
                .flat_map(|entry| [Some(&entry.certificate_path), entry.key_path.as_ref()])
                .flatten()
                .cloned()
                .collect(),
            deadline: entries
                .iter()
                .filter_map(|entry| deadline(inventory, entry, before(entry)))
                .min_by_key(|deadline| deadline.patience_ends),
            first_end: entries
                .iter()
                .filter_map(|entry| Some((entry.id.clone(), ends(inventory, entry)?)))
                .min_by_key(|(_, ends)| *ends),
            overridden: entries
                .iter()
                .filter_map(|entry| overridden(inventory, entry, renewal))
                .min_by_key(|one| one.from),
            ..Self::default()
        }
    }

    /// The certificate that ends first, where that is within a day or past: from then on nothing that others can bring about
    /// keeps the daemon from acting.
    #[must_use]
    pub fn last_day(&self, now: Timestamp) -> Option<&(CertificateId, Timestamp)> {
        self.first_end
            .as_ref()
            .filter(|(_, ends)| ends.duration_since(now) <= LAST_DAY)
    }

    /// Whether pods are restarted and no certificate is made.
    #[must_use]
    pub fn only_restarts(&self) -> bool {
        self.targets.is_empty() && !self.manifests.is_empty()
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.manifests.is_empty()
    }
}

/// When it ends, or its authority.
fn ends(inventory: &Inventory, entry: &Entry) -> Option<Timestamp> {
    let present = entry.present()?;
    let leaf = &present.leaf;
    let authority = entry
        .authority
        .and_then(|name| inventory.authority(name)?.signer_of_present(present));
    Some(authority.map_or(leaf.not_after, |authority| {
        leaf.not_after.min(authority.not_after)
    }))
}

fn deadline(inventory: &Inventory, entry: &Entry, before: Duration) -> Option<Deadline> {
    let ends = ends(inventory, entry)?;
    let margin = ends.duration_since(due_at(entry.present()?, ends, before));
    Some(Deadline {
        certificate: entry.id.clone(),
        ends,
        patience_ends: shifted(ends, -(margin / 3)),
    })
}

fn overridden(inventory: &Inventory, entry: &Entry, renewal: &Renewal) -> Option<Overridden> {
    let ends = ends(inventory, entry)?;
    let before = renewal.of(entry.id.as_str()).before;
    let margin = ends.duration_since(due_at(entry.present()?, ends, before));
    let overridden = SignedDuration::try_from(renewal.window_override);
    let overridden = overridden.unwrap_or(SignedDuration::MAX);
    Some(Overridden {
        certificate: entry.id.clone(),
        ends,
        from: shifted(ends, -overridden.min(margin / 2)),
    })
}

/// Who is told of these certificates.
#[must_use]
pub fn users<'a>(
    inventory: &Inventory,
    certificates: impl IntoIterator<Item = &'a CertificateId>,
) -> BTreeMap<CertificateUser, Vec<CertificateId>> {
    let mut users: BTreeMap<CertificateUser, Vec<CertificateId>> = BTreeMap::new();
    for entry in certificates
        .into_iter()
        .filter_map(|id| inventory.entry(id))
    {
        if let Some(described) = &entry.described {
            let user = described.description.user.clone();
            users.entry(user).or_default().push(entry.id.clone());
        }
    }
    users
}
