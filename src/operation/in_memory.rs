//! From when on windows and holds do not hold back the restart of a component whose certificate in memory is about to end.

use jiff::SignedDuration;

use crate::checks::Overridden;
use crate::config::Renewal;
use crate::host::shifted;
use crate::plan::restart_due_at;
use crate::probe::InMemory;

/// By the rule for certificates in files: `renewal.window-override` before the end, or in the second half of the time in which the
/// restart is due, where that is later.
pub(super) fn overridden(
    seen: &[InMemory],
    components: &[String],
    renewal: &Renewal,
) -> Option<Overridden> {
    let longest = SignedDuration::try_from(renewal.window_override).unwrap_or(SignedDuration::MAX);
    seen.iter()
        .filter(|one| components.contains(&one.component))
        .map(|one| {
            let due = restart_due_at(one.not_before, one.not_after, renewal.before);
            let margin = one.not_after.duration_since(due);
            Overridden {
                certificate: one.name().as_str().into(),
                ends: one.not_after,
                from: shifted(one.not_after, -longest.min(margin / 2)),
            }
        })
        .min_by_key(|one| one.from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::net::Address;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY).unwrap()
    }

    fn lives(component: &str, days: i64) -> InMemory {
        InMemory {
            component: component.to_owned(),
            address: Address {
                host: "127.0.0.1".to_owned(),
                port: 10257,
            },
            not_before: at(0),
            not_after: at(days),
        }
    }

    #[test]
    fn the_first_end_among_those_that_are_restarted_lifts_windows_and_holds() {
        let mut renewal = Renewal::default();
        let seen = [
            lives("kube-scheduler", 100),
            lives("kube-apiserver", 365),
            lives("kube-controller-manager", 300),
        ];
        let components = [
            "kube-apiserver".to_owned(),
            "kube-controller-manager".to_owned(),
        ];
        let found = overridden(&seen, &components, &renewal).unwrap();
        assert_eq!(
            found.certificate.as_str(),
            "kube-controller-manager (in memory)"
        );
        assert_eq!((found.from, found.ends), (at(293), at(300)));
        assert_eq!(overridden(&seen, &["etcd".to_owned()], &renewal), None);
        // Of one that is due for thirty days at most windows have at least half.
        renewal.window_override = Duration::from_secs(90 * 86_400);
        let found = overridden(&seen, &components, &renewal).unwrap();
        assert_eq!(found.from, at(285));
    }
}
