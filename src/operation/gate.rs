//! Whether etcd can spare this node's member, asked before each group of pods is restarted, and whether it is back afterwards.

use std::time::{Duration, Instant};

use super::etcd::disturbed;
use super::remark::Remark;
use super::run::Run;
use crate::cluster::etcd::{
    Disturbed, Leadership, Readings, caught_up, judge, move_leadership, read,
};
use crate::plan::RestartGroup;
use crate::restart::RestartError;

/// How long a member may take to catch up, before a step as after it.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(1);

/// The door to one step: opened by the state of etcd, closed by the member's return.
pub(super) struct Gate {
    before: Readings,
    disturbed: Disturbed,
}

impl Gate {
    /// Waits until etcd can spare the member, and has it give the leadership away. Where `binding` is false, what speaks against
    /// it is only said. `None` where the group has no part in etcd.
    ///
    /// # Errors
    /// [`RestartError::EtcdCannotSpare`].
    pub(super) async fn open(
        run: &mut Run<'_>,
        group: &RestartGroup,
        binding: bool,
    ) -> Result<Option<Self>, RestartError> {
        let node = run.node();
        let Some(disturbed) = disturbed(&node, group.pods()) else {
            return Ok(None);
        };
        let begun = Instant::now();
        let mut earlier: Option<Readings> = None;
        let before = loop {
            let Ok(now) = read(&node, &[]).await else {
                // No member of this node's, or none that answers: there is nothing to be spared.
                return Ok(None);
            };
            let verdict = judge(&now, earlier.as_ref(), disturbed);
            if verdict.allows() {
                for warning in &verdict.warnings {
                    run.remark(Remark::Etcd {
                        objection: warning.code(),
                        said: warning.to_string(),
                    });
                }
                break now;
            }
            if !binding || begun.elapsed() > PATIENCE {
                let said: Vec<String> =
                    verdict.objections.iter().map(ToString::to_string).collect();
                if binding {
                    return Err(RestartError::EtcdCannotSpare(said.join("; ")));
                }
                for objection in &verdict.objections {
                    run.remark(Remark::Etcd {
                        objection: objection.code(),
                        said: objection.to_string(),
                    });
                }
                break now;
            }
            earlier = Some(now);
            if pause(run.stop).await.is_err() {
                return Err(RestartError::Stopped);
            }
        };
        if before.members.len() > 1 && disturbed == Disturbed::Member {
            match move_leadership(&node, &before).await {
                Ok(Leadership::Elsewhere) => {}
                Ok(Leadership::Moved { to, .. }) => {
                    run.emit(super::Event::EtcdLeadershipMoved { to: to.to_string() });
                }
                Err(error) => run.remark(Remark::Etcd {
                    objection: error.code(),
                    said: error.to_string(),
                }),
            }
        }
        Ok(Some(Self { before, disturbed }))
    }

    /// Waits until the member is back and has caught up. That it is not is said, and keeps the others waiting by itself.
    pub(super) async fn close(self, run: &mut Run<'_>) {
        if self.disturbed != Disturbed::Member {
            return;
        }
        let node = run.node();
        let begun = Instant::now();
        loop {
            let missing = match read(&node, &[]).await {
                Ok(after) => {
                    let missing = caught_up(&self.before, &after);
                    if missing.is_empty() {
                        return;
                    }
                    missing
                        .iter()
                        .map(|one| (one.code(), one.to_string()))
                        .collect()
                }
                Err(error) => vec![(error.code(), error.to_string())],
            };
            let stopped = pause(run.stop).await.is_err();
            if stopped || begun.elapsed() > PATIENCE {
                for (objection, said) in missing {
                    run.remark(Remark::Etcd { objection, said });
                }
                return;
            }
        }
    }
}

/// # Errors
/// The daemon is to stop.
async fn pause(stop: &tokio::sync::watch::Receiver<bool>) -> Result<(), ()> {
    tokio::select! {
        biased;
        () = crate::host::stopped(stop) => Err(()),
        () = tokio::time::sleep(PAUSE) => Ok(()),
    }
}
