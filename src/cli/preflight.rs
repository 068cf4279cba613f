//! `kubecertd preflight`

use std::process::ExitCode;

use super::exit_codes;
use super::output::{error, print};
use super::runtime::ask;
use super::values::Format;
use crate::checks::{Asked, Finding, Intent, unrenewable};
use crate::operation::{Context, look_ahead, look_at_addresses, preflight};
use crate::plan::Request;
use crate::report::PreflightView;

/// As the daemon sees it, were everything due now.
pub(super) fn run(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let inventory = context.observe();
    let plan = context.plan(&inventory, &Request::All { force: false }, now)?;
    let asked = Asked::BySchedule;
    let mut findings = preflight(context, &inventory, &plan, true, asked);
    let intent = Intent::of(&inventory, &plan, &context.config, true);
    findings.extend(ask("components and control planes", async {
        let mut found = look_ahead(context, &inventory, &intent, asked).await;
        found.extend(look_at_addresses(context, &inventory).await);
        found
    })?);
    findings.extend(unrenewable(&inventory, &plan));
    let view = PreflightView::new(&findings, context.is_live(), now);
    print(&match output {
        Format::Text => view.to_table(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    for problem in &inventory.problems {
        error(&problem.to_string());
    }
    let keeps = |finding: &Finding| finding.keeps_something_from_being_done();
    let code = if findings.iter().any(keeps) || !inventory.problems.is_empty() {
        exit_codes::NO
    } else if findings.iter().any(|finding| finding.cause.is_unknown()) {
        exit_codes::UNANSWERED
    } else {
        0
    };
    Ok(ExitCode::from(code))
}
