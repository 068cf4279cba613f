//! Renewing: what is unfinished, the plan, the checks, new certificates, and carrying that out.

use std::time::Instant;

use tokio::sync::watch;

use super::checks::{look_ahead, no_restart, permit, preflight, take_lock};
use super::execute::{Change, execute};
use super::extend::extend_ended;
use super::extension::Readers;
use super::issue::{Made, issue_planned, receipt_lines};
use super::kubelet::{make_for_kubelet, may_help_kubelet};
use super::not_renewed::not_renewed;
use super::orders::{ask_issuers_by_hand, can_be_asked_for, close_overtaken, open_orders};
use super::part::{Part, parts};
use super::remark::Remark;
use super::report::{Options, RenewalReport};
use super::run::Run;
use super::table::Wish;
use super::turn::{disturbs, give_back_unused, take_turn};
use super::unfinished::Backlog;
use super::{Context, Event, Fault, OperationError};
use crate::checks::{Asked, Cause, Finding, Intent, Severity};
use crate::files::{Recovery, recover};
use crate::journal::{OperationKind, Trigger};
use crate::node::{CertificateId, Replaceable, hard_links};
use crate::plan::{Action, Obstacle, Plan, PlanItem, Request, RestartMethod, kubelet_need};

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
    let mut run = Run::new(context, &lock, stop, events);
    let recoveries = recover(&context.store(), &lock)?;
    // Boxed here and below: together these futures are too large for a thread's stack.
    if recoveries.is_empty() && is_for_described(&mut run, request)? {
        let nothing = Ok(RenewalReport::default());
        return Box::pin(renew_described(&mut run, nothing, request, options)).await;
    }
    let ended = renew_part(&mut run, recoveries, request, options, &Part::Kubeadms).await;
    // Where the node is down, it comes first.
    if context.config.locations.described.is_empty() || options.node_down {
        return ended;
    }
    Box::pin(renew_described(&mut run, ended, request, options)).await
}

/// Whether a request is for nothing but certificates that are not kubeadm's.
fn is_for_described(run: &mut Run<'_>, request: &Request) -> Result<bool, OperationError> {
    let may_be = match request {
        Request::Due | Request::Named { .. } => !run.context.config.locations.described.is_empty(),
        Request::All { .. } | Request::DueByHand { .. } => false,
    };
    if !may_be {
        return Ok(false);
    }
    let node = run.node();
    if let Request::Named { names, .. } = request {
        let is_described =
            |name: &String| node.find(name).is_some_and(|one| one.described.is_some());
        return Ok(names.iter().all(is_described));
    }
    let plan = run.plan(request)?;
    let renewed = plan.renewed();
    Ok(!renewed.is_empty() && !renewed.iter().any(|id| Part::Kubeadms.has(&node, id)))
}

/// After kubeadm's certificates those of others, each part an operation of its own: one that fails takes neither kubeadm's back nor
/// those of the other users. The report has what worked and every error; where nothing worked, the first error is all.
async fn renew_described(
    run: &mut Run<'_>,
    ended: Result<RenewalReport, OperationError>,
    request: &Request,
    options: &Options,
) -> Result<RenewalReport, OperationError> {
    let mut report = match ended {
        Ok(report) => report,
        Err(error @ (OperationError::Stopped | OperationError::UnknownName(_))) => {
            return Err(error);
        }
        Err(error) => RenewalReport {
            errors: vec![error],
            ..RenewalReport::default()
        },
    };
    if !report.renewed.is_empty() || !report.errors.is_empty() {
        run.forget_node();
    }
    let node = run.node();
    let plan = run.plan(request)?;
    for (id, obstacle) in left_alone(&plan, request) {
        // Of what was renewed a moment ago nothing more is to be had.
        let is_renewed = report.renewed.iter().any(|one| one.id == id);
        if !is_renewed && !report.left.iter().any(|(known, _)| *known == id) {
            report.left.push((id, obstacle));
        }
    }
    for part in parts(&node, &plan) {
        if *run.stop.borrow() {
            return Err(OperationError::Stopped);
        }
        match renew_part(run, Vec::new(), request, options, &part).await {
            Ok(more) => report.join(more),
            Err(OperationError::Stopped) => return Err(OperationError::Stopped),
            Err(error) => report.errors.push(error),
        }
        run.forget_node();
    }
    report.or_error()
}

async fn renew_part<'a>(
    run: &mut Run<'a>,
    recoveries: Vec<Recovery<'a>>,
    request: &Request,
    options: &Options,
    part: &Part,
) -> Result<RenewalReport, OperationError> {
    if options.node_down && *part == Part::Kubeadms {
        revive_authorities(run, &options.trigger).await?;
    }
    let ended = Box::pin(renew_after(run, recoveries, request, options, part)).await;
    give_back_unused(run, &ended).await;
    if ended
        .as_ref()
        .is_ok_and(|report| !report.renewed.is_empty())
    {
        close_overtaken(run);
    }
    ended
}

