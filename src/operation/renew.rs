//! Renewing: from the plan to the files that are to be put in place.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::carry_out::{Change, carry_out, unwanted};
use super::expired::make_for_kubelet;
use super::hand_over::Inherited;
use super::preflight::{look_ahead, permit, preflight, take_lock};
use super::shared::{conflict, twins, without_twins};
use super::trusted::keep_trusted;
use super::{Context, Event, OperationError, known_keys};
use crate::checks::{Asked, Intent};
use crate::files::check_targets;
use crate::issuer::{Issued, Replacement, Wanted, issue_and_tell, replacements};
use crate::journal::{Lock, Trigger};
use crate::node::{Inventory, Problem, Replaceable, hard_links};
use crate::plan::{Action, Obstacle, Plan, Request, kubelet_need};
use crate::probe::Proof;
use crate::report::{Described, RenewedCertificate};
use crate::restart::RestartReport;

/// What the caller wants besides the certificates.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who asked.
    pub trigger: Trigger,
    /// Whether pods are restarted at all.
    pub restart: bool,
    /// Whether expired certificates have stopped the node: then the kubelet's client certificate is renewed as well where
    /// it has expired, and the kubelet and the pods are restarted without moving manifests.
    pub stopped: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct RenewalReport {
    /// The operation's id; `None` when there was nothing to do.
    pub operation: Option<String>,
    /// What was renewed.
    pub renewed: Vec<RenewedCertificate>,
    /// What should have been renewed and was not: name and reason.
    pub failed: Vec<(String, String)>,
    /// What was asked for or due and is left alone, and why.
    pub left: Vec<(String, Obstacle)>,
    /// How long each restart took.
    pub restarts: Vec<RestartReport>,
    /// What was proved.
    pub proofs: Vec<Proof>,
    /// What could not be proved, one sentence each.
    pub unproved: Vec<String>,
    /// Components that use a new file and were not restarted.
    pub not_restarted: Vec<String>,
    /// What else is to be known, one sentence each.
    pub warnings: Vec<String>,
    /// What was to be looked at on the node and could not be.
    pub unread: Vec<Problem>,
    /// From begin to end.
    pub duration: Duration,
}

/// Renews what `request` asks for. Finishes an operation that was cut off first.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn renew(
    context: &Context,
    request: &Request,
    options: &Options,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RenewalReport, OperationError> {
    let lock = take_lock(context)?;
    renew_holding(context, &lock, request, options, stop, events).await
}

/// The same with the lock that is held already.
///
/// # Errors
/// As [`renew`].
pub(super) async fn renew_holding(
    context: &Context,
    lock: &Lock,
    request: &Request,
    options: &Options,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<RenewalReport, OperationError> {
    let has_work = || has_work(context, request, options.stopped);
    let inherited =
        Inherited::settle(context, lock, options.stopped, &has_work, stop, events).await?;
    let begun = Instant::now();
    let started = crate::host::now();
    let inventory = context.observe();
    let mut plan = context.plan(&inventory, request, started)?;
    if !inherited.is_none() {
        plan = inherited.added_to(plan, &inventory, &context.config.restart);
    }
    let mut report = RenewalReport {
        left: left_alone(&plan, request),
        unread: inventory.problems.clone(),
        ..RenewalReport::default()
    };
    let wants_restart = options.restart && context.is_live();
    let asked = asked(request, options);
    let mut found = preflight(context, &inventory, &plan, wants_restart, asked);
    if wants_restart && !options.stopped {
        let before = context.config.renewal.before;
        let mut intent = Intent::of(&inventory, &plan, before, wants_restart);
        // What an earlier operation left undone may be what they lack.
        intent.broken |= !inherited.is_none();
        found.extend(look_ahead(context, &inventory, &intent, asked).await);
    }
    let replaceable = Replaceable::of(&context.root, &inventory);
    let node = (&inventory, &replaceable);
    let prepared = permit(found, events).and_then(|may_restart| {
        let made = issue_planned(context, node, &plan, request, events, &mut report)?;
        Ok((unwanted(options, may_restart), made))
    });
    let (unwanted, mut made) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            return inherited
                .without_successor(context, Err(error), stop, events)
                .await;
        }
    };
    let mut kubelet_changed = false;
    if options.stopped {
        let kubelet = make_for_kubelet(context, node, started, events, &mut report);
        kubelet_changed = kubelet.is_some();
        made = Made::joined(made, kubelet);
    }
    if made.is_some() {
        for note in hard_links(&context.root, &inventory, &plan.renewed()) {
            events(Event::Warning(note.clone()));
            report.warnings.push(note);
        }
    }
    let Some(Made { issued, files }) = made else {
        return inherited
            .without_successor(context, Ok(report), stop, events)
            .await;
    };
    report.unproved.extend(unread(&plan));
    let change = Change {
        plan: &plan,
        files,
        replaceable,
        certificates: issued
            .iter()
            .flat_map(|one| receipt_lines(&inventory, one))
            .collect(),
        had_expired: options.stopped || issued.iter().any(|one| !one.old.is_valid_at(started)),
        kubelet_changed,
        put_back: false,
        unwanted,
        inherited,
        begun,
    };
    drop(issued);
    carry_out(context, lock, change, options, stop, events, report).await
}

