//! What restarting and proving will need: asked for before anything is touched, since a renewal that cannot be finished is
//! rolled back.

use jiff::Timestamp;

use super::cause::Cause;
use super::check::Check;
use super::finding::{Finding, Severity};
use super::intent::{Asked, Intent};
use super::judge::Case;
use crate::probe::ControlPlanes;

/// What came back. Empty where all is well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    /// Why the kubelet is not taken to act upon manifests.
    pub kubelet: Option<String>,
    /// Why the container runtime does not answer.
    pub runtime: Option<String>,
    /// Components that are not well although they are to be restarted, and what was seen of each.
    pub unwell: Vec<(String, String)>,
    /// The other control planes, where there are any.
    pub control_planes: Option<ControlPlanes>,
}

/// What follows from it at `now`. Pure.
#[must_use]
pub fn judge_outlook(
    outlook: &Outlook,
    intent: &Intent,
    asked: Asked,
    now: Timestamp,
) -> Vec<Finding> {
    let case = Case { intent, asked, now };
    let mut findings = Vec::new();
    if let Some(seen) = outlook.kubelet.clone() {
        findings.push(case.need(Cause::KubeletSilent { seen }));
    }
    if let Some(seen) = outlook.runtime.clone() {
        findings.push(case.need(Cause::RuntimeSilent { seen }));
    }
    let unwell = outlook.unwell.iter().cloned();
    findings
        .extend(unwell.map(|(component, seen)| case.need(Cause::Unhealthy { component, seen })));
    if let Some(control_planes) = outlook.control_planes.as_ref().filter(|_| !intent.broken) {
        let silent = control_planes.silent.iter().cloned();
        findings.extend(silent.map(|(who, seen)| {
            case.until_patience_ends(Cause::ControlPlaneSilent {
                who,
                seen,
                control_planes: control_planes.count,
            })
        }));
    }
    findings
}

impl Case<'_> {
    /// The daemon comes back later, and whoever asks by hand can insist. What does not work already may be what the new
    /// certificates mend.
    fn need(&self, cause: Cause) -> Finding {
        let severity = if cause.check() == Check::Health && self.intent.broken {
            Severity::Warn
        } else {
            self.unless_forced()
        };
        self.doubt(cause, severity)
    }

    /// For a life of hours, too, all of which is a last day.
    fn until_patience_ends(&self, cause: Cause) -> Finding {
        let over = self
            .intent
            .deadline
            .as_ref()
            .filter(|deadline| deadline.patience_ends <= self.now)
            .map(|deadline| (&deadline.certificate, deadline.ends));
        self.unless(over, cause, self.unless_forced())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::judge::tests::{days, ending_in, now};
    use crate::plan::Share;

    fn unwell() -> Outlook {
        Outlook {
            kubelet: Some("127.0.0.1:10248: connection refused".into()),
            runtime: Some("/run/x.sock: cannot connect to the container runtime: none".into()),
            unwell: vec![("etcd".into(), "status 503".into())],
            control_planes: Some(ControlPlanes {
                count: 3,
                share: Share::ranked(0, 3),
                silent: vec![("etcd of cp2 (10.0.0.2:2379)".into(), "no answer".into())],
            }),
        }
    }

    fn judged(intent: &Intent, asked: Asked) -> Vec<(Check, Severity)> {
        judge_outlook(&unwell(), intent, asked, now())
            .iter()
            .map(|finding| (finding.check(), finding.severity))
            .collect()
    }

    #[test]
    fn what_a_restart_lacks_is_waited_for_by_the_daemon_and_refused_by_hand() {
        let all = [Check::Kubelet, Check::Runtime, Check::Health, Check::Peers];
        let each = |severity| all.map(|check| (check, severity)).to_vec();
        let far = ending_in(days(20));
        assert_eq!(judged(&far, Asked::BySchedule), each(Severity::Wait));
        for (force, severity) in [(false, Severity::Refuse), (true, Severity::Warn)] {
            assert_eq!(judged(&far, Asked::ByHand { force }), each(severity));
        }
        // Near the end none of it has any force.
        for asked in [Asked::BySchedule, Asked::ByHand { force: false }] {
            assert_eq!(judged(&ending_in(days(9)), asked), each(Severity::Warn));
        }
        let sound = Outlook::default();
        assert_eq!(judge_outlook(&sound, &far, Asked::BySchedule, now()), []);
    }

    #[test]
    fn what_has_ended_or_is_damaged_asks_neither_for_health_nor_for_others() {
        let broken = Intent {
            broken: true,
            ..ending_in(days(20))
        };
        assert_eq!(
            judged(&broken, Asked::ByHand { force: false }),
            [
                (Check::Kubelet, Severity::Refuse),
                (Check::Runtime, Severity::Refuse),
                (Check::Health, Severity::Warn)
            ]
        );
    }
}
