//! The kubelet as a service of systemd.

use std::path::PathBuf;

use super::units::{ServiceError, Units};

/// kubeadm's packages call it so.
const UNIT: &str = "kubelet.service";

/// systemd's hold on the kubelet.
#[derive(Debug, Clone, Default)]
pub struct KubeletService {
    units: Units,
}

impl KubeletService {
    /// Through another program than systemctl that takes the same arguments.
    #[must_use]
    pub fn through(systemctl: PathBuf) -> Self {
        Self {
            units: Units::through(systemctl),
        }
    }

    /// The services beside it.
    pub(crate) fn units(&self) -> &Units {
        &self.units
    }

    /// Restarts the kubelet, or starts it. One that systemd has given up is started as well.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn restart(&self) -> Result<(), ServiceError> {
        self.units.run("reset-failed", UNIT).await?;
        self.units.run("restart", UNIT).await
    }

    /// How systemd explains that the kubelet does not run; `None` where it runs, or where systemd cannot be asked.
    pub(crate) async fn why_down(&self) -> Option<String> {
        let state = self.units.state(UNIT).await?;
        match (state.load.as_str(), state.active.as_str()) {
            ("not-found", _) => Some(format!("there is no {UNIT}")),
            ("masked", _) => Some(format!("{UNIT} is masked")),
            (_, "active" | "reloading") => None,
            (_, active) => Some(format!("{UNIT} is {active} ({})", state.sub)),
        }
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
