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
        let runtime = self.runtime_in_time(progress).await;
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

/// Ends a pod's containers from before. One that was made since and has ended again is removed with all that is left of
/// it, so that the kubelet does not wait before it makes the next: what it lacked may well be there by now.
async fn end(member: &mut Member<'_>, grace: Duration, progress: OnProgress<'_>) {
    let out_at = *member.out_at.get_or_insert_with(Instant::now);
    let Some(watch) = &member.watch else {
        return;
    };
    let component = member.which.component.clone();
    let seen = watch.returned(out_at.elapsed()).await;
    let done = match seen.presence {
        Presence::Old => {
            progress(Progress::ContainersEnding { component });
            watch.end_old(grace).await
        }
        Presence::Ended => {
            progress(Progress::ContainersEnding { component });
            watch.remove(grace).await
        }
        // Dead since before this began; as long as it is there the kubelet lets it wait.
        Presence::Absent if seen.remains => {
            progress(Progress::ContainersEnding { component });
            watch.remove_old().await
        }
        Presence::Absent | Presence::New | Presence::Unknown => Ok(()),
    };
    let component = member.which.component.clone();
    match done {
        Ok(()) => {
            let after = out_at.elapsed();
            member.gone_after.get_or_insert(after);
        }
        Err(reason) => progress(Progress::RemedyFailed {
            component,
            remedy: Remedy::Containers,
            reason,
        }),
    }
}
