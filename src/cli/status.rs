//! `kubecertd status`

use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};

use super::exit_codes;
use super::output::{error, line, print};
use super::values::Format;
use crate::host::Root;
use crate::pki::date;
use crate::report::{
    CertificateStatus, InMemoryStatus, PendingNext, PendingUse, State, Status, StatusError,
    UseState, columns, in_words, read_status,
};

pub(super) fn run(root: &Root, output: Format) -> anyhow::Result<ExitCode> {
    let status = match read_status(root) {
        Ok(status) => status,
        Err(StatusError::NeverWritten) if !root.is_system() => {
            error(&format!(
                "no kubecertd has run on the node below {} since it was started",
                root.directory().display()
            ));
            return Ok(ExitCode::from(exit_codes::NOT_RUNNING));
        }
        Err(reason) => {
            error(&reason.to_string());
            return Ok(ExitCode::from(exit_codes::NOT_RUNNING));
        }
    };
    let running = status.is_running();
    print(&match output {
        Format::Text => text(&status, running, crate::host::now()),
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
    let mut text = line(format_args!(
        "kubecertd {}: {}",
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
    ));
    text.push_str(&line(format_args!("  Now: {}", counted_down(status, now))));
    if let Some(last) = &status.last_operation {
        text.push_str(&line(format_args!(
            " Last: {} {} (operation {})",
            last.summary,
            ago(last.finished),
            last.id
        )));
    }
    if let Some(failure) = &status.failure {
        text.push_str(&line(format_args!(
            " Fail: {} (attempt {}, next {})",
            failure.reason,
            failure.attempts,
            in_words(
                failure
                    .retry_at
                    .duration_since(now)
                    .max(SignedDuration::ZERO)
            )
        )));
    }
    for pending in asked_again(&status.pending) {
        text.push_str(&line(format_args!(" Wait: {pending}")));
    }
    if let Some(approver) = &status.approver {
        text.push_str(&line(format_args!(" CSRs: {}", approver.sentence())));
    }
    for problem in &status.problems {
        text.push_str(&line(format_args!(" Note: {problem}")));
    }
    text.push('\n');
    text.push_str(&table(&status.certificates, &status.in_memory, now));
    text
}

/// Those about which nothing is to be done yet; the others are among the problems.
fn asked_again(pending: &[PendingUse]) -> impl Iterator<Item = &PendingUse> {
    let is_asked = |one: &&PendingUse| matches!(one.next, PendingNext::AskAgain(_));
    pending.iter().filter(is_asked)
}

/// The message, and how long it is until the moment that it names: the file holds moments, since it stands there for hours.
fn counted_down(status: &Status, now: Timestamp) -> String {
    let Some(next) = &status.next else {
        return status.message.clone();
    };
    let named = date(next.at);
    let left = next.at.duration_since(now).max(SignedDuration::ZERO);
    let counted = format!("{named}, {}", in_words(left));
    status.message.replacen(&named, &counted, 1)
}

fn table(
    certificates: &[CertificateStatus],
    in_memory: &[InMemoryStatus],
    now: Timestamp,
) -> String {
    let titles = ["CERTIFICATE", "EXPIRES", "RENEWAL", "IN USE", "STATE"];
    let mut rows = vec![titles.map(str::to_owned)];
    let until = |due: Timestamp| in_words(due.duration_since(now).max(SignedDuration::ZERO));
    for certificate in certificates {
        let in_use = certificate.in_use.as_ref().map(|known| known.state);
        let state = match (certificate.action.as_str(), certificate.reason.as_str()) {
            (_, reason) if !reason.is_empty() => reason.to_owned(),
            ("wait", _) => match in_use {
                Some(UseState::NotYet) => "not in use yet".to_owned(),
                // Whether it is fine depends on what its users go on with.
                Some(UseState::Unknown) => "valid".to_owned(),
                Some(UseState::Proved) | None => "fine".to_owned(),
            },
            (action, _) => action.to_owned(),
        };
        rows.push([
            certificate.name.clone(),
            certificate.not_after.map_or_else(|| "-".to_owned(), date),
            certificate.due_at.map_or_else(|| "-".to_owned(), until),
            in_use.map_or("-", UseState::words).to_owned(),
            state,
        ]);
    }
    rows.extend(in_memory.iter().map(|one| {
        [
            one.name.clone(),
            date(one.not_after),
            until(one.due_at),
            "-".to_owned(),
            one.next.words().to_owned(),
        ]
    }));
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Failure, InMemoryNext, InUse, Next};

    #[test]
    fn only_what_is_in_use_is_fine() {
        let row = |state: Option<UseState>| {
            let certificate = CertificateStatus {
                name: "scheduler.conf".to_owned(),
                not_after: None,
                due_at: None,
                action: "wait".to_owned(),
                reason: String::new(),
                code: None,
                fields: None,
                in_use: state.map(|state| InUse {
                    state,
                    evidence: String::new(),
                    at: None,
                    component: None,
                    used_until: None,
                }),
            };
            table(&[certificate], &[], Timestamp::UNIX_EPOCH)
                .lines()
                .nth(1)
                .unwrap()
                .split_whitespace()
                .skip(3)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(row(Some(UseState::Proved)), "proved fine");
        assert_eq!(row(Some(UseState::NotYet)), "not yet not in use yet");
        assert_eq!(row(Some(UseState::Unknown)), "unknown valid");
        assert_eq!(row(None), "- fine");
    }

    #[test]
    fn what_the_file_says_is_counted_from_when_it_is_read() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let due = at("2027-10-27T03:12:00Z");
        let pending = |next| PendingUse {
            component: "etcd".to_owned(),
            certificates: vec!["etcd-peer".to_owned()],
            old_not_after: due,
            next,
        };
        let status = Status {
            version: "0".to_owned(),
            pid: 1,
            started: at("2027-10-01T00:00:00Z"),
            updated: at("2027-10-01T00:00:00Z"),
            state: State::Waiting,
            message: format!("Next: renewal of apiserver on {}", date(due)),
            next: Some(Next {
                at: due,
                certificate: "apiserver".to_owned(),
            }),
            certificates: Vec::new(),
            last_operation: None,
            halted: None,
            approver: None,
            failure: Some(Failure {
                reason: "x".to_owned(),
                code: None,
                attempts: 1,
                retry_at: at("2027-10-27T03:00:00Z"),
            }),
            pending: vec![
                pending(PendingNext::AskAgain(due)),
                pending(PendingNext::Restart),
            ],
            in_memory: vec![InMemoryStatus {
                name: "kube-apiserver (in memory)".to_owned(),
                component: "kube-apiserver".to_owned(),
                not_after: due,
                due_at: due,
                next: InMemoryNext::Wait,
            }],
            problems: Vec::new(),
            findings: Vec::new(),
        };
        let said = text(&status, true, due);
        assert_eq!(
            said.matches(" Wait: etcd has not yet shown").count(),
            1,
            "{said}"
        );
        let own = said
            .lines()
            .find(|line| line.starts_with("kube-apiserver (in memory)"));
        let words: Vec<&str> = own.unwrap().split_whitespace().collect();
        assert_eq!(words[words.len() - 2..], ["-", "fine"]);
        let early = text(&status, true, at("2027-10-27T00:12:00Z"));
        assert!(
            early.contains("Oct 27, 2027 03:12 UTC, in 3 hours\n"),
            "{early}"
        );
        assert!(early.contains("attempt 1, next in 2 hours"), "{early}");
        let late = text(&status, true, at("2027-10-27T03:11:00Z"));
        assert!(late.contains("03:12 UTC, in 60 seconds\n"), "{late}");
        assert!(late.contains("attempt 1, next now"), "{late}");
    }
}
