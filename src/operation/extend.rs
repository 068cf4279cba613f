//! CAs of this node made to last longer with the keys that they have: an operation like any other, that restarts nothing unless it is
//! asked to, since what goes on with the old certificate accepts and is accepted as before.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::adopted::Adopted;
use super::authority_use::started_before_change;
use super::checks::{look_ahead, no_restart, permit, preflight_for, take_lock};
use super::error::Fault;
use super::execute::{Change, execute};
use super::hooks::longest as longest_hooks;
use super::known_keys;
use super::recover::finish;
use super::report::RenewalReport;
use super::restart::restart_in;
use super::run::Run;
use super::table::Wish;
use super::turn::{disturbs, give_back_unused, take_turn};
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Finding, Intent};
use crate::config::nearest;
use crate::files::Targets;
use crate::issuer::{
    ExtendedAuthority, IssuanceError, Replacement, extend_authority, load_signing, successor_files,
};
use crate::journal::{OperationKind, Trigger};
use crate::node::{AuthorityState, CertificateId, Inventory, PodRef, Replaceable, components};
use crate::pki::{AuthorityId, Certificate, is_of_one_authority};
use crate::plan::{
    AffectedPod, AuthorityPlace, Extension, Plan, RestartGroup, RestartMethod, extension, longest,
    restart_groups,
};
use crate::report::{Described, RenewedCertificate};

