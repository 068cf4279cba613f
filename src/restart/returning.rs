//! Waiting until pods are back, and what is tried for one that is not.

use std::time::Duration;

use tokio::time::Instant;

use super::RestartError;
use super::member::{Member, Return, of_wave};
use super::parked::ParkedManifests;
use super::progress::{OnProgress, Progress, report_waiting};
use super::remedy::{Remedy, Seen, Shares, next_remedy};
use super::restarter::{Restarter, Way};
use super::watch::Look;
use crate::config::RestartWait;
use crate::host::{Pace, Wait};
use crate::journal::Record;
use crate::node::PodRef;
use crate::probe::kubelet_answers;

/// A kubelet that starts on a busy node answers after some seconds.
const KUBELET_START: Duration = Duration::from_secs(60);

impl<'node> Restarter<'node> {
    pub(super) async fn wait_until_healthy(
        &self,
        members: &mut [Member<'node>],
        wave: &[PodRef],
        way: Way,
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        let back_at = Instant::now();
        let interval = match (way, self.settings.wait) {
            (Way::Containers, _) | (_, RestartWait::Observed) => Duration::ZERO,
            (_, RestartWait::Interval) => self.inventory.kubelet.file_check_frequency,
        };
        let mut pace = Pace::new();
        let mut returns: Vec<Return> = of_wave(members, wave)
            .map(|member| Return::begin(self.settings.timeout + interval.max(member.interval())))
            .collect();
        loop {
            let mut all = true;
            let mut kubelet_restarted = false;
            for (member, returning) in of_wave(members, wave).zip(&mut returns) {
                if member.healthy_after.is_some() || member.out_at.is_none() {
                    continue;
                }
                let look = match member.look_for_return(returning, back_at, progress).await {
                    Look::Done if back_at.elapsed() < interval => {
                        Look::NotYet("it is back; the kubelet's interval is not over".to_owned())
                    }
                    look => look,
                };
                match look {
                    Look::Done => {
                        let after = member.out_for();
                        member.healthy_after = Some(after);
                        parked.note(Record::Restarted {
                            component: member.which.component.clone(),
                        })?;
                        progress(Progress::Healthy {
                            component: member.which.component.clone(),
                            after,
                        });
                    }
                    Look::NotYet(seen) => {
                        all = false;
                        let what = match returning.running_since {
                            None => "the start of its new container",
                            Some(_) => "it to be healthy",
                        };
                        self.go_on(member, &mut returning.wait, what, &seen, progress)
                            .await?;
                        if let Some(remedy) = self.next(member, returning, way, interval).await {
                            self.try_remedy(member, remedy, parked, progress).await;
                            returning.tried_at = Instant::now();
                            kubelet_restarted |= remedy == Remedy::Kubelet;
                        }
                    }
                }
            }
            if kubelet_restarted {
                self.note_kubelet_restart(members, wave, &mut returns);
            }
            if all {
                return Ok(());
            }
            pace.pause().await;
        }
    }

    /// One restart of the kubelet is for all that wait.
    fn note_kubelet_restart(
        &self,
        members: &mut [Member<'node>],
        wave: &[PodRef],
        returns: &mut [Return],
    ) {
        for (member, returning) in of_wave(members, wave).zip(returns) {
            if member.healthy_after.is_none() && member.remedies.last() != Some(&Remedy::Kubelet) {
                member.remedies.push(Remedy::Kubelet);
                returning.tried_at = Instant::now();
            }
        }
    }

    async fn next(
        &self,
        member: &Member<'_>,
        returning: &Return,
        way: Way,
        interval: Duration,
    ) -> Option<Remedy> {
        let at = member.remedies.last().copied().unwrap_or(Remedy::First);
        let bound = self.settings.timeout;
        let shares = match way {
            Way::Manifests => Shares::of_manifests(bound),
            Way::Containers => Shares::of_containers(bound),
        };
        let interval = interval.max(member.interval());
        let waited = returning.tried_at.elapsed().saturating_sub(interval);
        let seen = Seen {
            presence: returning.presence,
            remains: returning.remains,
            // A pod that says itself which UID it has is the same one with any annotation.
            manifest: way == Way::Manifests && member.pod.uid.is_none(),
            kubelet_answers: true,
        };
        // The kubelet is asked only when it matters.
        let next = next_remedy(at, waited, shares, seen);
        let silent = Seen {
            kubelet_answers: false,
            ..seen
        };
        if next == next_remedy(at, waited, shares, silent) {
            return next;
        }
        match kubelet_answers(self.inventory).await {
            Ok(()) => next,
            Err(_) => next_remedy(at, waited, shares, silent),
        }
    }

    /// Tries one thing. That it cannot be done is told, and leaves the next to be tried.
    async fn try_remedy(
        &self,
        member: &mut Member<'_>,
        remedy: Remedy,
        parked: &mut ParkedManifests<'_, '_>,
        progress: OnProgress<'_>,
    ) {
        member.remedies.push(remedy);
        progress(Progress::RemedyTried {
            component: member.which.component.clone(),
            remedy,
            after: member.out_for(),
        });
        let done = match (remedy, &member.watch) {
            (Remedy::Annotation, _) => {
                parked.annotate(&member.which.manifest, &crate::host::now().to_string())
            }
            (Remedy::Containers, Some(watch)) => watch.remove(grace(member)).await,
            (Remedy::Kubelet, _) => self
                .restart_kubelet(progress)
                .await
                .map_err(|error| error.to_string()),
            (Remedy::First | Remedy::Containers, _) => Ok(()),
        };
        if let Err(reason) = done {
            progress(Progress::RemedyFailed {
                component: member.which.component.clone(),
                remedy,
                reason,
            });
        }
    }

    /// Restarts the kubelet and waits until it answers.
    pub(super) async fn restart_kubelet(
        &self,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        progress(Progress::KubeletRestarting);
        let begun = Instant::now();
        let mut wait = Wait::begin(KUBELET_START);
        self.kubelet.restart().await?;
        let mut pace = Pace::new();
        while let Err((address, reason)) = kubelet_answers(self.inventory).await {
            if begun.elapsed() >= KUBELET_START {
                return Err(RestartError::KubeletSilent {
                    address,
                    bound: KUBELET_START,
                    reason,
                });
            }
            report_waiting(
                &mut wait,
                "kubelet",
                &format!("its answer at {address}"),
                progress,
            );
            pace.pause().await;
        }
        progress(Progress::KubeletAnswers {
            after: begun.elapsed(),
        });
        Ok(())
    }

    /// Says that the wait goes on, or that it is over.
    pub(super) async fn go_on(
        &self,
        member: &Member<'_>,
        wait: &mut Wait,
        what: &str,
        seen: &str,
        progress: OnProgress<'_>,
    ) -> Result<(), RestartError> {
        if !wait.is_over() {
            member.report_waiting(wait, what, progress);
            return Ok(());
        }
        let kubelet = match kubelet_answers(self.inventory).await {
            Ok(()) => String::new(),
            Err((address, reason)) => {
                format!("; the kubelet does not answer at {address}: {reason}")
            }
        };
        Err(RestartError::TimedOut {
            component: member.which.component.clone(),
            what: what.to_owned(),
            bound: wait.bound,
            seen: format!(
                "{seen}{kubelet}{}; see `crictl ps -a`, `journalctl -u kubelet` and /var/log/pods",
                tried(&member.remedies)
            ),
        })
    }
}

/// How long a pod may take to end.
pub(super) fn grace(member: &Member<'_>) -> Duration {
    Duration::from_secs(member.pod.termination_grace_seconds)
}

fn tried(remedies: &[Remedy]) -> String {
    if remedies.is_empty() {
        return String::new();
    }
    let words: Vec<String> = remedies.iter().map(Remedy::to_string).collect();
    format!("; tried in vain: {}", words.join(", then "))
}
