//! Services of systemd.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Never looked for in `$PATH`, which others may have set. Where `/usr` is not merged, `/bin` has it.
const SYSTEMCTL: &str = "/bin/systemctl";

/// Bound of each command: a stop that takes longer than systemd's own patience is not ours to wait for.
pub(crate) const COMMAND_BOUND: Duration = Duration::from_secs(100);

/// Bound of the question what a unit is about.
const STATE_BOUND: Duration = Duration::from_secs(2);

/// Why a service could not be reloaded or restarted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{command}` failed: {reason}; try it by hand, and see `journalctl -u {unit}`")]
pub struct ServiceError {
    /// The service's unit.
    pub unit: String,
    /// What was run.
    pub command: String,
    /// What came of it.
    pub reason: String,
}

/// What systemd says of a unit: the properties of these names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `LoadState`: `loaded`, `not-found`, `masked`
    pub(crate) load: String,
    /// `ActiveState`: `active`, `inactive`, `failed`
    pub(crate) active: String,
    /// `SubState`: `running`, `dead`
    pub(crate) sub: String,
}

/// systemd's hold on services.
#[derive(Debug, Clone)]
pub struct Units {
    systemctl: PathBuf,
}

impl Default for Units {
    fn default() -> Self {
        Self::through(PathBuf::from(SYSTEMCTL))
    }
}

impl Units {
    /// Through another program than systemctl that takes the same arguments.
    #[must_use]
    pub fn through(systemctl: PathBuf) -> Self {
        Self { systemctl }
    }

    /// What systemd says of a unit; `None` where it cannot be asked.
    pub(crate) async fn state(&self, unit: &str) -> Option<UnitState> {
        let asked = Command::new(&self.systemctl)
            .args(["show", "--property=LoadState,ActiveState,SubState", unit])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(STATE_BOUND, asked).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |property: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(property)?.strip_prefix('='))
                .map(str::to_owned)
        };
        Some(UnitState {
            load: value("LoadState")?,
            active: value("ActiveState")?,
            sub: value("SubState").unwrap_or_default(),
        })
    }

    /// Runs one of systemctl's commands on a unit, and waits for its end.
    pub(crate) async fn run(&self, verb: &str, unit: &str) -> Result<(), ServiceError> {
        let failed = |reason: String| ServiceError {
            unit: unit.to_owned(),
            command: format!("systemctl {verb} {unit}"),
            reason,
        };
        let child = Command::new(&self.systemctl)
            .args(["--no-ask-password", verb, unit])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let output = timeout(COMMAND_BOUND, child)
            .await
            .map_err(|_| failed(format!("no end after {} s", COMMAND_BOUND.as_secs())))?
            .map_err(|error| failed(format!("{}: {error}", self.systemctl.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(match said.lines().last() {
            Some(line) if !line.trim().is_empty() => line.trim().to_owned(),
            _ => output.status.to_string(),
        }))
    }
}