/// What somebody wants of CAs.
#[derive(Debug, Clone)]
pub struct ExtensionWish {
    /// Which.
    pub authorities: Vec<AuthorityId>,
    /// How long the new certificates last.
    pub validity: Duration,
    /// Whether the pods are restarted that read the old ones when they started.
    pub restart: bool,
    /// Also where the clock looks wrong, or what restarts need does not answer.
    pub force: bool,
    /// The command, for the receipt: `ca extend all`.
    pub typed: String,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct ExtensionReport {
    /// What was done; without an operation where nothing was to be done.
    pub renewal: RenewalReport,
    /// CAs that were not extended, and why.
    pub left: Vec<Fault>,
    /// Static pods that go on with what they read when they started.
    pub at_start: Vec<String>,
    /// Whether the kubelet does as well.
    pub kubelet: bool,
}

/// The authorities of a node that a name stands for: one, or `all` that have a certificate here.
///
/// # Errors
/// That there is none of that name, and which is meant.
pub fn authorities_called(inventory: &Inventory, name: &str) -> Result<Vec<AuthorityId>, String> {
    let here = inventory
        .authorities
        .iter()
        .filter(|authority| !matches!(authority.state, AuthorityState::Missing));
    if name == "all" {
        return Ok(here.map(|authority| authority.name).collect());
    }
    let mut all = inventory.authorities.iter();
    if let Some(found) = all.find(|authority| authority.name.name() == name) {
        return Ok(vec![found.name]);
    }
    let known: Vec<&str> = here.map(|authority| authority.name.name()).collect();
    Err(match nearest(name, known.iter().copied()) {
        Some(near) => format!("no CA is called {name:?}; did you mean {near:?}?"),
        None => format!(
            "no CA is called {name:?}; this node has {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        ),
    })
}

/// Makes new certificates for CAs where that gains something, and puts them in the place of the old ones wherever these lie on this node.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn extend_authorities(
    context: &Context,
    wish: &ExtensionWish,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<ExtensionReport, OperationError> {
    let lock = take_lock(context)?;
    let mut run = Run::new(context, &lock, stop, events);
    let ended = Box::pin(extend_in(&mut run, wish)).await;
    give_back_unused(&mut run, &ended).await;
    ended
}

async fn extend_in(
    run: &mut Run<'_>,
    wish: &ExtensionWish,
) -> Result<ExtensionReport, OperationError> {
    let context = run.context;
    let begun = Instant::now();
    finish(run).await?;
    run.learn_of_others().await;
    let now = crate::host::now();
    read_keys(run, wish, now);
    let node = run.node();
    let mut left = Vec::new();
    let mut found = Vec::new();
    for name in &wish.authorities {
        match extension(&node, *name, wish.validity, now) {
            Ok(extension) => found.push(extension),
            Err(obstacle) => left.push(Fault {
                code: obstacle.code(),
                text: format!("{name}: {obstacle}"),
            }),
        }
    }
    let extended = made(&node, &found, wish, now, &mut left);
    let mut report = ExtensionReport {
        at_start: components(&readers(&found)),
        kubelet: found.iter().any(Extension::kubelet_reads_at_start),
        ..ExtensionReport::default()
    };
    if extended.is_empty() && !left.is_empty() {
        return Err(OperationError::NotExtended(left));
    }
    report.left = left;
    let restarted = if wish.restart {
        to_be_restarted(context, &node, &found, &extended).await
    } else {
        Vec::new()
    };
    let asked = Asked::ByHand { force: wish.force };
    if extended.is_empty() {
        report.at_start.clear();
        report.kubelet = false;
        if !restarted.is_empty() {
            let names = components(&restarted);
            report.renewal = Box::pin(restart_in(run, &names, asked)).await?;
        }
        return Ok(report);
    }
    let files = successor_files(&node, &extended).map_err(not_extended)?;
    let paths = files.iter().map(|file| file.path.as_path());
    let replaceable = Replaceable::with_authorities_in(&context.root, &node, paths);
    Targets::new(&context.store(), &replaceable)
        .check(&files)
        .map_err(OperationError::Install)?;
    let plan = plan(&node, &extended, &restarted, now);
    let had_expired = extended.iter().any(|(one, _)| now > one.old.not_after);
    let intent = intent(context, &files, &plan, had_expired);
    let mut findings = preflight_for(context, &node, &intent, asked, now);
    findings.extend(look_ahead(context, &node, &intent, asked).await);
    let no_restart = no_restart(true, permit(run, findings)?);
    if no_restart.is_none() && disturbs(context, &plan) && context.is_live() {
        let wish = Wish {
            intent: &intent,
            asked,
        };
        Box::pin(take_turn(run, wish, &plan.restarts)).await?;
    }
    report
        .at_start
        .retain(|component| !restarted.iter().any(|pod| pod.component == *component));
    let change = Change {
        kind: OperationKind::Extend,
        trigger: Trigger::Command(wish.typed.clone()),
        certificates: lines(&node, &extended),
        plan,
        files,
        replaceable,
        had_expired,
        no_restart,
        adopted: Adopted::default(),
        beside: Vec::new(),
        begun,
    };
    report.renewal = Box::pin(execute(run, change, RenewalReport::default())).await?;
    Ok(report)
}

/// What speaks against it now. `pods`: those that would be restarted.
pub async fn look_at_extension(
    context: &Context,
    node: &Inventory,
    (found, pods): (&[Extension], &[PodRef]),
    asked: Asked,
) -> Vec<Finding> {
    let groups = restart_groups(node, pods);
    let intent = Intent {
        targets: found
            .iter()
            .flat_map(Extension::outdated)
            .map(|place| place.path.clone())
            .collect(),
        ..of_groups(context, &groups)
    };
    let mut findings = preflight_for(context, node, &intent, asked, crate::host::now());
    findings.extend(look_ahead(context, node, &intent, asked).await);
    findings
}

/// Finds out whose the keys are that are to sign, as that decides which certificate of a bundle is followed. What is wrong with one is
/// said when it is to sign.
fn read_keys(run: &mut Run<'_>, wish: &ExtensionWish, now: Timestamp) {
    let node = run.node();
    let mut read = Vec::new();
    for name in &wish.authorities {
        let is_to_be_known = extension(&node, *name, wish.validity, now)
            .is_ok_and(|extension| extension.is_needed || is_one_of_several(&node, &extension));
        if is_to_be_known {
            read.extend(load_signing(&node, *name, now).unwrap_or_default());
        }
    }
    known_keys::keep(run.context, &read);
    run.forget_node();
}

/// Whether the key may be that of another certificate of the file, as far as is known.
fn is_one_of_several(node: &Inventory, extension: &Extension) -> bool {
    let state = node.authority(extension.authority).map(|one| &one.state);
    let Some(AuthorityState::Present { signing, .. }) = state else {
        return false;
    };
    let mut signing = signing.iter();
    signing.any(|one| !is_of_one_authority(one, &extension.present))
}

/// The certificates that are to be in place, each with the places of its CA. Two authorities of one certificate are one.
fn made(
    node: &Inventory,
    found: &[Extension],
    wish: &ExtensionWish,
    now: Timestamp,
    left: &mut Vec<Fault>,
) -> Vec<(ExtendedAuthority, Vec<AuthorityPlace>)> {
    let mut all: Vec<(ExtendedAuthority, Vec<AuthorityPlace>)> = Vec::new();
    for one in found.iter().filter(|one| !one.is_done()) {
        let is_known =
            |(known, _): &(ExtendedAuthority, _)| is_of_one_authority(&known.old, &one.present);
        if all.iter().any(is_known) {
            continue;
        }
        let made = if one.is_needed {
            extend_authority(node, one, wish.validity, now)
        } else {
            Ok(ExtendedAuthority {
                name: one.authority,
                old: outdated(one).clone(),
                new: one.present.clone(),
            })
        };
        match made {
            Ok(made) => all.push((made, one.places.clone())),
            Err(error) => left.push(error.into()),
        }
    }
    all
}

/// The first certificate that the present one is to follow.
fn outdated(extension: &Extension) -> &Certificate {
    extension
        .outdated()
        .flat_map(|place| &place.certificates)
        .find(|one| **one != extension.present)
        .unwrap_or(&extension.present)
}

fn readers(found: &[Extension]) -> Vec<PodRef> {
    let mut pods: Vec<PodRef> = Vec::new();
    for pod in found.iter().flat_map(Extension::readers_at_start) {
        if !pods.contains(&pod) {
            pods.push(pod);
        }
    }
    pods
}

/// The pods that read a certificate when they started which is, or is about to be, another one.
async fn to_be_restarted(
    context: &Context,
    node: &Inventory,
    found: &[Extension],
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
) -> Vec<PodRef> {
    let changes = |one: &&Extension| {
        extended
            .iter()
            .any(|(made, _)| is_of_one_authority(&made.new, &one.present))
    };
    let (changed, unchanged): (Vec<&Extension>, Vec<&Extension>) = found.iter().partition(changes);
    let mut pods = readers(&changed.into_iter().cloned().collect::<Vec<_>>());
    for one in unchanged {
        for pod in started_before_change(context, node, one).await {
            if !pods.contains(&pod) {
                pods.push(pod);
            }
        }
    }
    pods
}

fn plan(
    node: &Inventory,
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
    pods: &[PodRef],
    now: Timestamp,
) -> Plan {
    let ids: Vec<CertificateId> = extended
        .iter()
        .map(|(one, _)| CertificateId::of_authority(one.name))
        .collect();
    let restarts = restart_groups(node, pods);
    Plan {
        at: now,
        items: Vec::new(),
        affected: pods
            .iter()
            .map(|pod| AffectedPod {
                pod: pod.clone(),
                certificates: ids.clone(),
            })
            .collect(),
        expected: restarts.clone(),
        restarts,
        rereading: Vec::new(),
        method: RestartMethod::Manifests,
        adopted_proofs: Vec::new(),
        adopted_users: Vec::new(),
        next_due: None,
        unread_manifests: node.unread_manifests.clone(),
    }
}

fn intent(context: &Context, files: &[Replacement], plan: &Plan, broken: bool) -> Intent {
    Intent {
        targets: files.iter().map(|file| file.path.clone()).collect(),
        broken,
        ..of_groups(context, &plan.restarts)
    }
}

/// What restarts alone need; none are done on another root.
fn of_groups(context: &Context, groups: &[RestartGroup]) -> Intent {
    let groups = if context.is_live() { groups } else { &[] };
    Intent {
        manifests: groups
            .iter()
            .flat_map(RestartGroup::pods)
            .map(|pod| pod.manifest.clone())
            .collect(),
        longest: longest(groups, &context.config.restart)
            + longest_hooks(context, !groups.is_empty()),
        ..Intent::default()
    }
}

fn lines(
    node: &Inventory,
    extended: &[(ExtendedAuthority, Vec<AuthorityPlace>)],
) -> Vec<RenewedCertificate> {
    let lines = extended.iter().filter_map(|(one, _)| {
        let authority = node.authority(one.name)?;
        Some(RenewedCertificate {
            id: CertificateId::of_authority(one.name),
            path: authority.certificate_path.clone(),
            old_serial: one.old.serial.clone(),
            new_serial: one.new.serial.clone(),
            old_not_after: one.old.not_after,
            new_not_after: one.new.not_after,
            old: Some(Described::of(&one.old)),
            new: Some(Described::of(&one.new)),
        })
    });
    lines.collect()
}

fn not_extended(error: IssuanceError) -> OperationError {
    OperationError::NotExtended(vec![error.into()])
}
