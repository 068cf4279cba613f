//! Telling those who use a certificate that is not kubeadm's of its new files.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::hooks::{PATH, succeed};
use super::units::Units;
use crate::config::UnitAction;
use crate::host::{OnLine, Program, unfit};

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
        match (state.load.as_str(), state.active.as_str()) {
            ("not-found", _) => {
                return Err(format!(
                    "there is no {unit}; correct unit in the configuration"
                ));
            }
            ("masked", _) => {
                return Err(format!(
                    "{unit} is masked; `systemctl unmask` it, or correct unit in the configuration"
                ));
            }
            (_, "inactive") => return Ok(Told::NotRunning),
            (_, "failed") if action == UnitAction::Reload => return Ok(Told::NotRunning),
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
    let Some((path, arguments)) = words.split_first() else {
        return Err("no command is configured".to_owned());
    };
    if let Some(reason) = unfit(Path::new(path)) {
        return Err(format!("{path} is not run: {reason}"));
    }
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
