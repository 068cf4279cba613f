//! `kubecertd rehearse`

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::output::{Narrator, error, line, print};
use super::renew::is_failure;
use super::runtime;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::Context;
use crate::plan::Request;
use crate::rehearsal::{Check, Rehearsal, Sample, rehearse};
use crate::root::Root;

pub(super) fn run(context: &Context, sample: bool) -> anyhow::Result<ExitCode> {
    let private = private_directory()?;
    let context = if sample {
        let node = private.path().join("node");
        print("Making the files of a node that does not exist …\n")?;
        let root = Root::new(&node)?;
        Sample::default().write(&root)?;
        Context::new(root, context.config.clone(), None)
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
    let rehearsal = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.tell(&event);
        anyhow::Ok(rehearse(&context, &copy, &stop, &mut events).await?)
    })?;
    report(&rehearsal)
}

/// In memory where possible: the copy holds private keys.
fn private_directory() -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("kubecertd-rehearsal-")
        .permissions(std::fs::Permissions::from_mode(0o700));
    let candidates: [PathBuf; 2] = ["/run".into(), std::env::temp_dir()];
    candidates
        .iter()
        .find_map(|parent: &PathBuf| builder.tempdir_in(parent as &Path).ok())
        .context("no private directory could be made, neither in /run nor in the directory for temporary files")
}

fn report(rehearsal: &Rehearsal) -> anyhow::Result<ExitCode> {
    let mut text = String::from("\n");
    for (name, said, failed) in lines(&rehearsal.checks) {
        let verdict = if failed { "FAIL" } else { "pass" };
        text.push_str(&line(format_args!("{verdict}  {name:<26} {said}")));
    }
    for (name, obstacle) in &rehearsal.renewal.left {
        text.push_str(&line(format_args!(
            "left  {name:<26} {}",
            obstacle.said_of(name)
        )));
    }
    for (name, reason) in &rehearsal.renewal.failed {
        text.push_str(&line(format_args!("FAIL  {name:<26} {reason}")));
    }
    let failed = rehearsal
        .checks
        .iter()
        .filter(|check| check.error.is_some())
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
            "{} changed during the rehearsal; somebody else is at work",
            path.display()
        ));
    }
    let all = Request::All { force: false };
    let left = rehearsal
        .renewal
        .left
        .iter()
        .any(|(name, obstacle)| is_failure(obstacle, name, &all));
    let good = failed == 0 && !left && rehearsal.changed_outside.is_empty();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One line per certificate: what passed together, each failure alone.
fn lines(checks: &[Check]) -> Vec<(String, String, bool)> {
    let mut passed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    for check in checks {
        match &check.error {
            None => passed.entry(&check.name).or_default().push(&check.what),
            Some(reason) => {
                lines.push((
                    check.name.clone(),
                    format!("{}: {reason}", check.what),
                    true,
                ));
            }
        }
    }
    let passed = passed
        .into_iter()
        .map(|(name, what)| (name.to_owned(), shorten(&what), false));
    passed.chain(lines).collect()
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
