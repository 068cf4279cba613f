//! `kubecertd preflight`

use std::process::ExitCode;

use super::arguments::Format;
use super::output::print;
use super::runtime;
use crate::operation::{Context, look_ahead, preflight};
use crate::plan::Request;
use crate::preflight::{Asked, Finding, Intent, PreflightView, unrenewable};

/// Something could not be found out.
const EXIT_UNREAD: u8 = 2;

/// As the daemon sees it, were everything due now.
pub(super) fn run(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let inventory = context.observe();
    let plan = context.plan(&inventory, &Request::All { force: false }, now)?;
    let asked = Asked::BySchedule;
    let mut findings = preflight(context, &inventory, &plan, true, asked);
    let intent = Intent::of(&inventory, &plan, context.config.renewal.before, true);
    findings.extend(runtime()?.block_on(look_ahead(context, &inventory, &intent, asked)));
    findings.extend(unrenewable(&inventory, &plan));
    let view = PreflightView::new(&findings, context.is_live(), now);
    print(&match output {
        Format::Text => view.to_table(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    Ok(
        if findings
            .iter()
            .any(Finding::keeps_something_from_being_done)
        {
            ExitCode::FAILURE
        } else if findings.iter().any(|finding| finding.unread) {
            ExitCode::from(EXIT_UNREAD)
        } else {
            ExitCode::SUCCESS
        },
    )
}
