//! Telling those who use a certificate that is not kubeadm's of its new files.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::hooks::{PATH, succeed};
use super::units::{UnitState, Units};
use crate::config::UnitAction;
use crate::host::{OnLine, Program, Root, unfit};

/// What became of a user who was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was.
    Done,
    /// It does not run, and reads its files when it starts.
    NotRunning,
}

/// Has a service read its files anew. One that does not run is not started; but where a restart is wanted, one that has failed is,
/// since old files may be why.
///
/// # Errors
/// Why it did not, in words.
pub(crate) async fn tell_unit(
    units: &Units,
    unit: &str,
    action: UnitAction,
) -> Result<Told, String> {
    let state = units.state(unit).await;
    if let Some(state) = &state {
        if let Some(reason) = why_useless(unit, state) {
            return Err(reason);
        }
        match state.active.as_str() {
            "inactive" => return Ok(Told::NotRunning),
            "failed" if action == UnitAction::Reload => return Ok(Told::NotRunning),
            _ => {}
        }
    }
    let verb = match action {
        UnitAction::Reload => "reload",
        UnitAction::Restart => "restart",
    };
    units
        .run(verb, unit)
        .await
        .map(|()| Told::Done)
        .map_err(|error| error.to_string())
}

/// Why a unit cannot be told of anything, and what to do; nothing where systemd says nothing of it.
pub(crate) async fn unfit_unit(units: &Units, unit: &str) -> Option<String> {
    why_useless(unit, &units.state(unit).await?)
}

fn why_useless(unit: &str, state: &UnitState) -> Option<String> {
    match state.load.as_str() {
        "not-found" => Some(format!(
            "there is no {unit}; correct unit in the configuration"
        )),
        "masked" => Some(format!(
            "{unit} is masked; `systemctl unmask` it, or correct unit in the configuration"
        )),
        _ => None,
    }
}

/// Why a command cannot be run, and what to do.
pub(crate) fn unfit_command(words: &[String]) -> Option<String> {
    let Some(path) = words.first() else {
        return Some("no command is configured".to_owned());
    };
    let program = Path::new(path);
    match is_executable(program) {
        Ok(true) => unfit(program).map(|reason| format!("{path} is not run: {reason}")),
        Ok(false) => Some(format!(
            "{path} is no executable file; `chmod u+x` it, or correct command in the configuration"
        )),
        Err(error) => Some(format!(
            "{path}: {error}; correct command in the configuration"
        )),
    }
}

fn is_executable(program: &Path) -> io::Result<bool> {
    let root = Root::default();
    let found = root.look(&root.way(program)?.real)?;
    let found = found.ok_or(io::ErrorKind::NotFound)?;
    Ok(found.is_file() && found.mode & 0o100 != 0)
}

/// Runs a command of the configuration's, as a hook is run: with what this program may do, in its own process group, for so long.
///
/// # Errors
/// Why it did not do what it was there for, in words.
pub(crate) async fn tell_command(
    words: &[String],
    variables: &[(&str, String)],
    time: Duration,
    stop: &watch::Receiver<bool>,
    on_line: OnLine<'_>,
) -> Result<(), String> {
    if let Some(reason) = unfit_command(words) {
        return Err(reason);
    }
    let Some((path, arguments)) = words.split_first() else {
        return Err("no command is configured".to_owned());
    };
    let mut program = Program::new(Path::new(path), time)
        .variable("PATH", PATH)
        .variable("LANG", "C.UTF-8");
    for argument in arguments {
        program = program.argument(argument);
    }
    for (name, value) in variables {
        program = program.variable(name, value);
    }
    let ended = succeed(&program, time, Some(stop), on_line).await;
    ended
        .map(|_| ())
        .map_err(|reason| format!("{path}: {reason}"))
}
