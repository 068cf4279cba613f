//! `kubecertd plan`

use std::process::ExitCode;

use jiff::Timestamp;

use super::output::{error, print};
use super::renew::exit_code;
use super::runtime::ask;
use super::values::Format;
use crate::config::RestartMode;
use crate::node::{CertificateId, Inventory, hard_links};
use crate::operation::{Context, hooks, look_at_copies, pending_here, plan_users, schedule};
use crate::plan::{Action, Request, cluster_says};
use crate::probe::look_in_memory;
use crate::report::{PendingNext, PendingUse, PlanView, read_status};

pub(super) fn run(
    context: &Context,
    at: Option<Timestamp>,
    output: Format,
) -> anyhow::Result<ExitCode> {
    let inventory = context.observe();
    let plan = context.plan(
        &inventory,
        &Request::Due,
        at.unwrap_or_else(crate::host::now),
    )?;
    let renewed: Vec<&CertificateId> = plan
        .items
        .iter()
        .filter(|item| !matches!(item.action, Action::Leave(_)))
        .map(|item| &item.id)
        .collect();
    let notes = hard_links(&context.root, &inventory, &renewed);
    let in_memory = if context.is_live() {
        ask("components", look_in_memory(&inventory))?
    } else {
        Vec::new()
    };
    let pending = pending(context, &inventory);
    let schedule = schedule(context, &inventory, &plan);
    let view = PlanView::from(&plan)
        .with_notes(&notes)
        .with_pending(pending)
        .with_cluster(&cluster_says(&inventory, &context.config))
        .with_copies(&look_at_copies(context, &inventory))
        .with_in_memory(&in_memory, &context.config.renewal)
        .with_users(plan_users(context, &inventory, &plan))
        .with_window(schedule.opening, schedule.notes)
        .with_hooks(&hooks(
            context,
            context.config.restart.mode != RestartMode::None,
        ));
    print(&match output {
        Format::Text => view.to_table(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    for problem in &inventory.problems {
        error(&problem.to_string());
    }
    Ok(exit_code(
        inventory.problems.is_empty() && plan.unread_manifests.is_empty(),
    ))
}

/// What components have still to show: by the running daemon, which asks them, or else by the receipts.
fn pending(context: &Context, inventory: &Inventory) -> Vec<PendingUse> {
    match read_status(&context.root) {
        Ok(status) if status.is_running() => status.pending,
        _ => pending_here(context, inventory)
            .iter()
            .map(|proof| proof.as_use(PendingNext::AskWhenRunning))
            .collect(),
    }
}
