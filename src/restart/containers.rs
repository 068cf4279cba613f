//! Restarting pods whose manifests the kubelet cannot be told by: their containers are ended through the container
//! runtime, and the kubelet makes new ones.
//!
//! That works while the kubelet has not heard of the API server since its own start. Until then it starts pods from
//! manifests, but removes none, so taking manifests out means nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::RestartError;
use super::member::{Member, of_wave};
use super::parked::ParkedManifests;
use super::progress::{OnProgress, Progress, RestartReport, report_waiting};
use super::remedy::{Presence, Remedy};
use super::restarter::{Restarter, Way};
use super::returning::grace;
use super::watch::PodWatch;
use crate::files::Operation;
use crate::host::{Pace, Wait, stopped};
use crate::net::together;
use crate::plan::RestartGroup;
use crate::probe::kubelet_answers;
use crate::runtime::ContainerRuntime;

/// While a node boots, its container runtime may come after this.
const RUNTIME_BOUND: Duration = Duration::from_secs(30);

/// What a component of a control plane that serves nobody is given to end.
const SHORT_GRACE: Duration = Duration::from_secs(10);

impl<'node> Restarter<'node> {
    /// Gets a node whose certificates had expired to use its new ones: restarts the kubelet where it is down, or where
    /// its own certificate is among the new ones, and then the groups, without touching a manifest. When `stop` becomes
    /// true, [`RestartError::Stopped`] is the result.
    ///
    /// # Errors
    /// [`RestartError`], naming the component, what was waited for and what was seen instead.
    pub async fn restart_expired(
        &self,
        groups: &[RestartGroup],
        kubelet_changed: bool,
        operation: &mut Operation<'_>,
        stop: &tokio::sync::watch::Receiver<bool>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<RestartReport>, RestartError> {
        let mut parked = ParkedManifests::new(operation, Vec::new());
        tokio::select! {
            biased;
            () = stopped(stop) => Err(RestartError::Stopped),
            outcome = self.run_expired(groups, kubelet_changed, &mut parked, progress) => outcome,
        }
    }

    async fn run_expired(
        &self,
        groups: &[RestartGroup],
        kubelet_changed: bool,
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<Vec<RestartReport>, RestartError> {
        // Nobody waits for one of which nothing is wanted.
        let runtime = if groups.is_empty() {
            None
        } else {
            self.runtime_in_time(progress).await
        };
        let mut members = Vec::new();
        for group in groups {
            let mut pods = self.members(group)?;
            for member in &mut pods {
                member.readiness.accept_without_quorum();
            }
            watch(&mut pods, self, runtime.as_ref()).await;
            members.push(pods);
        }
        let kubelet_restarted = kubelet_changed || !self.kubelet_answers_soon(progress).await;
        if kubelet_restarted {
            self.restart_kubelet(progress).await?;
        }
        let mut reports = Vec::new();
        for (group, mut pods) in groups.iter().zip(members) {
            self.end_waves(group, &mut pods, SHORT_GRACE, parked, progress)
                .await?;
            reports.extend(pods.iter().filter_map(Member::report));
        }
        Ok(reports)
    }

    /// The same for one group whose manifests were taken out in vain and are back.
    pub(super) async fn end_in_place(
        &self,
        group: &RestartGroup,
        members: &mut [Member<'node>],
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        let runtime = self.runtime().await;
        watch(members, self, runtime.as_ref()).await;
        for member in &mut *members {
            member.ended_in_place = true;
        }
        self.end_waves(group, members, Duration::MAX, parked, progress)
            .await
    }

    async fn end_waves(
        &self,
        group: &RestartGroup,
        members: &mut [Member<'node>],
        longest_grace: Duration,
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        for wave in &group.back {
            for member in of_wave(members, wave) {
                let grace = grace(member).min(longest_grace);
                end(member, grace, progress).await;
            }
            self.wait_until_healthy(members, wave, Way::Containers, parked, progress)
                .await?;
        }
        Ok(())
    }

    async fn runtime_in_time(&self, progress: OnProgress<'_>) -> Option<ContainerRuntime> {
        let mut wait = Wait::begin(RUNTIME_BOUND);
        let mut pace = Pace::new();
        while !wait.is_over() {
            if let Ok(runtime) = ContainerRuntime::find(self.inventory, self.settings).await {
                return Some(runtime);
            }
            report_waiting(&mut wait, "container runtime", "its answer", progress);
            pace.pause().await;
        }
        self.runtime().await
    }

    /// One that is just being started by systemd is not down.
    async fn kubelet_answers_soon(&self, progress: OnProgress<'_>) -> bool {
        let mut wait = Wait::begin(super::sequence::KUBELET_BOUND);
        let mut pace = Pace::new();
        while kubelet_answers(self.inventory).await.is_err() {
            if wait.is_over() {
                return false;
            }
            report_waiting(&mut wait, "kubelet", "its answer", progress);
            pace.pause().await;
        }
        true
    }
}

/// Looks at what is there before anything is done.
async fn watch<'node>(
    members: &mut [Member<'node>],
    restarter: &Restarter<'node>,
    runtime: Option<&ContainerRuntime>,
) {
    for member in members {
        if member.watch.is_none() {
            member.readiness.drop_wrong_guess().await;
            member.watch =
                Some(PodWatch::begin(member.pod, restarter.inventory, runtime.cloned()).await);
        }
    }
}

/// Ends a pod's containers from before.
async fn end(member: &mut Member<'_>, grace: Duration, progress: OnProgress<'_>) {
    end_together([member].into_iter(), |_| grace, progress).await;
}

/// The same for several pods, side by side.
pub(super) async fn end_together<'m, 'a: 'm>(
    members: impl Iterator<Item = &'m mut Member<'a>>,
    grace: impl Fn(&Member<'_>) -> Duration,
    progress: OnProgress<'_>,
) {
    let mut found = Vec::new();
    for member in members {
        let how = how_to_end(member).await;
        if how != How::NotAtAll {
            progress(Progress::ContainersEnding {
                component: member.which.component.clone(),
            });
        }
        found.push((member, how));
    }
    let ends = found.iter().map(|(member, how)| async {
        let done = how.carry_out(member, grace(member)).await;
        (done, member.out_for())
    });
    let done = together(ends.collect()).await;
    for ((member, _), (done, after)) in found.into_iter().zip(done) {
        match done {
            Ok(()) => {
                member.gone_after.get_or_insert(after);
            }
            Err(reason) => progress(Progress::RemedyFailed {
                component: member.which.component.clone(),
                remedy: Remedy::Containers,
                reason,
            }),
        }
    }
}

/// What there is to be ended of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    NotAtAll,
    /// Containers that run since before this began.
    EndOld,
    /// One that was made since and has ended again, or one beside which dead ones lie. It is removed with all that is left of the pod,
    /// so that the kubelet does not wait before it makes the next: what it lacked may well be there by now.
    Remove,
    /// Dead since before this began; as long as it is there the kubelet lets it wait.
    RemoveOld,
}

async fn how_to_end(member: &mut Member<'_>) -> How {
    let out_at = *member.out_at.get_or_insert_with(Instant::now);
    let Some(watch) = &member.watch else {
        return How::NotAtAll;
    };
    let seen = watch.returned(out_at.elapsed()).await;
    match seen.presence {
        Presence::Old if !seen.has_dead => How::EndOld,
        Presence::Old | Presence::Ended => How::Remove,
        Presence::Absent if seen.remains => How::RemoveOld,
        Presence::Absent | Presence::New | Presence::Unknown => How::NotAtAll,
    }
}

impl How {
    async fn carry_out(self, member: &Member<'_>, grace: Duration) -> Result<(), String> {
        match (self, &member.watch) {
            (Self::EndOld, Some(watch)) => watch.end_old(grace).await,
            (Self::Remove, Some(watch)) => watch.remove(grace).await,
            (Self::RemoveOld, Some(watch)) => watch.remove_old().await,
            (Self::NotAtAll, _) | (_, None) => Ok(()),
        }
    }
}
