//! `kubecertd renew`

use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::Renew;
use super::output::{Narrator, error, print};
use super::runtime;
use crate::daemon::stop_on_signal;
use crate::operation::{Context, Options, RenewalReport, preflight, renew};
use crate::plan::{PlanView, Request};
use crate::preflight::Asked;
use crate::transaction::Trigger;

pub(super) fn run(context: &Context, options: &Renew) -> anyhow::Result<ExitCode> {
    let request = request(options)?;
    if options.dry_run {
        let inventory = context.observe();
        let plan = context.plan(&inventory, &request, Timestamp::now())?;
        print(&PlanView::from(&plan).to_table())?;
        let restart = !options.no_restart && context.is_live();
        let asked = Asked::ByHand {
            force: options.force,
        };
        for finding in preflight(context, &inventory, &plan, restart, asked) {
            print(&format!(
                "\n{}: {finding}\n",
                if finding.blocks() {
                    "It would be refused"
                } else {
                    "Note"
                }
            ))?;
        }
        print("\nNothing was changed, because of --dry-run.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = Options {
        trigger: Trigger::Command(format!("renew {}", options.names.join(" "))),
        restart: !options.no_restart,
        stopped: false,
    };
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal()?;
        let mut events = |event| narrator.tell(&event);
        anyhow::Ok(renew(context, &request, &wanted, &stop, &mut events).await?)
    })?;
    summarize(&report)
}

fn request(options: &Renew) -> anyhow::Result<Request> {
    let force = options.force;
    if options.names.iter().any(|name| name == "all") {
        anyhow::ensure!(
            options.names.len() == 1,
            "\"all\" and single names exclude each other"
        );
        return Ok(Request::All { force });
    }
    Ok(Request::Named {
        names: options.names.clone(),
        force,
    })
}

pub(super) fn summarize(report: &RenewalReport) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for (name, obstacle) in &report.left {
        text.push_str(&format!("{name} not renewed: {obstacle}\n"));
    }
    if report.operation.is_none() && report.left.is_empty() {
        text.push_str("Nothing to renew.\n");
    }
    if !report.not_restarted.is_empty() {
        text.push_str(&format!(
            "\nRestart {} so that the new certificates are used: kubecertd restart {}\n",
            if report.not_restarted.len() == 1 {
                "it"
            } else {
                "them"
            },
            report.not_restarted.join(" ")
        ));
    }
    if report.operation.is_some() {
        text.push_str(&format!(
            "Done in {:.1} s.\n",
            report.duration.as_secs_f64()
        ));
    }
    print(&text)?;
    for (_, reason) in &report.failed {
        error(reason);
    }
    for reason in &report.unproved {
        error(&format!("renewed, but not proved to be in use: {reason}"));
    }
    let complete = report.failed.is_empty() && report.unproved.is_empty();
    Ok(if complete && !refused(report) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// kubeadm exits with 0 for what is missing or external; whoever names a certificate wants to know.
fn refused(report: &RenewalReport) -> bool {
    use crate::plan::Obstacle;
    report.left.iter().any(|(_, obstacle)| {
        !matches!(
            obstacle,
            Obstacle::Missing | Obstacle::ExternalAuthority(_) | Obstacle::Skipped
        )
    })
}
