//! `kubecertd rehearse`

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context as _;

use super::output::{Narrator, alone, error, grouped, line, print};
use super::renew::{exit_code, is_failure};
use super::runtime::runtime;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::host::Root;
use crate::node::CertificateId;
use crate::operation::{Context, Event};
use crate::plan::Request;
use crate::rehearsal::{Check, PrivateDirectory, Rehearsal, Sample, Verdict, rehearse, sweep};

pub(super) fn run(context: &Context, sample: bool) -> anyhow::Result<ExitCode> {
    for (path, failed) in sweep() {
        match failed {
            None => print(&format!(
                "Removed {}, which a rehearsal that was killed left behind.\n",
                path.display()
            ))?,
            Some(reason) => error(&format!(
                "{}: left behind by a rehearsal that was killed, and could not be removed: {reason}",
                path.display()
            )),
        }
    }
    runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let private = PrivateDirectory::make().context(
            "no private directory could be made, neither in /run nor in the directory for temporary files",
        )?;
        let context = if sample {
            made_up(context, &private)?
        } else {
            context.clone()
        };
        print(&line(format_args!(
            "Rehearsing the renewal of {} on a private copy …",
            if sample {
                "the sample node".to_owned()
            } else {
                format!("the node below {}", context.root.directory().display())
            }
        )))?;
        let copy = private.path().join("copy");
        let mut narrator = Narrator::new();
        let mut events = |event: &Event, said: &str| narrator.show_as(event, said);
        let rehearsal = rehearse(&context, &copy, &stop, &mut events).await;
        let path = private.path().to_path_buf();
        private
            .remove()
            .with_context(|| format!("{} could not be removed", path.display()))?;
        report(&rehearsal?)
    })
}

fn made_up(context: &Context, private: &PrivateDirectory) -> anyhow::Result<Context> {
    print("Making the files of a node that does not exist …\n")?;
    let root = Root::new(&private.path().join("node"))?;
    Sample::default().write(&root)?;
    Ok(Context::new(root, context.config.clone(), None))
}

fn report(rehearsal: &Rehearsal) -> anyhow::Result<ExitCode> {
    let mut text = String::from("\n");
    for (verdict, name, said) in lines(rehearsal) {
        text.push_str(&line(format_args!("{verdict}  {name:<26} {said}")));
    }
    let failed = rehearsal
        .checks
        .iter()
        .filter(|check| matches!(check.verdict, Verdict::Failed(_)))
        .count()
        + rehearsal.renewal.failed.len();
    text.push_str(&format!(
        "\n{} certificates renewed on the copy in {:.1} s, {} handshakes, {failed} failed.\n",
        rehearsal.renewal.renewed.len(),
        rehearsal.renewal.duration.as_secs_f64(),
        rehearsal.checks.len(),
    ));
    if rehearsal.changed_outside.is_empty() {
        text.push_str("Nothing outside the copy was changed, and the copy is gone.\n");
    }
    print(&text)?;
    for path in &rehearsal.changed_outside {
        error(&format!(
            "{} changed during the rehearsal; another process is at work",
            path.display()
        ));
    }
    for problem in &rehearsal.unread {
        error(&problem.to_string());
    }
    let nothing = rehearsal.renewal.renewed.is_empty();
    if nothing {
        error("no certificate was renewed, so nothing is shown");
    }
    let all = Request::All { force: false };
    let left = rehearsal
        .left
        .iter()
        .any(|(name, obstacle)| is_failure(obstacle, name, &all));
    Ok(exit_code(
        failed == 0
            && !left
            && !nothing
            && rehearsal.unread.is_empty()
            && rehearsal.changed_outside.is_empty(),
    ))
}

/// At least one line per certificate: what passed together, what did not alone, one reason of several once.
fn lines(rehearsal: &Rehearsal) -> Vec<(&'static str, String, String)> {
    let mut lines = Vec::new();
    let checks = &rehearsal.checks;
    let renewed = &rehearsal.renewal.renewed;
    let names: BTreeSet<&CertificateId> = checks
        .iter()
        .map(|check| &check.id)
        .chain(renewed.iter().map(|one| &one.id))
        .collect();
    for id in names {
        let own: Vec<&Check> = checks.iter().filter(|check| check.id == *id).collect();
        let passed: Vec<&str> = own
            .iter()
            .filter(|check| check.verdict == Verdict::Passed)
            .map(|check| check.what.as_str())
            .collect();
        if !passed.is_empty() {
            lines.push(("pass", id.to_string(), shorten(&passed)));
        } else if own.is_empty() {
            let line = "renewed; there is no handshake to try with it".to_owned();
            lines.push(("pass", id.to_string(), line));
        }
        for check in own {
            let (verdict, reason) = match &check.verdict {
                Verdict::Passed => continue,
                Verdict::Noted(reason) => ("note", reason),
                Verdict::Failed(reason) => ("FAIL", reason),
            };
            lines.push((verdict, id.to_string(), format!("{}: {reason}", check.what)));
        }
    }
    let notes = rehearsal.notes.iter().cloned();
    lines.extend(notes.map(|(name, note)| ("note", name.to_string(), note.to_string())));
    let left = rehearsal.left.iter();
    let left = left.map(|(name, obstacle)| (name.clone(), obstacle.said_of(name)));
    let failed = rehearsal.renewal.failed.iter();
    let failed = failed.map(|one| (one.id.clone(), alone(&one.id, &one.fault.text)));
    for (verdict, group) in [("left", grouped(left)), ("FAIL", grouped(failed))] {
        lines.extend(
            group
                .into_iter()
                .map(|(names, reason)| (verdict, names.join(", "), reason)),
        );
    }
    lines
}

fn shorten(what: &[&str]) -> String {
    let mut text = String::new();
    let mut previous = "";
    for one in what {
        let (role, name) = one.rsplit_once(' ').unwrap_or(("", one));
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(if role == previous { name } else { one });
        previous = role;
    }
    text
}
