//! New certificates for a kubelet that did not get them by itself: no pod is restarted.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use super::adopted::Adopted;
use super::checks::{permit, preflight_for, take_lock};
use super::execute::{Change, execute};
use super::issue::receipt_lines;
use super::kubelet::make_repairs;
use super::recover::finish;
use super::report::RenewalReport;
use super::restarts::may_restart;
use super::run::Run;
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Cause, Finding, Intent, Severity};
use crate::config::KubeletRepair;
use crate::journal::{OperationKind, Trigger};
use crate::node::{CertificateId, Inventory, Replaceable};
use crate::plan::{
    KubeletNeed, KubeletRepairs, Plan, Request, RestartMethod, kubelet_need, kubelet_repairs,
    unread_of_kubelet,
};
use crate::probe::reachability;

/// What this command is called in journals and receipts.
const COMMAND: &str = "kubelet repair";

/// Makes the kubelet's client certificate anew where its renewal is overdue or it has expired, or has kubelet.conf refer to the one
/// that the kubelet renews, and the serving certificate that nobody renews; restarts the kubelet where it does not read that by
/// itself, and proves that it uses it. `None` where nothing is to be done.
///
/// # Errors
/// [`OperationError`]; it says whether the node is as before.
pub async fn repair_kubelet(
    context: &Context,
    asked: Asked,
    stop: &watch::Receiver<bool>,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Option<RenewalReport>, OperationError> {
    let lock = take_lock(context)?;
    let mut run = Run::new(context, &lock, stop, events);
    finish(&mut run).await?;
    run.learn_of_others().await;
    let node = run.node();
    let repairs = repairs(context, &node, asked, crate::host::now());
    let is_known_already = matches!(repairs.client, KubeletNeed::Impossible(_));
    let unread = match asked {
        Asked::ByHand { .. } if !is_known_already => unread_of_kubelet(&node),
        Asked::ByHand { .. } | Asked::BySchedule => Vec::new(),
    };
    if repairs.are_none() && unread.is_empty() {
        return Ok(None);
    }
    let unread = unread.into_iter().map(OperationError::KubeletNotRepaired);
    let mut report = RenewalReport {
        errors: unread.collect(),
        ..RenewalReport::default()
    };
    for one in repairs.apart() {
        if *run.stop.borrow() {
            return Err(OperationError::Stopped);
        }
        match Box::pin(repair(&mut run, &one, asked)).await {
            Ok(more) => report.join(more),
            Err(OperationError::Stopped) => return Err(OperationError::Stopped),
            Err(error) => report.errors.push(error),
        }
        run.forget_node();
    }
    report.or_error().map(Some)
}

/// Each certificate is an operation of its own: one that is refused does not take the other back.
async fn repair(
    run: &mut Run<'_>,
    repairs: &KubeletRepairs,
    asked: Asked,
) -> Result<RenewalReport, OperationError> {
    let (context, node, now) = (run.context, run.node(), crate::host::now());
    if let KubeletNeed::Impossible(reason) = &repairs.client {
        return Err(OperationError::KubeletNotRepaired(reason.clone()));
    }
    let found = look_at_kubelet_repair(context, &node, repairs, asked).await;
    permit(run, found)?;
    let begun = Instant::now();
    let mut report = RenewalReport::default();
    let replaceable = Replaceable::of(&context.root, &node);
    let Some(made) = make_repairs(run, &replaceable, repairs, &mut report) else {
        let reasons = report.failed.into_iter().map(|one| one.fault.text);
        return Err(OperationError::NothingIssued(reasons.collect()));
    };
    let issued = &made.issued;
    let change = Change {
        kind: OperationKind::Renew,
        trigger: match asked {
            Asked::BySchedule => Trigger::Schedule,
            Asked::ByHand { .. } => Trigger::Command(COMMAND.to_owned()),
        },
        certificates: issued
            .iter()
            .flat_map(|one| receipt_lines(&node, one))
            .collect(),
        plan: kubelet_plan(context, &node, now)?,
        had_expired: kubelet_need(&node, now) != KubeletNeed::Nothing
            || issued.iter().any(|one| !one.old.is_valid_at(now)),
        files: made.files,
        replaceable,
        no_restart: None,
        adopted: Adopted::default(),
        beside: run.context.store().in_flight()?,
        begun,
    };
    Box::pin(execute(run, change, report)).await
}

/// What whoever asks wants done: by hand all that is due.
fn repairs(context: &Context, node: &Inventory, asked: Asked, now: Timestamp) -> KubeletRepairs {
    let config = &context.config;
    let when = match asked {
        Asked::BySchedule => config.kubelet.repair,
        Asked::ByHand { .. } => KubeletRepair::Overdue,
    };
    kubelet_repairs(node, &config.renewal, when, now)
}

/// What speaks against one of these now. The kubelet is restarted only where it runs, and beside an API server that answers: one that
/// starts while that is away acts on no manifest that goes away, until it has heard of it.
pub async fn look_at_kubelet_repair(
    context: &Context,
    node: &Inventory,
    repairs: &KubeletRepairs,
    asked: Asked,
) -> Vec<Finding> {
    look_at_kubelet(context, node, &intent(context, node, repairs), asked).await
}

/// The same of whatever files the kubelet is to use after its restart.
pub(super) async fn look_at_kubelet(
    context: &Context,
    node: &Inventory,
    intent: &Intent,
    asked: Asked,
) -> Vec<Finding> {
    let now = crate::host::now();
    let mut found = preflight_for(context, node, intent, asked, now);
    // A kubelet that cannot start without what is made here is helped whatever it is about.
    if kubelet_need(node, now) != KubeletNeed::Nothing || !may_restart(context) {
        return found;
    }
    found.extend(may_restart_kubelet(context, node, asked).await);
    found
}

/// Why the kubelet is not to be restarted now, if it is not: it does not run, or the API server does not answer.
pub(super) async fn may_restart_kubelet(
    context: &Context,
    node: &Inventory,
    asked: Asked,
) -> Option<Finding> {
    let machine = context.machine.as_ref().filter(|_| may_restart(context))?;
    let severity = match asked {
        Asked::BySchedule => Severity::Wait,
        Asked::ByHand { force: false } => Severity::Refuse,
        Asked::ByHand { force: true } => Severity::Warn,
    };
    let mut reason = machine.kubelet.why_down().await;
    if reason.is_none()
        && node.static_pod("kube-apiserver").is_some()
        && !reachability(node).await.api_server
    {
        reason = Some("kube-apiserver does not answer".to_owned());
    }
    let cause = reason.map(|reason| Cause::KubeletNotRestartable { reason })?;
    Some(Finding::new(cause, severity, asked))
}

/// Nothing but the kubelet, which is restarted unless the configuration has restarts left to others.
pub(super) fn kubelet_plan(
    context: &Context,
    node: &Inventory,
    now: Timestamp,
) -> Result<Plan, OperationError> {
    let nothing = Request::Named {
        names: Vec::new(),
        force: false,
        for_names: Vec::new(),
    };
    let mut plan = context.plan(node, &nothing, now)?;
    if may_restart(context) {
        plan.method = RestartMethod::Kubelet { restart: true };
    }
    Ok(plan)
}

fn intent(context: &Context, node: &Inventory, repairs: &KubeletRepairs) -> Intent {
    let is_meant = |id: &CertificateId| {
        (id.is_kubelets_client() && repairs.client.can_be_helped()) || repairs.serving.concerns(id)
    };
    let entries = node.entries.iter().filter(|entry| is_meant(&entry.id));
    Intent::of_entries(node, &entries.collect::<Vec<_>>(), &context.config.renewal)
}
