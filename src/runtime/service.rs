//! The kubelet as a service of systemd.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// kubeadm's packages call it so.
const UNIT: &str = "kubelet.service";

/// Never looked for in `$PATH`, which others may have set. Where `/usr` is not merged, `/bin` has it.
const SYSTEMCTL: &str = "/bin/systemctl";

/// Bound of each command: a stop that takes longer than systemd's own patience is not ours to wait for.
const COMMAND_BOUND: Duration = Duration::from_secs(100);

/// Bound of the question what the kubelet is about.
const STATE_BOUND: Duration = Duration::from_secs(2);

/// Why the kubelet could not be restarted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{command}` failed: {reason}; try it by hand, and see `journalctl -u {UNIT}`")]
pub struct ServiceError {
    /// What was run.
    pub command: String,
    /// What came of it.
    pub reason: String,
}

/// systemd's hold on the kubelet.
#[derive(Debug, Clone)]
pub struct KubeletService {
    systemctl: PathBuf,
}

impl Default for KubeletService {
    fn default() -> Self {
        Self::through(PathBuf::from(SYSTEMCTL))
    }
}

impl KubeletService {
    /// Through another program than systemctl that takes the same arguments.
    #[must_use]
    pub fn through(systemctl: PathBuf) -> Self {
        Self { systemctl }
    }

    /// Restarts the kubelet, or starts it. One that systemd has given up is started as well.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn restart(&self) -> Result<(), ServiceError> {
        self.run("reset-failed").await?;
        self.run("restart").await
    }

    /// How systemd explains that the kubelet does not run; `None` where it runs, or where systemd cannot be asked.
    pub(crate) async fn why_down(&self) -> Option<String> {
        let asked = Command::new(&self.systemctl)
            .args(["show", "--property=LoadState,ActiveState,SubState", UNIT])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(STATE_BOUND, asked).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |property: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(property)?.strip_prefix('='))
        };
        match (value("LoadState")?, value("ActiveState")?) {
            ("not-found", _) => Some(format!("there is no {UNIT}")),
            ("masked", _) => Some(format!("{UNIT} is masked")),
            (_, "active" | "reloading") => None,
            (_, state) => Some(format!(
                "{UNIT} is {state} ({})",
                value("SubState").unwrap_or_default()
            )),
        }
    }

    async fn run(&self, verb: &str) -> Result<(), ServiceError> {
        let failed = |reason: String| ServiceError {
            command: format!("systemctl {verb} {UNIT}"),
            reason,
        };
        let child = Command::new(&self.systemctl)
            .args(["--no-ask-password", verb, UNIT])
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

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn it_is_reset_and_restarted_and_a_refusal_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (program, told) = (directory.path().join("ctl"), directory.path().join("told"));
        let script = |end: &str| {
            let text = format!("#!/bin/sh\necho \"$@\" >>{}\n{end}\n", told.display());
            let beside = directory.path().join("new");
            std::fs::write(&beside, text).unwrap();
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o700)).unwrap();
            std::fs::rename(&beside, &program).unwrap();
        };
        script("exit 0");
        let service = KubeletService::through(program.clone());
        service.restart().await.unwrap();
        let told_text = std::fs::read_to_string(&told).unwrap();
        assert_eq!(
            told_text,
            "--no-ask-password reset-failed kubelet.service\n--no-ask-password restart kubelet.service\n"
        );
        script("echo Unit kubelet.service not found. >&2; [ $2 = reset-failed ]");
        let error = service.restart().await.unwrap_err().to_string();
        assert!(
            error.contains("systemctl restart kubelet.service"),
            "{error}"
        );
        assert!(error.contains("not found"), "{error}");
        let missing = KubeletService::through(directory.path().join("none"));
        assert!(missing.restart().await.unwrap_err().reason.contains("none"));
    }
}
