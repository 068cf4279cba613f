//! `restart.method = "container"`: containers are ended through the container runtime and manifests stay where they are. The kubelet
//! starts what it misses within a second.

use std::time::Duration;

use super::RestartError;
use super::containers::end_together;
use super::member::{Member, of_wave};
use super::parked::ParkedManifests;
use super::progress::OnProgress;
use super::restarter::{Restarter, Way};
use super::returning::grace;
use super::watch::PodWatch;
use crate::config::Drain;
use crate::node::PodRef;
use crate::plan::RestartGroup;
use crate::probe::{API_SERVER, ETCD};
use crate::runtime::ContainerRuntime;

/// For so long the API may be away before controller-manager and scheduler give up their leases (`--leader-elect-renew-deadline`, 10 s)
/// and exit. Those that use no new file are left alone until then.
const LEASES_LAST: Duration = Duration::from_secs(8);

impl<'node> Restarter<'node> {
    /// Watches all pods through the container runtime, before anything is done. `None` where one of them is not known to it: then
    /// only manifests are left.
    pub(super) async fn watch_all(&self, members: &mut [Member<'node>]) -> Option<()> {
        let runtime: ContainerRuntime = self.runtime().await?;
        for member in members.iter_mut() {
            member.readiness.drop_wrong_guess().await;
            let watch = PodWatch::begin(member.pod, self.inventory, Some(runtime.clone())).await;
            if !watch.has_runtime() {
                return None;
            }
            member.watch = Some(watch);
        }
        Some(())
    }

    /// Ends the group's containers, API server and etcd side by side and the others when those are well again.
    pub(super) async fn run_in_place(
        &self,
        group: &RestartGroup,
        members: &mut [Member<'node>],
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        self.expect_kubelet().await?;
        let mut away = Duration::ZERO;
        for wave in side_by_side(group, members) {
            let ended: Vec<PodRef> = of_wave(members, &wave)
                .filter(|member| !member.out_meanwhile || away >= LEASES_LAST)
                .map(|member| member.which.clone())
                .collect();
            let began = tokio::time::Instant::now();
            let grace = |member: &Member<'_>| self.grace(member);
            end_together(of_wave(members, &ended), grace, progress).await;
            self.wait_until_healthy(members, &ended, Way::Containers, parked, progress)
                .await?;
            away = away.max(began.elapsed());
        }
        Ok(())
    }

    /// What a container is given to end. etcd ends as soon as it has handed its leadership over, and is not killed before.
    fn grace(&self, member: &Member<'_>) -> Duration {
        match self.settings.drain {
            Drain::For(time) if member.pod.program() != Some(ETCD) => time.min(grace(member)),
            Drain::For(_) | Drain::Pod => grace(member),
        }
    }
}

/// The group's pods as they are ended: what the others need first.
fn side_by_side(group: &RestartGroup, members: &[Member<'_>]) -> Vec<Vec<PodRef>> {
    let is_needed = |which: &PodRef| {
        members.iter().any(|member| {
            member.which == *which && matches!(member.pod.program(), Some(API_SERVER | ETCD))
        })
    };
    let (first, then): (Vec<PodRef>, Vec<PodRef>) =
        group.back.iter().flatten().cloned().partition(is_needed);
    [first, then]
        .into_iter()
        .filter(|wave| !wave.is_empty())
        .collect()
}
