//! Putting the files of an earlier operation back, by hand: an operation like any other, with its own backup.

use std::time::Duration;

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::adopted::Adopted;
use super::checks::{look_ahead, no_restart, permit, preflight_for, take_lock};
use super::execute::{Change, execute};
use super::past::Past;
use super::put_back::{RollBackNote, RollBackObstacle, Unfit};
use super::recover::finish;
use super::remark::Remark;
use super::report::RenewalReport;
use super::restored::{Restored, restored};
use super::roll_back_error::RollBackError;
use super::run::Run;
use super::table::Wish;
use super::turn::{disturbs, give_back_unused, take_turn};
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Intent, users};
use crate::files::{Generation, contents, generations};
use crate::journal::{OperationKind, Trigger};
use crate::node::{CertificateId, Inventory, PodRef, Replaceable, components};
use crate::plan::{Plan, RestartGroup, RestartMethod, affected_pods, restart_groups};
use crate::report::RenewedCertificate;

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
    /// What stands against it; with any of them nothing is put back.
    pub obstacles: Vec<RollBackObstacle>,
    /// What is to be known besides.
    pub notes: Vec<RollBackNote>,
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
        let (all, mut notes) = restored(&context.root, inventory, kept);
        if all.is_empty() && notes.is_empty() {
            return Err(RollBackError::NothingInIt(generation.id).into());
        }
        let (unchanged, mut changed): (Vec<Restored>, Vec<Restored>) =
            all.into_iter().partition(Restored::is_in_place);
        notes.extend(unchanged.into_iter().map(|one| RollBackNote::AsBefore {
            certificate: one.id,
        }));
        let unfit = |all: &[Restored]| {
            Unfit::grouped(all.iter().filter_map(|one| {
                let why = one.obstacle(inventory, force, now)?;
                Some((one.id.clone(), why))
            }))
        };
        if force && changed.iter().any(|one| one.key_removed().is_none()) {
            let (lost, left): (Vec<Restored>, Vec<Restored>) = changed
                .into_iter()
                .partition(|one| one.key_removed().is_some());
            changed = left;
            notes.extend(unfit(&lost).into_iter().map(RollBackNote::Stays));
        }
        let unfit = unfit(&changed).into_iter();
        let mut obstacles: Vec<RollBackObstacle> = unfit.map(RollBackObstacle::Unfit).collect();
        let crossed = past.crossed(&generation, &changed).into_iter();
        if force {
            notes.extend(crossed.map(RollBackNote::Crossed));
        } else {
            obstacles.extend(crossed.map(RollBackObstacle::Crossed));
        }
        let renewal = &context.config.renewal;
        let ends_soon = changed
            .iter()
            .filter_map(|one| one.ends_soon(inventory, renewal, now));
        for ends in ends_soon {
            if ends.at_once && !force {
                obstacles.push(RollBackObstacle::EndsSoon(ends));
            } else {
                notes.push(RollBackNote::EndsSoon(ends));
            }
        }
        let otherwise = changed.iter().flat_map(Restored::changed_otherwise);
        notes.extend(otherwise.map(|path| RollBackNote::ChangedOtherwise {
            path: path.to_path_buf(),
        }));
        let plan = restarts(inventory, &changed, now);
        Ok(Self {
            was: past.what_was(&generation.id),
            id: generation.id,
            certificates: changed.iter().filter_map(Restored::line).collect(),
            components: components(&plan.pods()),
            obstacles,
            notes,
            restored: changed,
            plan,
        })
    }
}

impl RollBack {
    /// The files that it changes; it can wait for ever.
    fn intent(&self, inventory: &Inventory, restart: bool) -> Intent {
        let files = self.restored.iter().flat_map(|one| &one.files);
        let groups = self.plan.restarts.iter().filter(|_| restart);
        Intent {
            targets: files.map(|file| file.path.clone()).collect(),
            manifests: groups
                .flat_map(RestartGroup::pods)
                .map(|pod| pod.manifest.clone())
                .collect(),
            deadline: None,
            first_end: None,
            overridden: None,
            longest: Duration::ZERO,
            // What it puts back may be what mends them.
            broken: true,
            separable: false,
            users: users(
                inventory,
                self.restored.iter().map(|one| &one.id).filter(|_| restart),
            ),
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
    let mut run = Run::new(context, &lock, stop, events);
    let ended = Box::pin(roll_back_in(&mut run, id, force, restart)).await;
    give_back_unused(&mut run, &ended).await;
    ended
}

async fn roll_back_in(
    run: &mut Run<'_>,
    id: &str,
    force: bool,
    restart: bool,
) -> Result<Option<RenewalReport>, OperationError> {
    let context = run.context;
    finish(run).await?;
    let now = crate::host::now();
    run.learn_of_others().await;
    let node = run.node();
    let prepared = RollBack::prepare(context, &node, id, force, now)?;
    if !prepared.obstacles.is_empty() {
        return Err(RollBackError::Refused(prepared.obstacles).into());
    }
    run.emit(Event::PuttingBack {
        operation: prepared.id.clone(),
        was: prepared.was.clone(),
    });
    for note in &prepared.notes {
        run.remark(Remark::PutBack(Box::new(note.clone())));
    }
    if prepared.restored.is_empty() {
        return Ok(None);
    }
    let intent = prepared.intent(&node, restart && context.is_live());
    let asked = Asked::ByHand { force };
    let mut found = preflight_for(context, &node, &intent, asked, now);
    found.extend(look_ahead(context, &node, &intent, asked).await);
    let no_restart = no_restart(restart, permit(run, found)?);
    if no_restart.is_none() && disturbs(context, &prepared.plan) {
        let wish = Wish {
            intent: &intent,
            asked,
        };
        Box::pin(take_turn(run, wish, &prepared.plan.restarts)).await?;
    }
    let had_expired = !prepared
        .restored
        .iter()
        .all(|one| one.replaces_valid_at(now));
    let files = prepared.restored.iter().flat_map(|one| &one.files);
    let authorities = files
        .filter(|file| node.authority_called(&file.id).is_some())
        .map(|file| file.path.as_path());
    let replaceable = Replaceable::with_authorities_in(&context.root, &node, authorities);
    let change = Change {
        kind: OperationKind::RollBack,
        trigger: Trigger::Command(format!("rollback {}", prepared.id)),
        plan: prepared.plan,
        files: prepared
            .restored
            .into_iter()
            .flat_map(|one| one.files)
            .collect(),
        replaceable,
        certificates: prepared.certificates,
        had_expired,
        no_restart,
        adopted: Adopted::default(),
        beside: Vec::new(),
        begun: Instant::now(),
    };
    execute(run, change, RenewalReport::default())
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
    let names: Vec<&CertificateId> = changed.iter().map(|one| &one.id).collect();
    let affected = affected_pods(inventory, &names);
    let pods: Vec<PodRef> = affected.iter().map(|one| one.pod.clone()).collect();
    let restarts = restart_groups(inventory, &pods);
    Plan {
        at: now,
        items: Vec::new(),
        affected,
        expected: restarts.clone(),
        restarts,
        rereading: Vec::new(),
        method: RestartMethod::Manifests,
        adopted_proofs: Vec::new(),
        adopted_users: Vec::new(),
        next_due: None,
        unread_manifests: inventory.unread_manifests.clone(),
    }
}
