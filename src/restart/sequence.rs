//! One group of restarts: out, gone, back, running, healthy, serving.

use std::time::Duration;

use tokio::time::Instant;

use super::RestartError;
use super::drain::Draining;
use super::member::{Member, of_wave};
use super::parked::ParkedManifests;
use super::progress::{OnProgress, Progress, RestartReport};
use super::restarter::{Restarter, Way};
use super::watch::{Look, PodWatch};
use crate::config::{RestartBy, RestartWait};
use crate::files::Operation;
use crate::host::{Pace, Wait, stopped};
use crate::node::{PodRef, StaticPod};
use crate::plan::RestartGroup;
use crate::probe::{Readiness, kubelet_answers};
use crate::runtime::ContainerRuntime;

/// Beyond its grace, what the kubelet and the runtime take to end a pod.
const BEYOND_GRACE: Duration = Duration::from_secs(30);

/// A kubelet that is just being restarted is given this long to answer.
pub(super) const KUBELET_BOUND: Duration = Duration::from_secs(30);

impl<'node> Restarter<'node> {
    /// Restarts one group. Whatever happens, no manifest stays out: on an error every parked manifest is returned
    /// before this returns, and also when the caller stops waiting. When `stop` becomes true, the manifests out are
    /// returned at once and [`RestartError::Stopped`] is the result.
    ///
    /// # Errors
    /// [`RestartError`], naming the component, what was waited for and what was seen instead.
    pub async fn restart(
        &self,
        group: &RestartGroup,
        operation: &mut Operation<'_>,
        stop: &tokio::sync::watch::Receiver<bool>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<RestartReport>, RestartError> {
        let mut members = self.members(group)?;
        let mut parked = ParkedManifests::new(
            operation,
            group
                .back
                .iter()
                .flatten()
                .map(|pod| pod.manifest.clone())
                .collect(),
        );
        let outcome = tokio::select! {
            biased;
            () = stopped(stop) => Err(RestartError::Stopped),
            outcome = self.run_by_method(group, &mut members, &mut parked, progress) => outcome,
        };
        let returned = parked.return_all();
        match (outcome, returned) {
            (Ok(()), Ok(())) => Ok(members.iter().filter_map(Member::report).collect()),
            (Ok(()), Err((_, source))) => Err(source.into()),
            (Err(error), Ok(())) => Err(error),
            (Err(earlier), Err((manifest, source))) => Err(RestartError::NotReturned {
                manifest,
                source,
                earlier: Box::new(earlier),
            }),
        }
    }

    pub(super) fn members(&self, group: &RestartGroup) -> Result<Vec<Member<'node>>, RestartError> {
        let mut members: Vec<Member<'node>> = Vec::new();
        let inventory = self.inventory;
        for which in group.pods() {
            let pod = inventory
                .pod(which)
                .ok_or_else(|| RestartError::NoSuchPod {
                    component: which.component.clone(),
                })?;
            members.push(Member {
                which: which.clone(),
                out_meanwhile: group.out_meanwhile.contains(which),
                pod,
                readiness: Readiness::of(pod, inventory),
                watch: None,
                draining: Draining::of(pod, self.settings),
                out_at: None,
                gone_after: None,
                healthy_after: None,
                remedies: Vec::new(),
                ended_in_place: false,
            });
        }
        Ok(members)
    }

