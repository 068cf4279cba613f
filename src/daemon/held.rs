//! What keeps the daemon from acting, in words and for how long.

use std::time::Duration;

use jiff::Timestamp;

use crate::checks::{Check, Finding, Severity};

/// How often to look again at what time or another program brings to an end; changes of watched files are noticed at once.
const WAITING: Duration = Duration::from_secs(300);
/// The same for what somebody has to put right: he wants to see that it helped.
const REFUSED: Duration = Duration::from_secs(60);
/// The same for a kubeadm at work, or something that is just being started: it is soon done.
pub(super) const SHORTLY: Duration = Duration::from_secs(30);

/// When to look again; `None` when nothing holds the daemon back.
pub(super) fn look_again_after(held: &[&Finding], now: Timestamp) -> Option<Duration> {
    held.iter()
        .map(|finding| match (finding.check(), finding.severity) {
            (Check::Kubeadm | Check::Kubelet | Check::Runtime | Check::Health, _) => SHORTLY,
            (Check::Peers, _) if finding.cause.passes().is_none() => SHORTLY,
            (_, Severity::Refuse) => REFUSED,
            (_, Severity::Wait | Severity::Skip | Severity::Warn) => finding
                .cause
                .passes()
                .map_or(WAITING, |passes| until(passes, now)),
        })
        .min()
}

/// Not a moment too soon: what is held until then would be held once more.
fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default() + Duration::from_millis(100)
}

/// When all of it has passed; `None` where nothing holds the daemon back, or where that is not known.
pub(super) fn known_end(held: &[&Finding]) -> Option<Timestamp> {
    let ends: Option<Vec<Timestamp>> = held.iter().map(|finding| finding.cause.passes()).collect();
    ends?.into_iter().max()
}

/// Whether one of them is of that check.
pub(super) fn is_of(held: &[&Finding], check: Check) -> bool {
    held.iter().any(|finding| finding.check() == check)
}

/// Whether somebody has to put something right.
pub(super) fn is_refused(held: &[&Finding]) -> bool {
    held.iter()
        .any(|finding| finding.severity == Severity::Refuse)
}

/// The line in `systemctl status`; `None` when nothing holds the daemon back.
pub(super) fn message(held: &[&Finding]) -> Option<String> {
    // Of equals the first, without which the others often cannot be.
    let worst = held.iter().rev().max_by_key(|finding| finding.severity)?;
    let begin = match worst.severity {
        Severity::Refuse => "Not renewed",
        Severity::Wait | Severity::Skip | Severity::Warn => "Waiting",
    };
    Some(match held.len() {
        1 => format!("{begin}: {worst}"),
        all => format!(
            "{begin}: {worst} (and {} more, see `kubecertd preflight`)",
            all - 1
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Asked, Cause};

    #[test]
    fn the_worst_is_said_and_the_soonest_counts() {
        let finding = |cause, severity| Finding::new(cause, severity, Asked::BySchedule);
        let waiting = finding(Cause::ClockAlone, Severity::Wait);
        let no_room = Cause::ManifestUnreadable {
            path: "/m".into(),
            reason: "damaged".to_owned(),
        };
        let refused = finding(no_room, Severity::Refuse);
        let running = Cause::KubeadmRunning {
            pid: 1,
            command: "kubeadm upgrade".to_owned(),
            since: None,
        };
        let kubeadm = finding(running, Severity::Wait);
        assert_eq!(message(&[]), None);
        let now = Timestamp::UNIX_EPOCH;
        let look_again_after = |held: &[&Finding]| super::look_again_after(held, now);
        assert_eq!(look_again_after(&[]), None);
        assert_eq!(message(&[&waiting]).unwrap(), format!("Waiting: {waiting}"));
        assert_eq!(
            message(&[&waiting, &refused, &kubeadm]).unwrap(),
            "Not renewed: /m: damaged; a pod in it that uses a renewed file is neither restarted nor proved (and 2 more, see \
             `kubecertd preflight`)"
        );
        let second = message(&[&waiting, &kubeadm]).unwrap();
        assert!(second.contains(" as it is (and 1 more"), "{second}");
        assert_eq!(look_again_after(&[&waiting, &refused]), Some(REFUSED));
        assert_eq!(look_again_after(&[&refused, &kubeadm]), Some(SHORTLY));
        let turn = Cause::TurnLater {
            control_planes: 3,
            begins: now + jiff::SignedDuration::from_secs(20),
        };
        let turn = finding(turn, Severity::Wait);
        let pause = look_again_after(&[&waiting, &turn]).unwrap();
        assert!(pause > Duration::from_secs(20) && pause < Duration::from_secs(21));
        assert_eq!(known_end(&[&turn]), turn.cause.passes());
        let sooner = Cause::TurnLater {
            control_planes: 3,
            begins: now,
        };
        let sooner = finding(sooner, Severity::Wait);
        assert_eq!(known_end(&[&turn, &sooner]), turn.cause.passes());
        assert_eq!(known_end(&[&turn, &waiting]), None);
        assert_eq!(known_end(&[]), None);
        assert!(is_refused(&[&waiting, &refused]) && !is_refused(&[&waiting]));
    }
}
