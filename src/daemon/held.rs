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
        .map(|finding| match (finding.check, finding.severity) {
            (Check::Kubeadm | Check::Kubelet | Check::Runtime | Check::Health, _) => SHORTLY,
            (Check::Peers, _) if finding.passes.is_none() => SHORTLY,
            (_, Severity::Refuse) => REFUSED,
            (_, Severity::Wait | Severity::Skip | Severity::Warn) => {
                finding.passes.map_or(WAITING, |passes| until(passes, now))
            }
        })
        .min()
}

/// Not a moment too soon: what is held until then would be held once more.
fn until(moment: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(moment.duration_since(now)).unwrap_or_default() + Duration::from_millis(100)
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

    #[test]
    fn the_worst_is_said_and_the_soonest_counts() {
        let finding =
            |check, severity, sentence: &str| Finding::new(check, severity, sentence.to_owned());
        let waiting = finding(Check::OtherRenewer, Severity::Wait, "a timer");
        let refused = finding(Check::Space, Severity::Refuse, "no room");
        let kubeadm = finding(Check::Kubeadm, Severity::Wait, "an upgrade");
        assert_eq!(message(&[]), None);
        let now = Timestamp::UNIX_EPOCH;
        let look_again_after = |held: &[&Finding]| super::look_again_after(held, now);
        assert_eq!(look_again_after(&[]), None);
        assert_eq!(message(&[&waiting]).unwrap(), "Waiting: a timer");
        assert_eq!(
            message(&[&waiting, &refused, &kubeadm]).unwrap(),
            "Not renewed: no room (and 2 more, see `kubecertd preflight`)"
        );
        let second = message(&[&waiting, &kubeadm]).unwrap();
        assert!(
            second.starts_with("Waiting: a timer (and 1 more"),
            "{second}"
        );
        assert_eq!(look_again_after(&[&waiting, &refused]), Some(REFUSED));
        assert_eq!(look_again_after(&[&refused, &kubeadm]), Some(SHORTLY));
        let turn = Finding {
            passes: Some(now + jiff::SignedDuration::from_secs(20)),
            ..finding(Check::Peers, Severity::Wait, "a turn")
        };
        let pause = look_again_after(&[&waiting, &turn]).unwrap();
        assert!(pause > Duration::from_secs(20) && pause < Duration::from_secs(21));
        assert!(is_refused(&[&waiting, &refused]) && !is_refused(&[&waiting]));
    }
}
