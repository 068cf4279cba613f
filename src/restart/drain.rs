//! An API server that is to end: it stops listening at once and then waits for its watchers, until the kubelet kills it at the end
//! of the pod's grace. Nobody new reaches it meanwhile, so it is given time for requests in flight and no more.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::progress::{OnProgress, Progress};
use super::watch::PodWatch;
use crate::config::{Drain, Restart};
use crate::node::{PodRef, StaticPod};
use crate::probe::{ApiServerPort, api_server_port};

/// One API server on its way out.
///
/// Another process that listens on the port as soon as the API server has left it makes this take the pod's own grace, as without
/// it; nothing else comes of what answers there.
#[derive(Debug)]
pub(super) struct Draining {
    port: ApiServerPort,
    /// What requests in flight get.
    time: Duration,
    since: Option<Instant>,
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
    NotYet,
    Asked(JoinHandle<Result<(), String>>),
    /// Whatever came of it.
    Over,
}

impl Drop for Draining {
    fn drop(&mut self) {
        if let Ending::Asked(asked) = &self.ending {
            asked.abort();
        }
    }
}

impl Draining {
    /// `None` for any pod but an API server of which it is known where it listens.
    pub(super) fn of(pod: &StaticPod, settings: &Restart) -> Option<Self> {
        let Drain::For(time) = settings.drain else {
            return None;
        };
        Some(Self {
            port: api_server_port(pod)?,
            time,
            since: None,
            ending: Ending::NotYet,
        })
    }

    /// A look at one whose manifest is out and whose containers are not gone yet; its container is ended when it is time. That this
    /// cannot be done is said, and leaves it to the kubelet.
    pub(super) async fn go_on(
        &mut self,
        which: &PodRef,
        watch: &PodWatch<'_>,
        progress: OnProgress<'_>,
    ) {
        match &mut self.ending {
            Ending::Over => {}
            Ending::Asked(asked) if !asked.is_finished() => {}
            Ending::Asked(asked) => {
                let ended = asked.await;
                self.ending = Ending::Over;
                if let Err(reason) = ended.unwrap_or_else(|error| Err(error.to_string())) {
                    failed(which, reason, progress);
                }
            }
            Ending::NotYet => {
                if self.is_drained().await {
                    self.ending = begin(which, watch, self.time, progress).await;
                }
            }
        }
    }

    async fn is_drained(&mut self) -> bool {
        if !self.port.is_closed().await {
            self.since = None;
            return false;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.time
    }
}

/// Has its containers ended, aside: a runtime that does not answer holds up nothing.
async fn begin(
    which: &PodRef,
    watch: &PodWatch<'_>,
    drained_for: Duration,
    progress: OnProgress<'_>,
) -> Ending {
    match watch.running_old().await {
        Ok(running) => {
            progress(Progress::Drained {
                component: which.component.clone(),
                after: drained_for,
            });
            Ending::Asked(tokio::spawn(running.end(Duration::ZERO)))
        }
        Err(reason) => {
            failed(which, reason, progress);
            Ending::Over
        }
    }
}

fn failed(which: &PodRef, reason: String, progress: OnProgress<'_>) {
    progress(Progress::EndingFailed {
        component: which.component.clone(),
        reason,
    });
}