/// What is to be said of manifests that could not be read.
fn unread(plan: &Plan) -> impl Iterator<Item = String> {
    plan.unread_manifests.iter().map(|one| {
        format!(
            "{}: {}; a pod in it that uses a renewed file is neither restarted nor proved",
            one.path.display(),
            one.reason
        )
    })
}

/// Whether there is something to renew, apart from what earlier operations owe.
fn has_work(context: &Context, request: &Request, stopped: bool) -> bool {
    let now = crate::host::now();
    let inventory = context.observe();
    let is_renewed = |plan: Plan| {
        plan.items
            .iter()
            .any(|item| matches!(item.action, Action::Renew(_)))
    };
    context.plan(&inventory, request, now).is_ok_and(is_renewed)
        || (stopped && kubelet_need(&inventory, now).can_be_helped())
}

/// Only the daemon can come back later by itself.
fn asked(request: &Request, options: &Options) -> Asked {
    match (&options.trigger, request) {
        (Trigger::Schedule, _) => Asked::BySchedule,
        (
            Trigger::Command(_),
            Request::All { force } | Request::Named { force, .. } | Request::DueByHand { force },
        ) => Asked::ByHand { force: *force },
        (Trigger::Command(_), Request::Due) => Asked::ByHand { force: false },
    }
}

/// What somebody may wonder about: named explicitly, or due and not possible.
fn left_alone(plan: &Plan, request: &Request) -> Vec<(String, Obstacle)> {
    plan.items
        .iter()
        .filter_map(|item| match &item.action {
            Action::Leave(obstacle) => Some((item, obstacle)),
            Action::Renew(_) | Action::Wait => None,
        })
        .filter(|(item, obstacle)| match request {
            Request::Named { names, .. } => names.contains(&item.name),
            Request::All { .. } => !matches!(obstacle, Obstacle::NotManaged),
            Request::Due | Request::DueByHand { .. } => {
                item.due_at.is_some_and(|due| due <= plan.at)
                    && !matches!(obstacle, Obstacle::NotManaged)
            }
        })
        .map(|(item, obstacle)| (item.name.clone(), obstacle.clone()))
        .collect()
}

/// New certificates, and the contents of the files they go into.
pub(super) struct Made {
    pub(super) issued: Vec<Issued>,
    pub(super) files: Vec<Replacement>,
}

impl Made {
    fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.issued.extend(other.issued);
                one.files.extend(other.files);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }
}

