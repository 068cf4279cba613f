//! `kubecertd rollback`

use std::iter;
use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::Rollback;
use super::output::{Narrator, columns, print};
use super::renew::summarize;
use super::runtime;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, RollBack, roll_back};
use crate::plan::{Request, date};

pub(super) fn run(context: &Context, options: &Rollback) -> anyhow::Result<ExitCode> {
    if options.dry_run {
        let inventory = context.observe();
        let prepared = RollBack::prepare(
            context,
            &inventory,
            &options.id,
            options.force,
            Timestamp::now(),
        )?;
        print(&preview(&prepared))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.tell(&event);
        let (id, force, restart) = (&options.id, options.force, !options.no_restart);
        anyhow::Ok(roll_back(context, id, force, restart, &stop, &mut events).await?)
    })?;
    match report {
        Some(report) => summarize(&report, &Request::All { force: false }),
        None => {
            print("Everything is in place already; nothing was changed.\n")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn preview(prepared: &RollBack) -> String {
    let titles = ["CERTIFICATE", "NOW UNTIL", "THEN UNTIL", "SERIAL THEN"];
    let rows = prepared.certificates.iter().map(|one| {
        [
            one.name.clone(),
            date(one.old_not_after),
            date(one.new_not_after),
            one.new_serial.clone(),
        ]
    });
    let rows: Vec<[String; 4]> = iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let mut text = columns(&rows);
    if !prepared.components.is_empty() {
        text.push_str(&format!("\nRestarts: {}\n", prepared.components.join(", ")));
    }
    for warning in &prepared.warnings {
        text.push_str(&format!("Note: {warning}\n"));
    }
    text.push_str("\nNothing was changed, because of --dry-run.\n");
    text
}
