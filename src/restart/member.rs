//! One pod of a group on its way out and back.

use std::time::Duration;

use tokio::time::Instant;

use super::drain::Draining;
use super::progress::{OnProgress, Progress, RestartReport, report_waiting};
use super::remedy::{Presence, Remedy};
use super::watch::{Look, PodWatch, Sighting};
use crate::host::Wait;
use crate::node::{PodRef, StaticPod};
use crate::probe::Readiness;

/// How long a pod that cannot be asked has to run to count as healthy.
const STEADY: Duration = Duration::from_secs(5);

/// One pod of the group.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) which: PodRef,
    pub(super) out_meanwhile: bool,
    pub(super) pod: &'a StaticPod,
    pub(super) readiness: Readiness<'a>,
    /// From the moment before its manifest goes out.
    pub(super) watch: Option<PodWatch<'a>>,
    /// What shortens its end, if anything does.
    pub(super) draining: Option<Draining>,
    pub(super) out_at: Option<Instant>,
    pub(super) gone_after: Option<Duration>,
    pub(super) healthy_after: Option<Duration>,
    /// What was tried beyond the usual.
    pub(super) remedies: Vec<Remedy>,
    /// Whether it did not go when its manifest was out, and was ended through the container runtime.
    pub(super) ended_in_place: bool,
}

/// One pod on its way back.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) wait: Wait,
    pub(super) running_since: Option<Instant>,
    pub(super) presence: Presence,
    pub(super) remains: bool,
    /// When the last thing was tried.
    pub(super) tried_at: Instant,
    told_running: bool,
}

impl Return {
    pub(super) fn begin(bound: Duration) -> Self {
        Self {
            wait: Wait::begin(bound),
            running_since: None,
            presence: Presence::Unknown,
            remains: false,
            tried_at: Instant::now(),
            told_running: false,
        }
    }
}

impl Member<'_> {
    pub(super) fn out_for(&self) -> Duration {
        self.out_at.map_or(Duration::ZERO, |out| out.elapsed())
    }

    /// Takes what is left of the pod out of the runtime, as the kubelet does later. A kubelet that finds a dead container
    /// of the same pod waits before it makes the next, longer each time within ten minutes. Not earlier: an image that no
    /// container uses may be removed.
    pub(super) async fn forget_the_dead(&self) {
        let Some(watch) = &self.watch else {
            return;
        };
        if let Err(reason) = watch.remove_dead().await {
            tracing::debug!(
                component = self.which.component.as_str(),
                "what is left of its containers stays: {reason}"
            );
        }
    }

    /// How long the kubelet may take to notice a change of its manifest.
    pub(super) fn interval(&self) -> Duration {
        self.watch
            .as_ref()
            .map_or(Duration::ZERO, PodWatch::interval)
    }

    pub(super) async fn look_for_return(
        &self,
        returning: &mut Return,
        back_at: Instant,
        progress: OnProgress<'_>,
    ) -> Look {
        let Some(watch) = &self.watch else {
            return Look::Done;
        };
        // Looked at every time: a container that fell over again is the best explanation of a health port that is closed.
        let Sighting {
            look,
            presence,
            remains,
            ..
        } = watch.returned(back_at.elapsed()).await;
        (returning.presence, returning.remains) = (presence, remains);
        if let Look::NotYet(seen) = look {
            returning.running_since = None;
            return Look::NotYet(seen);
        }
        let since = *returning.running_since.get_or_insert_with(Instant::now);
        if !returning.told_running {
            returning.told_running = true;
            let after = self.out_for();
            progress(Progress::ContainerRunning {
                component: self.which.component.clone(),
                after,
            });
        }
        if !self.readiness.can_be_asked() && since.elapsed() < STEADY {
            return Look::NotYet("it runs, but not for long enough yet".to_owned());
        }
        match self.readiness.ask().await {
            Ok(()) => Look::Done,
            Err(seen) => Look::NotYet(format!("it runs, but {seen}")),
        }
    }

    pub(super) fn report_waiting(&self, wait: &mut Wait, what: &str, progress: OnProgress<'_>) {
        report_waiting(wait, &self.which.component, what, progress);
    }

    pub(super) fn report(&self) -> Option<RestartReport> {
        let healthy = self.healthy_after?;
        Some(RestartReport {
            component: self.which.component.clone(),
            // One that only a remedy ended was not seen to go.
            gone_seconds: self.gone_after.unwrap_or(healthy).as_secs_f64(),
            healthy_seconds: healthy.as_secs_f64(),
            out_meanwhile: self.out_meanwhile,
            remedies: self
                .ended_in_place
                .then_some(Remedy::Containers)
                .into_iter()
                .chain(self.remedies.iter().copied())
                .collect(),
        })
    }
}

pub(super) fn of_wave<'m, 'a>(
    members: &'m mut [Member<'a>],
    wave: &'m [PodRef],
) -> impl Iterator<Item = &'m mut Member<'a>> {
    members
        .iter_mut()
        .filter(|member| wave.contains(&member.which))
}