/// Issues what the plan renews; `None` when that is nothing.
fn issue_planned(
    context: &Context,
    (inventory, replaceable): (&Inventory, &Replaceable),
    plan: &Plan,
    request: &Request,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) -> Result<Option<Made>, OperationError> {
    let mut wanted = wanted(plan, request);
    without_twins(inventory, &mut wanted);
    if wanted.is_empty() {
        return Ok(None);
    }
    events(Event::Issuing {
        count: wanted.len(),
    });
    let (results, read) = issue_and_tell(inventory, &context.config.renewal, &wanted, plan.at);
    known_keys::keep(context, &read);
    let mut ready = Vec::new();
    for (want, result) in wanted.iter().zip(results) {
        let made = result
            .and_then(|one| replacements(inventory, &one).map(|files| (one, files)))
            .map_err(|error| error.to_string())
            .and_then(|made| may_be_replaced(context, (inventory, replaceable), made));
        match made {
            Ok(one) => ready.push(one),
            Err(reason) => {
                let reason = named(&want.name, reason);
                events(Event::IssueFailed {
                    certificate: want.name.clone(),
                    reason: reason.clone(),
                });
                report.failed.push((want.name.clone(), reason));
            }
        }
    }
    let forced = is_forced(request);
    let ready = keep_trusted(inventory, plan, forced, ready, events, report);
    if ready.is_empty() {
        let reasons: Vec<&str> = report.failed.iter().map(|(_, why)| why.as_str()).collect();
        return Err(OperationError::NothingIssued(reasons.join("; ")));
    }
    let mut made = Made {
        issued: Vec::new(),
        files: Vec::new(),
    };
    for (one, files) in ready {
        tell_notes(plan, &one.name, events, report);
        made.issued.push(one);
        made.files.extend(files);
    }
    Ok(Some(made))
}

/// What is to be known of a renewal goes to the log and into the receipt.
fn tell_notes(
    plan: &Plan,
    name: &str,
    events: &mut (dyn FnMut(Event) + Send),
    report: &mut RenewalReport,
) {
    let notes = plan
        .items
        .iter()
        .filter(|item| item.name == name)
        .flat_map(|item| &item.notes);
    for note in notes {
        let sentence = named(name, note.clone());
        events(Event::Warning(sentence.clone()));
        report.warnings.push(sentence);
    }
}

/// One file may be the reason for several certificates.
pub(super) fn named(name: &str, reason: String) -> String {
    if reason.starts_with(&format!("{name}: ")) {
        reason
    } else {
        format!("{name}: {reason}")
    }
}

/// Passes on what can be put in place. The rest fails here and alone: in the installation it would hold up all the others.
fn may_be_replaced(
    context: &Context,
    (inventory, replaceable): (&Inventory, &Replaceable),
    (issued, files): (Issued, Vec<Replacement>),
) -> Result<(Issued, Vec<Replacement>), String> {
    check_targets(&context.store(), &files, replaceable).map_err(|error| error.to_string())?;
    match conflict(inventory, &issued.name, &files) {
        Some(reason) => Err(reason),
        None => Ok((issued, files)),
    }
}

fn is_forced(request: &Request) -> bool {
    matches!(
        request,
        Request::All { force: true } | Request::Named { force: true, .. }
    )
}

fn wanted(plan: &Plan, request: &Request) -> Vec<Wanted> {
    let forced = is_forced(request);
    plan.items
        .iter()
        .filter_map(|item| match item.action {
            Action::Renew(reason) => Some(Wanted {
                name: item.name.clone(),
                // A certificate without its key is of no use, however long it still lasts.
                may_end_sooner: forced || reason.allows_earlier_end(),
            }),
            Action::Wait | Action::Leave(_) => None,
        })
        .collect()
}

/// One line for its own name, and one for each certificate that lies in the same files.
fn receipt_lines(inventory: &Inventory, issued: &Issued) -> Vec<RenewedCertificate> {
    let own = inventory.entry(&issued.name).into_iter();
    own.chain(twins(inventory, &issued.name))
        .map(|entry| RenewedCertificate {
            name: entry.name.clone(),
            path: entry.path.clone(),
            old_serial: issued.old.serial.clone(),
            new_serial: issued.certificate.serial.clone(),
            old_not_after: issued.old.not_after,
            new_not_after: issued.certificate.not_after,
            old: Some(Described::of(&issued.old)),
            new: Some(Described::of(&issued.certificate)),
        })
        .collect()
}
