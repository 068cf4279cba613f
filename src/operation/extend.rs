//! CAs of this node made to last longer with the keys that they have: an operation like any other, that restarts nothing unless it is
//! asked to, since what goes on with the old certificate accepts and is accepted as before.

use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::adopted::Adopted;
use super::checks::{look_ahead, no_restart, permit, preflight_for, take_lock};
use super::error::Fault;
use super::execute::{Change, execute};
use super::extension::{
    ExtensionWish, Prepared, Readers, changed, files, has_ended, intent, lines, plan, prepare,
    readers, to_be_restarted,
};
use super::known_keys;
use super::recover::finish;
use super::report::RenewalReport;
use super::restart::restart_in;
use super::run::Run;
use super::table::Wish;
use super::turn::{disturbs, give_back_unused, take_turn};
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Finding};
use crate::config::nearest;
use crate::issuer::{ExtendedAuthority, load_signing};
use crate::journal::{OperationKind, Trigger};
use crate::node::{AuthorityState, Inventory, Replaceable, components};
use crate::pki::{AuthorityId, is_of_one_authority};
use crate::plan::{AUTHORITY_VALIDITY, AuthorityPlace, Extension, RestartMethod, extension};

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
    finish(&mut run).await?;
    run.learn_of_others().await;
    let trigger = Trigger::Command(wish.typed.clone());
    let ended = Box::pin(extend_in(&mut run, wish, &trigger)).await;
    give_back_unused(&mut run, &ended).await;
    ended
}

/// The same for kubeadm's CAs that have ended, where a node is to be revived: nothing that they sign is accepted until then. `None` where
/// none has, or none can be made here; the certificates that it signs say why.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub(super) async fn extend_ended(
    run: &mut Run<'_>,
    readers: Readers,
    trigger: &Trigger,
) -> Result<Option<ExtensionReport>, OperationError> {
    let (node, now) = (run.node(), crate::host::now());
    let has_ended = |name: &AuthorityId| {
        let found = extension(&node, *name, AUTHORITY_VALIDITY, now);
        found.is_ok_and(|one| one.is_needed && now > one.present.not_after)
    };
    let wish = ExtensionWish {
        authorities: AuthorityId::ALL.into_iter().filter(has_ended).collect(),
        validity: AUTHORITY_VALIDITY,
        readers,
        force: false,
        typed: String::new(),
    };
    if wish.authorities.is_empty() {
        return Ok(None);
    }
    let ended = Box::pin(extend_in(run, &wish, trigger)).await;
    run.forget_node();
    ended.map(Some)
}

async fn extend_in(
    run: &mut Run<'_>,
    wish: &ExtensionWish,
    trigger: &Trigger,
) -> Result<ExtensionReport, OperationError> {
    let context = run.context;
    let begun = Instant::now();
    let now = crate::host::now();
    read_keys(run, wish, now);
    let node = run.node();
    let Prepared {
        found,
        extended,
        mut left,
    } = prepare(&node, wish, now);
    let has_ended = has_ended(&extended, now);
    let restarted = to_be_restarted(context, &node, (&found, &extended), wish, now).await;
    if extended.is_empty() && !left.is_empty() && restarted.is_empty() {
        return Err(OperationError::NotExtended(left));
    }
    let asked = Asked::ByHand { force: wish.force };
    let mut report = ExtensionReport::default();
    if extended.is_empty() {
        if !restarted.is_empty() {
            let names = components(&restarted);
            report.renewal = Box::pin(restart_in(run, &names, asked)).await?;
        }
        report.left = left;
        return Ok(report);
    }
    let files = files(context, &node, &extended)?;
    let paths = files.iter().map(|file| file.path.as_path());
    let replaceable = Replaceable::with_authorities_in(&context.root, &node, paths);
    let plan = plan(&node, &extended, &restarted, has_ended, now);
    let intent = intent(context, &files, &plan, has_ended);
    let mut findings = preflight_for(context, &node, &intent, asked, now);
    findings.extend(look_ahead(context, &node, &intent, asked).await);
    let no_restart = match (permit(run, findings)?, wish.readers) {
        (_, Readers::Left) => Some("everything is restarted with new certificates next"),
        (may_restart, _) => no_restart(true, may_restart),
    };
    if no_restart.is_none() && disturbs(context, &plan) && context.is_live() {
        let wish = Wish {
            intent: &intent,
            asked,
        };
        Box::pin(take_turn(run, wish, &plan.restarts)).await?;
    }
    let changed = changed(&found, &extended);
    report.at_start = components(&readers(&changed));
    report
        .at_start
        .retain(|component| !restarted.iter().any(|pod| pod.component == *component));
    let is_kubelet_restarted = plan.method != RestartMethod::Manifests && context.is_live();
    report.kubelet =
        !is_kubelet_restarted && changed.iter().any(|one| one.kubelet_reads_at_start());
    report.left.append(&mut left);
    let change = Change {
        kind: OperationKind::Extend,
        trigger: trigger.clone(),
        certificates: lines(&node, &extended, &files),
        plan,
        files,
        replaceable,
        had_expired: has_ended,
        no_restart,
        adopted: Adopted::default(),
        beside: context.store().in_flight()?,
        begun,
    };
    report.renewal = Box::pin(execute(run, change, RenewalReport::default())).await?;
    Ok(report)
}

/// What a wish would do.
#[derive(Debug, Default)]
pub struct ExtensionPreview {
    /// Each CA that would be extended or put into other places, with the certificate that it has and the one that it would get, and the
    /// files.
    pub changes: Vec<(ExtendedAuthority, Vec<PathBuf>)>,
    /// Static pods that would be restarted.
    pub restarted: Vec<String>,
    /// CAs that would not be extended, and why.
    pub left: Vec<Fault>,
    /// What is to be known, or speaks against it now.
    pub findings: Vec<Finding>,
}

/// The same without changing anything: keys are read and used, and every file is tried.
///
/// # Errors
/// [`OperationError`] where a file could not be replaced.
pub async fn preview_extension(
    context: &Context,
    node: &Inventory,
    wish: &ExtensionWish,
) -> Result<ExtensionPreview, OperationError> {
    let now = crate::host::now();
    let prepared = prepare(node, wish, now);
    let extended = &prepared.extended;
    let files = files(context, node, extended)?;
    let pods = to_be_restarted(context, node, (&prepared.found, extended), wish, now).await;
    let plan = plan(node, extended, &pods, has_ended(extended, now), now);
    let intent = intent(context, &files, &plan, has_ended(extended, now));
    let asked = Asked::ByHand { force: wish.force };
    let mut findings = Vec::new();
    if !files.is_empty() {
        findings = preflight_for(context, node, &intent, asked, now);
        findings.extend(look_ahead(context, node, &intent, asked).await);
    }
    let changes = extended.iter().map(|(one, places)| {
        let is_changed = |place: &&AuthorityPlace| {
            let real = node.real(&place.path);
            files.iter().any(|file| node.real(&file.path) == real)
        };
        let places = places.iter().filter(is_changed);
        (
            one.clone(),
            places.map(|place| place.path.clone()).collect(),
        )
    });
    Ok(ExtensionPreview {
        changes: changes.collect(),
        restarted: components(&pods),
        left: prepared.left,
        findings,
    })
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
