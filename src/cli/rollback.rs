//! `kubecertd rollback`

use std::iter;
use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::Rollback;
use super::output::{Narrator, line, print};
use super::renew::{Words, exit_code, summarize};
use super::runtime::runtime;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, RollBack, log_summary, roll_back};
use crate::pki::civil;
use crate::plan::Request;
use crate::report::columns;

pub(super) fn run(context: &Context, options: &Rollback) -> anyhow::Result<ExitCode> {
    if options.dry_run {
        let inventory = context.observe();
        let now = crate::host::now();
        let prepared = RollBack::prepare(context, &inventory, &options.id, options.force, now)?;
        print(&preview(&prepared))?;
        return Ok(exit_code(prepared.obstacles.is_empty()));
    }
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        let (id, force, restart) = (&options.id, options.force, !options.no_restart);
        anyhow::Ok(roll_back(context, id, force, restart, &stop, &mut events).await?)
    })?;
    match report {
        Some(report) => {
            log_summary(context, report.operation.as_deref());
            summarize(&report, &Request::All { force: false }, Words::PutBack)
        }
        None => {
            print("Everything is in place already; nothing was changed.\n")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn preview(prepared: &RollBack) -> String {
    let mut text = if prepared.was.is_empty() {
        line(format_args!("Operation {}", prepared.id))
    } else {
        line(format_args!("Operation {},", prepared.id)) + &line(format_args!("{}", prepared.was))
    };
    text.push_str("What it replaced would be put back:\n\n");
    if prepared.certificates.is_empty() {
        text.push_str("Everything is in place already.\n");
    } else {
        text.push_str(&certificates(prepared));
    }
    if !prepared.components.is_empty() {
        text.push('\n');
        text.push_str(&line(format_args!(
            "Restarts: {}",
            prepared.components.join(", ")
        )));
    }
    for warning in &prepared.warnings {
        text.push_str(&line(format_args!("Note: {warning}")));
    }
    for obstacle in &prepared.obstacles {
        text.push_str(&line(format_args!("It would be refused: {obstacle}")));
    }
    text.push_str("\nNothing was changed, because of --dry-run.\n");
    text
}

/// Two lines for each: several may end in the same minute.
fn certificates(prepared: &RollBack) -> String {
    let moment = |moment: Timestamp| civil(moment).strftime("%b %d, %Y %H:%M:%S UTC").to_string();
    let titles = ["CERTIFICATE", "", "VALID UNTIL", "SERIAL"].map(str::to_owned);
    let rows = prepared.certificates.iter().flat_map(|one| {
        let now = [
            one.id.to_string(),
            "now".to_owned(),
            moment(one.old_not_after),
            one.old_serial.clone(),
        ];
        let then = [
            String::new(),
            "then".to_owned(),
            moment(one.new_not_after),
            one.new_serial.clone(),
        ];
        [now, then]
    });
    let rows: Vec<[String; 4]> = iter::once(titles).chain(rows).collect();
    columns(&rows)
}
