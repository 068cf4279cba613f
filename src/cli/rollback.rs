//! `kubecertd rollback`

use std::iter;
use std::process::ExitCode;

use jiff::Timestamp;

use super::arguments::Rollback;
use super::output::{Narrator, line, print};
use super::renew::{Words, exit_code, summarize};
use super::runtime::runtime;
use super::values::Format;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, RollBack, log_summary, roll_back};
use crate::pki::civil;
use crate::plan::Request;
use crate::report::{Coded, RenewedCertificate, columns};

pub(super) fn run(context: &Context, options: &Rollback) -> anyhow::Result<ExitCode> {
    if options.dry_run {
        let inventory = context.observe();
        let now = crate::host::now();
        let prepared = RollBack::prepare(context, &inventory, &options.id, options.force, now)?;
        print(&match options.output {
            Format::Text => preview(&prepared),
            Format::Json => format!(
                "{}\n",
                serde_json::to_string_pretty(&View::from(&prepared))?
            ),
        })?;
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
            for id in report.operations() {
                log_summary(context, id);
            }
            summarize(&report, &Request::All { force: false }, Words::PutBack)
        }
        None => {
            print("Everything is in place already; nothing was changed.\n")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What `kubecertd rollback ID --dry-run -o json` prints. Fields are added to it, never renamed or removed.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    api_version: &'static str,
    kind: &'static str,
    operation: &'a str,
    certificates: &'a [RenewedCertificate],
    restarts: &'a [String],
    notes: Vec<Coded>,
    /// What it would be refused for.
    obstacles: Vec<Coded>,
}

impl<'a> From<&'a RollBack> for View<'a> {
    fn from(prepared: &'a RollBack) -> Self {
        let notes = prepared.notes.iter();
        let obstacles = prepared.obstacles.iter();
        Self {
            api_version: "kubecertd/v1alpha1",
            kind: "RollBack",
            operation: &prepared.id,
            certificates: &prepared.certificates,
            restarts: &prepared.components,
            notes: notes.map(|note| Coded::of(note.code(), note)).collect(),
            obstacles: obstacles.map(|one| Coded::of(one.code(), one)).collect(),
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
    for note in &prepared.notes {
        text.push_str(&line(format_args!("Note: {note}")));
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
