//! `kubecertd preflight`

use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::Format;
use super::exit_codes;
use super::output::{error, grouped, not_renewed, print};
use super::renew::is_failure;
use crate::node::{Authority, Inventory};
use crate::operation::{Context, preflight};
use crate::pki::AuthorityName;
use crate::plan::{Action, Obstacle, Request};
use crate::preflight::{Asked, Finding, PreflightView};

/// As the daemon sees it, were everything due now.
pub(super) fn run(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let inventory = context.observe();
    let plan = context.plan(&inventory, &Request::All { force: false }, now)?;
    let findings = preflight(context, &inventory, &plan, true, Asked::BySchedule);
    let view = PreflightView::new(&findings, now);
    print(&match output {
        Format::Text => view.to_table(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    let asked = Request::All { force: false };
    let left = plan.items.iter().filter_map(|item| match &item.action {
        Action::Leave(obstacle)
            if stands_in_the_way(obstacle, &item.name, &asked)
                && !begins_later(&inventory, item.authority, now) =>
        {
            Some((item.name.clone(), obstacle.to_string()))
        }
        Action::Leave(_) | Action::Renew(_) | Action::Wait => None,
    });
    let left = grouped(left);
    for (names, reason) in &left {
        error(&not_renewed(names, reason));
    }
    for problem in &inventory.problems {
        error(&format!("{}: {}", problem.path.display(), problem.reason));
    }
    let keeps = |finding: &Finding| finding.keeps_something_from_being_done();
    let code = if !left.is_empty() || findings.iter().any(keeps) {
        exit_codes::NO
    } else if !inventory.problems.is_empty() || findings.iter().any(|finding| finding.unread) {
        exit_codes::UNANSWERED
    } else {
        0
    };
    Ok(ExitCode::from(code))
}

/// Whether it would still do so were the certificate due.
fn stands_in_the_way(obstacle: &Obstacle, name: &str, asked: &Request) -> bool {
    is_failure(obstacle, name, asked)
        && !matches!(
            obstacle,
            Obstacle::WouldNotEndLater(_)
                | Obstacle::RenewedJustNow(_)
                | Obstacle::RolledBack(_)
                | Obstacle::Disabled
        )
}

/// Whether the authority was dated ahead, which time mends and the check of the clock judges.
fn begins_later(inventory: &Inventory, authority: Option<AuthorityName>, now: Timestamp) -> bool {
    let certificates = authority
        .and_then(|name| inventory.authority(name))
        .and_then(Authority::certificates);
    certificates.is_some_and(|all| all.iter().all(|certificate| now < certificate.not_before))
}