/// CAs that have ended come first: nothing that they sign is accepted. What cannot be done is told, and the certificates say it again.
pub(super) async fn revive_authorities(
    run: &mut Run<'_>,
    trigger: &Trigger,
) -> Result<(), OperationError> {
    match Box::pin(extend_ended(run, Readers::Left, trigger)).await {
        Ok(_) => Ok(()),
        Err(OperationError::Stopped) => Err(OperationError::Stopped),
        Err(error) => {
            run.remark(Remark::AuthorityNotExtended {
                reason: error.to_string(),
            });
            Ok(())
        }
    }
}

/// The same after recovery has put files and manifests where they belong.
///
/// # Errors
/// As [`renew`].
pub(super) async fn renew_after<'a>(
    run: &mut Run<'a>,
    recoveries: Vec<Recovery<'a>>,
    request: &Request,
    options: &Options,
    part: &Part,
) -> Result<RenewalReport, OperationError> {
    let backlog = Box::pin(Backlog::settle(run, recoveries, request, options.node_down)).await?;
    let begun = Instant::now();
    run.learn_of_others().await;
    let node = run.node();
    let plan = run.plan(request)?;
    options.more_names.check(&node, request)?;
    let settings = &run.context.config.restart;
    let plan = Box::pin(ask_elsewhere(run, plan, request, part))
        .await?
        .only(&node, settings, |id| part.has(&node, id))
        .adopting(&backlog.unfinished, &node, settings);
    let mut report = RenewalReport {
        left: left_alone(&plan, request)
            .into_iter()
            .filter(|(id, _)| part.has(&node, id))
            .collect(),
        unread: node.problems.clone(),
        ..RenewalReport::default()
    };
    if matches!(part, Part::Described(_))
        && let Some(reason) = backlog.holds_up(&plan)
    {
        for id in plan.renewed() {
            not_renewed(run, &mut report, id, reason.clone());
        }
        return Ok(report);
    }
    let preparing = prepare(run, &plan, request, options, &backlog, &mut report);
    let prepared = Box::pin(preparing).await;
    report.observations = run.observations();
    let prepared = match prepared {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return backlog.without_successor(run, Ok(report)).await,
        Err(error) => return backlog.without_successor(run, Err(error)).await,
    };
    let change = prepared.change(run, plan, options, backlog, begun);
    Box::pin(execute(run, change, report)).await
}

/// By hand a CA elsewhere is asked for what is wanted, due or not; the plan then says that it waits for the answer.
async fn ask_elsewhere(
    run: &mut Run<'_>,
    plan: Plan,
    request: &Request,
    part: &Part,
) -> Result<Plan, OperationError> {
    let node = run.node();
    let is_requested = |item: &PlanItem| match request {
        Request::Named { names, .. } => names.iter().any(|name| name == item.id.as_str()),
        Request::All { .. } => true,
        Request::Due | Request::DueByHand { .. } => false,
    };
    let is_wanted = |item: &&PlanItem| part.has(&node, &item.id) && is_requested(item);
    let wanted: Vec<CertificateId> = plan
        .items
        .iter()
        .filter(is_wanted)
        .filter(|item| can_be_asked_for(&item.action))
        .map(|item| item.id.clone())
        .collect();
    let open = plan.items.iter().filter(is_wanted).filter(|item| {
        matches!(&item.action, Action::Leave(Obstacle::AwaitingAnswer(one)) if one.issuer.is_some())
    });
    let mut at_once: Vec<CertificateId> = open.map(|item| item.id.clone()).collect();
    at_once.extend(wanted.iter().cloned());
    if at_once.is_empty() {
        return Ok(plan);
    }
    let (context, lock) = (run.context, run.lock);
    let mut told = Vec::new();
    let failed = open_orders(context, lock, &node, (wanted, plan.at), &mut |event| {
        told.push(event);
    });
    for event in told {
        run.emit(event);
    }
    let asking = ask_issuers_by_hand(context, lock, &node, (&at_once, run.stop));
    let not_asked = Box::pin(asking).await;
    for reason in failed.into_iter().chain(not_asked) {
        run.remark(Remark::NotAsked { reason });
    }
    run.plan(request)
}

/// What was made for an operation that may begin.
struct Prepared {
    made: Made,
    replaceable: Replaceable,
    /// Whether the kubelet's own credentials are among it.
    kubelet_changed: bool,
    no_restart: Option<&'static str>,
}

