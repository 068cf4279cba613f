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
use super::run::Run;
use super::{Context, Event, OperationError};
use crate::checks::{Asked, Cause, Finding, Intent, Severity};
use crate::config::KubeletRepair;
use crate::journal::{OperationKind, Trigger};
use crate::node::{CertificateId, Inventory, Replaceable};
use crate::plan::{
    KubeletNeed, KubeletRepairs, Plan, Request, RestartMethod, expired, kubelet_need,
    kubelet_repairs,
};
use crate::probe::reachability;

/// What this command is called in journals and receipts.
const COMMAND: &str = "kubelet repair";

/// The unit that reads the new files when it starts.
const KUBELET: &str = "kubelet.service";

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
    let (node, now) = (run.node(), crate::host::now());
    let repairs = repairs(context, &node, asked, now);
    if repairs.are_none() {
        return Ok(None);
    }
    if let (KubeletNeed::Impossible(reason), false) = (&repairs.client, repairs.can_be_helped()) {
        return Err(OperationError::KubeletNotRepaired(reason.clone()));
    }
    // Beside an expired control plane a kubelet that starts removes no pod: all of that is another command's.
    if expired(&node, now)
        .iter()
        .any(|id| !id.is_kubelets_client())
    {
        return Err(OperationError::KubeletNotRepaired(
            "other certificates of this node have expired as well; run `kubecertd recover --expired`"
                .to_owned(),
        ));
    }
    let has_expired = kubelet_need(&node, now) != KubeletNeed::Nothing;
    let found = look_at_kubelet_repair(context, &node, asked).await;
    permit(&mut run, found)?;
    let begun = Instant::now();
    let mut report = RenewalReport::default();
    let replaceable = Replaceable::of(&context.root, &node);
    let Some(made) = make_repairs(&mut run, &replaceable, &repairs, &mut report) else {
        let reasons = report.failed.into_iter().map(|one| one.fault.text);
        return Err(OperationError::NothingIssued(reasons.collect()));
    };
    if !context.is_live() {
        report.not_told.push(KUBELET.to_owned());
    }
    let issued = made.issued.iter();
    let change = Change {
        kind: OperationKind::Renew,
        trigger: match asked {
            Asked::BySchedule => Trigger::Schedule,
            Asked::ByHand { .. } => Trigger::Command(COMMAND.to_owned()),
        },
        certificates: issued.flat_map(|one| receipt_lines(&node, one)).collect(),
        plan: plan(context, &node, now)?,
        files: made.files,
        replaceable,
        had_expired: has_expired,
        no_restart: None,
        adopted: Adopted::default(),
        beside: Vec::new(),
        begun,
    };
    Box::pin(execute(&mut run, change, report)).await.map(Some)
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

/// What speaks against it now.
pub async fn look_at_kubelet_repair(
    context: &Context,
    node: &Inventory,
    asked: Asked,
) -> Vec<Finding> {
    let now = crate::host::now();
    let mut found = preflight_for(context, node, &intent(node), asked, now);
    if context.is_live() && kubelet_need(node, now) == KubeletNeed::Nothing {
        found.extend(without_api_server(node, asked).await);
    }
    found
}

/// Nothing but the kubelet.
fn plan(context: &Context, node: &Inventory, now: Timestamp) -> Result<Plan, OperationError> {
    let nothing = Request::Named {
        names: Vec::new(),
        force: false,
        for_names: Vec::new(),
    };
    let mut plan = context.plan(node, &nothing, now)?;
    plan.method = RestartMethod::Containers {
        kubelet_changed: true,
    };
    Ok(plan)
}

fn intent(node: &Inventory) -> Intent {
    let is_kubelets = |id: &CertificateId| id.is_kubelets_client() || id.is_kubelets_server();
    let entries = node.entries.iter().filter(|entry| is_kubelets(&entry.id));
    Intent {
        targets: entries.map(|entry| entry.path.clone()).collect(),
        ..Intent::default()
    }
}

/// A kubelet that starts while the API server is away acts on no manifest that goes away, until it has heard of it.
async fn without_api_server(node: &Inventory, asked: Asked) -> Option<Finding> {
    let server = node.static_pod("kube-apiserver")?;
    if reachability(node).await.api_server {
        return None;
    }
    let cause = Cause::Unhealthy {
        component: server.component().to_owned(),
        seen: "it does not answer, and the kubelet is restarted only beside one that does"
            .to_owned(),
    };
    let severity = match asked {
        Asked::BySchedule => Severity::Wait,
        Asked::ByHand { force: false } => Severity::Refuse,
        Asked::ByHand { force: true } => Severity::Warn,
    };
    Some(Finding::new(cause, severity, asked))
}
