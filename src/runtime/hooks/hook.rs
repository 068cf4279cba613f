//! Running one hook.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::moment::Moment;
use crate::host::{Ended, Manner, OnLine, Program};

/// What a shell script finds its programs in.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A hook that is fit to be run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hook {
    /// When.
    pub moment: Moment,
    /// Its file.
    pub path: PathBuf,
}

impl Hook {
    /// `pre-restart/10-drain`
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        format!("{}/{}", self.moment, name.to_string_lossy())
    }

    /// Runs it. `variables`: its environment, besides `PATH` and `LANG`. `stop`: what ends it early, if anything does.
    ///
    /// # Errors
    /// Why it did not do what it was there for, in words.
    pub async fn run(
        &self,
        variables: &[(&str, String)],
        time: Duration,
        stop: Option<&watch::Receiver<bool>>,
        on_line: OnLine<'_>,
    ) -> Result<Ended, String> {
        let mut program = Program::new(&self.path, time)
            .variable("PATH", PATH)
            .variable("LANG", "C.UTF-8");
        for (name, value) in variables {
            program = program.variable(name, value);
        }
        succeed(&program, time, stop, on_line).await
    }
}

/// Runs a program of an administrator's that does what it is there for, or fails.
///
/// # Errors
/// Why it did not, in words.
pub(crate) async fn succeed(
    program: &Program,
    time: Duration,
    stop: Option<&watch::Receiver<bool>>,
    on_line: OnLine<'_>,
) -> Result<Ended, String> {
    let ended = program.run(stop, on_line).await;
    let ended = ended.map_err(|error| format!("it could not be started: {error}"))?;
    match ended.manner {
        Manner::Ended(status) if status.success() => Ok(ended),
        Manner::Ended(status) => Err(format!("it ended with {status}")),
        Manner::OutOfTime => Err(format!(
            "it had not ended after {} s and was killed, with all that it had started",
            time.as_secs()
        )),
        Manner::Stopped => Err("kubecertd was asked to stop and ended it".to_owned()),
    }
}