/// Checks whether this is a good moment, and issues; `None` when there is nothing to issue.
async fn prepare(
    run: &mut Run<'_>,
    plan: &Plan,
    request: &Request,
    options: &Options,
    backlog: &Backlog<'_>,
    report: &mut RenewalReport,
) -> Result<Option<Prepared>, OperationError> {
    let (context, node) = (run.context, run.node());
    let wants_restart = options.restart && context.is_live();
    let asked = asked(request, options);
    let mut found = preflight(context, &node, plan, wants_restart, asked);
    if wants_restart && !options.node_down {
        let mut intent = Intent::of(&node, plan, &context.config, wants_restart);
        // What an earlier operation left undone may be what they lack.
        intent.broken |= !backlog.unfinished.is_empty();
        found.extend(Box::pin(look_ahead(context, &node, &intent, asked)).await);
    }
    let mut is_held = false;
    for finding in &found {
        if let Cause::UserUnfit { certificates, .. } = &finding.cause
            && finding.keeps_something_from_being_done()
        {
            is_held = true;
            for id in certificates {
                let fault = Fault {
                    code: finding.cause.code(),
                    text: finding.to_string(),
                };
                not_renewed(run, report, id, fault);
            }
        }
    }
    if is_held {
        return Ok(None);
    }
    let may_restart = permit(run, found)?;
    if wants_restart && may_restart && disturbs(context, plan) && !options.node_down {
        let intent = Intent::of(&node, plan, &context.config, wants_restart);
        let wish = Wish {
            intent: &intent,
            asked,
        };
        Box::pin(take_turn(run, wish, &plan.restarts)).await?;
    }
    let replaceable = Replaceable::of(&context.root, &node);
    let asked_for = (request, &options.more_names);
    let mut made = issue_planned(run, &replaceable, plan, asked_for, report)?;
    let mut kubelet_changed = false;
    if options.node_down && may_help_kubelet(context, &options.trigger) {
        let need = kubelet_need(&node, crate::host::now());
        let kubelet = make_for_kubelet(run, &replaceable, &need, report);
        kubelet_changed = kubelet.is_some();
        made = Made::joined(made, kubelet);
    }
    let Some(made) = made else {
        return Ok(None);
    };
    for links in hard_links(&context.root, &node, &plan.renewed()) {
        let remark = Remark::HardLinks(links);
        run.remark(remark.clone());
        report.warnings.push(remark);
    }
    report.unproved.extend(unread(plan, asked));
    Ok(Some(Prepared {
        made,
        replaceable,
        kubelet_changed,
        no_restart: no_restart(options.restart, may_restart),
    }))
}

impl Prepared {
    fn change<'a>(
        self,
        run: &mut Run<'_>,
        mut plan: Plan,
        options: &Options,
        backlog: Backlog<'a>,
        begun: Instant,
    ) -> Change<'a> {
        if options.node_down {
            plan.method = plan.method.joined(RestartMethod::Containers {
                kubelet_changed: self.kubelet_changed,
            });
        }
        let node = run.node();
        let issued = &self.made.issued;
        Change {
            kind: OperationKind::Renew,
            trigger: options.trigger.clone(),
            certificates: issued
                .iter()
                .flat_map(|one| receipt_lines(&node, one))
                .collect(),
            had_expired: options.node_down
                || issued.iter().any(|one| !one.old.is_valid_at(plan.at)),
            plan,
            files: self.made.files,
            replaceable: self.replaceable,
            no_restart: self.no_restart,
            adopted: backlog.adopted,
            beside: backlog.beside,
            begun,
        }
    }
}

/// The manifests that could not be read.
fn unread(plan: &Plan, asked: Asked) -> impl Iterator<Item = Remark> {
    plan.unread_manifests.iter().map(move |one| {
        let cause = Cause::ManifestUnreadable {
            path: one.path.clone(),
            reason: one.fault.to_string(),
        };
        Finding::new(cause, Severity::Skip, asked).into()
    })
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

/// What an administrator may wonder about: named explicitly, or due and not possible.
fn left_alone(plan: &Plan, request: &Request) -> Vec<(CertificateId, Obstacle)> {
    plan.items
        .iter()
        .filter_map(|item| match &item.action {
            Action::Leave(obstacle) => Some((item, obstacle)),
            Action::Renew(_) | Action::Wait => None,
        })
        .filter(|(item, obstacle)| match request {
            Request::Named { names, .. } => names.iter().any(|name| name == item.id.as_str()),
            Request::All { .. } => !matches!(obstacle, Obstacle::NotManaged),
            Request::Due | Request::DueByHand { .. } => {
                item.due_at.is_some_and(|due| due <= plan.at)
                    && !matches!(obstacle, Obstacle::NotManaged)
            }
        })
        .map(|(item, obstacle)| (item.id.clone(), obstacle.clone()))
        .collect()
}
