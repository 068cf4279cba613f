//! Putting the files of an earlier operation back, by hand: an operation like any other, with its own backup.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::carry_out::{Change, carry_out, unwanted};
use super::context::ROLLBACK;
use super::hand_over::Inherited;
use super::past::Past;
use super::preflight::{look_ahead, permit, preflight_for, take_lock};
use super::recover::finish_recovery;
use super::restored::{EndsSoon, Restored, restored};
use super::{Context, Event, OperationError, Options, RenewalReport};
use crate::checks::{Asked, Intent};
use crate::files::{Generation, contents, generations};
use crate::journal::Trigger;
use crate::node::{Inventory, Replaceable};
use crate::plan::{Plan, RestartGroup, affected_pods, restart_groups};
use crate::report::RenewedCertificate;

/// Why nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// No such generation is kept.
    #[error("no backup of an operation {id:?} is kept{}", alternatives(.kept))]
    NotKept {
        /// What was asked for.
        id: String,
        /// Those that are, oldest first.
        kept: Vec<String>,
    },
    /// Several generations' ids begin so.
    #[error("{id:?} is the beginning of several operations: {}; say more of it", .matching.join(", "))]
    Ambiguous {
        /// What was asked for.
        id: String,
        /// What it may mean.
        matching: Vec<String>,
    },
    /// It held no certificate.
    #[error(
        "operation {0} changed no certificate, so there is nothing to put back; its manifests only went out and back"
    )]
    NothingInIt(String),
    /// Nothing is kept that is not in place already.
    #[error(
        "no operation is kept whose files could be put back: each is undone already, changed no certificate, or has lost its \
         keys to backup.max-age; see `kubecertd history`"
    )]
    NoLast,
    /// Something stands against it.
    #[error("{}; nothing was changed", .0.join("; "))]
    Refused(Vec<String>),
}

fn alternatives(ids: &[String]) -> String {
    if ids.is_empty() {
        "; none is".to_owned()
    } else {
        format!("; there are those of {}", ids.join(", "))
    }
}

/// Stands for the newest operation whose files can be put back.
pub const LAST: &str = "last";

/// What putting a generation back means.
#[derive(Debug)]
pub struct RollBack {
    /// The operation whose files go back.
    pub id: String,
    /// What that operation was, in words: what asked for it and when; empty where its receipt is gone.
    pub was: String,
    /// Certificates that change, by name: from which serial and end to which.
    pub certificates: Vec<RenewedCertificate>,
    /// The pods that are restarted, by component.
    pub components: Vec<String>,
    /// What stands against it, one sentence each; with any of them nothing is put back.
    pub obstacles: Vec<String>,
    /// What is to be known besides.
    pub warnings: Vec<String>,
    restored: Vec<Restored>,
    plan: Plan,
}

impl RollBack {
    /// Looks at the generation whose id begins with `id`, or at the newest that can be put back for [`LAST`], and at what
    /// stands against putting it back. `force` lifts what can be a person's choice: a certificate that is not valid, about to
    /// end or lacks something, later operations, and certificates that have lost their keys, which then stay.
    ///
    /// # Errors
    /// [`OperationError::RollBack`], or what reading the backup gives.
    pub fn prepare(
        context: &Context,
        inventory: &Inventory,
        id: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<Self, OperationError> {
        let all = generations(&context.store())?;
        let past = Past::read(context, &all);
        let generation = if id == LAST {
            newest(context, inventory, all)?
        } else {
            find(all, id)?
        };
        let kept = contents(&context.store(), &generation.id)?;
        let (all, mut warnings) = restored(&context.root, inventory, kept);
        if all.is_empty() && warnings.is_empty() {
            return Err(RollBackError::NothingInIt(generation.id).into());
        }
        let (unchanged, mut changed): (Vec<Restored>, Vec<Restored>) =
            all.into_iter().partition(Restored::is_in_place);
        warnings.extend(
            unchanged
                .iter()
                .map(|one| format!("{} is as it was before that operation", one.name)),
        );
        if force && changed.iter().any(|one| one.key_removed().is_none()) {
            let (lost, left) = changed
                .into_iter()
                .partition(|one| one.key_removed().is_some());
            changed = left;
            let lost: Vec<Restored> = lost;
            let said = lost.iter().filter_map(|one| {
                let reason = one.obstacle(inventory, force, now)?;
                Some((one.name.clone(), format!("{reason}; it stays as it is")))
            });
            warnings.extend(by_reason(said));
        }
        let mut obstacles = by_reason(changed.iter().filter_map(|one| {
            let reason = one.obstacle(inventory, force, now)?;
            Some((one.name.clone(), reason))
        }));
        let crossed = past.crossed(&generation, &changed);
        if force {
            warnings.extend(crossed);
        } else {
            let anyway = |said| format!("{said}; --force goes back past that");
            obstacles.extend(crossed.into_iter().map(anyway));
        }
        let before = context.config.renewal.before;
        let ends_soon = changed.iter().filter_map(|one| one.ends_soon(before, now));
        for (name, soon) in ends_soon {
            match soon {
                EndsSoon::AtOnce(said) if !force => {
                    obstacles.push(format!("{name}: {said}; --force puts it back all the same"));
                }
                EndsSoon::AtOnce(said) | EndsSoon::Due(said) => {
                    warnings.push(format!("{name}: {said}"));
                }
            }
        }
        warnings.extend(
            changed
                .iter()
                .flat_map(Restored::changed_otherwise)
                .map(|path| {
                    format!(
                        "{}: was changed in other ways since then, and that goes as well; the backup of this operation keeps it",
                        path.display()
                    )
                }),
        );
        let plan = restarts(inventory, &changed, now);
        Ok(Self {
            was: past.what_was(&generation.id),
            id: generation.id,
            certificates: changed.iter().filter_map(Restored::line).collect(),
            components: plan
                .affected
                .iter()
                .map(|pod| pod.component.clone())
                .collect(),
            obstacles,
            warnings,
            restored: changed,
            plan,
        })
    }
}

/// `a, b: reason` for all that share a reason, in the order in which they come.
fn by_reason(all: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut groups: Vec<(Vec<String>, String)> = Vec::new();
    for (name, reason) in all {
        match groups.iter_mut().find(|(_, known)| *known == reason) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], reason)),
        }
    }
    groups
        .into_iter()
        .map(|(names, reason)| format!("{}: {reason}", names.join(", ")))
        .collect()
}