    /// As `restart.method` says; without a container runtime that knows all of them only manifests are left.
    async fn run_by_method(
        &self,
        group: &RestartGroup,
        members: &mut [Member<'node>],
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        if self.settings.method == RestartBy::Container && self.watch_all(members).await.is_some() {
            self.run_in_place(group, members, parked, progress).await
        } else {
            self.run(group, members, parked, progress).await
        }
    }

    async fn run(
        &self,
        group: &RestartGroup,
        members: &mut [Member<'node>],
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        if members.is_empty() {
            return Ok(());
        }
        self.expect_kubelet().await?;
        let runtime = self.runtime().await;
        for wave in &group.out {
            for member in of_wave(members, wave) {
                member.readiness.drop_wrong_guess().await;
                member.watch =
                    Some(PodWatch::begin(member.pod, self.inventory, runtime.clone()).await);
            }
            for member in of_wave(members, wave) {
                parked.park(&member.which.manifest)?;
                member.out_at = Some(Instant::now());
                progress(Progress::ManifestOut {
                    component: member.which.component.clone(),
                });
            }
            if !self.wait_until_gone(members, wave, progress).await? {
                parked
                    .return_all()
                    .map_err(|(_, source)| RestartError::from(source))?;
                return self.end_in_place(group, members, parked, progress).await;
            }
        }
        for wave in &group.back {
            self.wait_out_interval(members, wave, progress).await;
            for member in of_wave(members, wave) {
                member.forget_the_dead().await;
                self.return_manifest(member, parked, progress)?;
            }
            self.wait_until_healthy(members, wave, Way::Manifests, parked, progress)
                .await?;
        }
        Ok(())
    }

    /// Moving a manifest means nothing while the kubelet is down, and much when it comes back.
    pub(super) async fn expect_kubelet(&self) -> Result<(), RestartError> {
        let wait = Wait::begin(KUBELET_BOUND);
        let mut pace = Pace::new();
        while let Err((address, reason)) = kubelet_answers(self.inventory).await {
            if wait.is_over() {
                return Err(RestartError::KubeletDown { address, reason });
            }
            pace.pause().await;
        }
        Ok(())
    }

    /// Looks whether the kubelet answers, and says that it is waited for where it does not: a restart begins with that wait.
    pub async fn report_silent_kubelet(&self, progress: &mut (dyn FnMut(Progress) + Send)) {
        if let Err((address, reason)) = kubelet_answers(self.inventory).await {
            tracing::debug!("the kubelet does not answer at {address}: {reason}");
            progress(Progress::Waiting {
                component: "kubelet".to_owned(),
                what: format!("its answer at {address}"),
                since: Duration::ZERO,
                bound: KUBELET_BOUND,
            });
        }
    }

    pub(super) async fn runtime(&self) -> Option<ContainerRuntime> {
        match ContainerRuntime::find(self.inventory, self.settings).await {
            Ok(runtime) => {
                tracing::debug!("watching containers through {}", runtime.description());
                Some(runtime)
            }
            Err(error) => {
                tracing::warn!("{error}; going by processes and the kubelet's interval instead");
                None
            }
        }
    }

    /// False when a pod does not go although its manifest is out for longer than its grace, and can be ended otherwise:
    /// a kubelet that has not heard of the API server since its own start removes no pod.
    async fn wait_until_gone(
        &self,
        members: &mut [Member<'node>],
        wave: &[PodRef],
        progress: OnProgress<'_>,
    ) -> Result<bool, RestartError> {
        let what = "the end of its containers";
        let mut pace = Pace::new();
        let mut waits: Vec<Wait> = of_wave(members, wave)
            .map(|member| {
                Wait::begin(end_bound(
                    self.settings.timeout,
                    member.pod,
                    member.interval(),
                ))
            })
            .collect();
        loop {
            let mut all = true;
            for (member, wait) in of_wave(members, wave).zip(&mut waits) {
                if member.gone_after.is_some() {
                    continue;
                }
                let out = member.out_for();
                let Some(watch) = &mut member.watch else {
                    continue;
                };
                let has_runtime = watch.has_runtime();
                let look = watch.gone(out).await;
                // Looking may have taken long.
                let after = member.out_for();
                match look {
                    Look::Done => {
                        member.gone_after = Some(after);
                        progress(Progress::ContainersGone {
                            component: member.which.component.clone(),
                            after,
                        });
                    }
                    Look::NotYet(_) if has_runtime && after >= longest_end(member.pod) => {
                        progress(Progress::NotEnding {
                            component: member.which.component.clone(),
                            after,
                        });
                        return Ok(false);
                    }
                    Look::NotYet(seen) => {
                        all = false;
                        if let (Some(draining), Some(watch), true) =
                            (&mut member.draining, &member.watch, has_runtime)
                        {
                            draining.go_on(&member.which, watch, progress).await;
                        }
                        self.go_on(member, wait, what, &seen, progress).await?;
                    }
                }
            }
            if all {
                return Ok(true);
            }
            pace.pause().await;
        }
    }

    /// kubeadm's page wants a manifest out for a whole interval of the kubelet's.
    async fn wait_out_interval(
        &self,
        members: &mut [Member<'node>],
        wave: &[PodRef],
        progress: OnProgress<'_>,
    ) {
        if self.settings.wait != RestartWait::Interval {
            return;
        }
        let interval = self.inventory.kubelet.file_check_frequency;
        let mut pace = Pace::new();
        let mut wait = Wait::begin(interval);
        while let Some(member) = of_wave(members, wave)
            .find(|member| member.out_at.is_some() && member.out_for() < interval)
        {
            member.report_waiting(&mut wait, "the kubelet's interval, out", progress);
            pace.pause().await;
        }
    }

    fn return_manifest(
        &self,
        member: &Member<'_>,
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        if member.out_at.is_none() {
            return Ok(());
        }
        if !parked.return_manifest(&member.which.manifest)? {
            tracing::warn!(
                component = member.which.component.as_str(),
                path = %member.which.manifest.display(),
                "{}: another process put a newer manifest in its place; that one stays, the old one is in the backup",
                member.which.component
            );
        }
        let after = member.out_for();
        progress(Progress::ManifestBack {
            component: member.which.component.clone(),
            after,
        });
        Ok(())
    }
}

/// How long a pod is waited for whose manifest is out, `interval` being what the kubelet may take to notice.
fn end_bound(timeout: Duration, pod: &StaticPod, interval: Duration) -> Duration {
    timeout.max(longest_end(pod) + interval)
}

/// After this a pod whose manifest is out has ended, if the kubelet has seen it.
fn longest_end(pod: &StaticPod) -> Duration {
    Duration::from_secs(pod.termination_grace_seconds) + BEYOND_GRACE
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::host::Root;

    #[test]
    fn a_slow_kubelet_is_given_its_interval_however_short_the_timeout() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  terminationGracePeriodSeconds: 40\n  \
                    containers: [{name: x, image: x}]\n";
        let pod = StaticPod::parse(Path::new("/x.yaml"), text, &Root::default()).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!(end_bound(seconds(300), &pod, seconds(0)), seconds(300));
        assert_eq!(end_bound(seconds(60), &pod, seconds(0)), seconds(70));
        assert_eq!(end_bound(seconds(300), &pod, seconds(20)), seconds(300));
        assert_eq!(end_bound(seconds(300), &pod, seconds(600)), seconds(670));
    }
}
