//! `kubecertd status`

use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};

use super::arguments::Format;
use super::exit_codes;
use super::output::{columns, error, print};
use crate::plan::date;
use crate::report::{CertificateStatus, State, Status, in_words, read_status};
use crate::root::Root;

pub(super) fn run(root: &Root, output: Format) -> anyhow::Result<ExitCode> {
    let status = match read_status(root) {
        Ok(status) => status,
        Err(reason) => {
            error(&reason.to_string());
            return Ok(ExitCode::from(exit_codes::NOT_RUNNING));
        }
    };
    let running = status.is_running();
    print(&match output {
        Format::Text => text(&status, running, Timestamp::now()),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&status)?),
    })?;
    Ok(if !running {
        ExitCode::from(exit_codes::NOT_RUNNING)
    } else if status.state == State::Failing {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn text(status: &Status, running: bool, now: Timestamp) -> String {
    let ago = |moment: Timestamp| in_words(now.duration_since(moment) * -1);
    let mut text = format!(
        "kubecertd {}: {}\n",
        status.version,
        if running {
            format!(
                "running since {} (process {}), started {}",
                date(status.started),
                status.pid,
                ago(status.started)
            )
        } else {
            format!("not running; this is what it knew {}", ago(status.updated))
        }
    );
    text.push_str(&format!("  Now: {}\n", status.message));
    if let Some(last) = &status.last_operation {
        text.push_str(&format!(
            " Last: {} {} (operation {})\n",
            last.summary,
            ago(last.finished),
            last.id
        ));
    }
    if let Some(failure) = &status.failure {
        text.push_str(&format!(
            " Fail: {} (attempt {}, next {})\n",
            failure.reason,
            failure.attempts,
            in_words(failure.retry_at.duration_since(now))
        ));
    }
    for problem in &status.problems {
        text.push_str(&format!(" Note: {problem}\n"));
    }
    text.push('\n');
    text.push_str(&table(&status.certificates, now));
    text
}

fn table(certificates: &[CertificateStatus], now: Timestamp) -> String {
    let mut rows = vec![["CERTIFICATE", "EXPIRES", "RENEWAL", "STATE"].map(str::to_owned)];
    for certificate in certificates {
        let state = match (certificate.action.as_str(), certificate.reason.as_str()) {
            (_, reason) if !reason.is_empty() => reason.to_owned(),
            ("wait", _) => "fine".to_owned(),
            (action, _) => action.to_owned(),
        };
        rows.push([
            certificate.name.clone(),
            certificate.not_after.map_or_else(|| "-".to_owned(), date),
            certificate.due_at.map_or_else(
                || "-".to_owned(),
                |due| in_words(due.duration_since(now).max(SignedDuration::ZERO)),
            ),
            state,
        ]);
    }
    columns(&rows)
}