impl RollBack {
    /// The files that it changes; it can wait for ever.
    fn intent(&self, restart: bool) -> Intent {
        let files = self.restored.iter().flat_map(|one| &one.files);
        let groups = self.plan.restarts.iter().filter(|_| restart);
        Intent {
            targets: files.map(|file| file.path.clone()).collect(),
            manifests: groups
                .flat_map(|group| &group.manifests)
                .map(|(_, manifest)| manifest.clone())
                .collect(),
            deadline: None,
            first_end: None,
            due: None,
            // What it puts back may be what mends them.
            broken: true,
            separable: false,
        }
    }
}

/// Puts the certificates, keys and kubeconfigs of a kept generation back, restarts what uses them and proves that they are in
/// use. Manifests and the kubelet's own certificate stay as they are. `None` when everything is in place already.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn roll_back(
    context: &Context,
    id: &str,
    force: bool,
    restart: bool,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RenewalReport>, OperationError> {
    let lock = take_lock(context)?;
    finish_recovery(context, &lock, stop, events).await?;
    let now = crate::host::now();
    let inventory = context.observe();
    let prepared = RollBack::prepare(context, &inventory, id, force, now)?;
    if !prepared.obstacles.is_empty() {
        return Err(RollBackError::Refused(prepared.obstacles).into());
    }
    events(Event::PuttingBack {
        operation: prepared.id.clone(),
        was: prepared.was.clone(),
    });
    for warning in &prepared.warnings {
        events(Event::Warning(warning.clone()));
    }
    if prepared.restored.is_empty() {
        return Ok(None);
    }
    let options = Options {
        trigger: Trigger::Command(format!("{ROLLBACK}{}", prepared.id)),
        restart,
        stopped: false,
    };
    let intent = prepared.intent(restart && context.is_live());
    let asked = Asked::ByHand { force };
    let mut found = preflight_for(context, &inventory, &intent, asked, now);
    found.extend(look_ahead(context, &inventory, &intent, asked).await);
    let unwanted = unwanted(&options, permit(found, events)?);
    let had_expired = !prepared
        .restored
        .iter()
        .all(|one| one.replaces_valid_at(now));
    let files = prepared
        .restored
        .into_iter()
        .flat_map(|one| one.files)
        .collect();
    let change = Change {
        plan: &prepared.plan,
        files,
        replaceable: Replaceable::of(&context.root, &inventory),
        certificates: prepared.certificates,
        had_expired,
        kubelet_changed: false,
        put_back: true,
        unwanted,
        inherited: Inherited::default(),
        begun: Instant::now(),
    };
    carry_out(
        context,
        &lock,
        change,
        &options,
        stop,
        events,
        RenewalReport::default(),
    )
    .await
    .map(Some)
}

fn find(all: Vec<Generation>, id: &str) -> Result<Generation, RollBackError> {
    let (mut matching, others): (Vec<Generation>, Vec<Generation>) = all
        .into_iter()
        .partition(|one| !id.is_empty() && one.id.starts_with(id));
    let ids = |all: &[Generation]| all.iter().map(|one| one.id.clone()).collect();
    match matching.pop() {
        None => Err(RollBackError::NotKept {
            id: id.to_owned(),
            kept: ids(&others),
        }),
        Some(one) if matching.is_empty() => Ok(one),
        Some(last) => {
            matching.push(last);
            Err(RollBackError::Ambiguous {
                id: id.to_owned(),
                matching: ids(&matching),
            })
        }
    }
}

/// The newest generation that is neither in place already nor without its keys. What stands against putting that one back
/// must be said: an older one is never taken instead.
fn newest(
    context: &Context,
    inventory: &Inventory,
    all: Vec<Generation>,
) -> Result<Generation, OperationError> {
    for generation in all.into_iter().rev() {
        let kept = contents(&context.store(), &generation.id)?;
        let (restored, _) = restored(&context.root, inventory, kept);
        let is_of_use = |one: &Restored| !one.is_in_place() && one.key_removed().is_none();
        if restored.iter().any(is_of_use) {
            return Ok(generation);
        }
    }
    Err(RollBackError::NoLast.into())
}

fn restarts(inventory: &Inventory, changed: &[Restored], now: Timestamp) -> Plan {
    let names: Vec<&str> = changed.iter().map(|one| one.name.as_str()).collect();
    let affected = affected_pods(inventory, &names);
    let components: Vec<String> = affected.iter().map(|pod| pod.component.clone()).collect();
    let restarts: Vec<RestartGroup> = restart_groups(inventory, &components);
    Plan {
        at: now,
        items: Vec::new(),
        affected,
        restarts,
        next_due: None,
        unread_manifests: inventory.unread_manifests.clone(),
    }
}
