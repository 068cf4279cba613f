//! Pods that go on with a CA's certificate from before it was extended: that does no harm until it ends, and then they refuse all
//! that the CA signed.

use jiff::{SignedDuration, Timestamp};

use super::of_its_own::{may_restart, was_restarted};
use crate::node::Inventory;
use crate::operation::{Context, OldAuthority, old_authorities};
use crate::pki::date;
use crate::report::Receipt;

/// From so long before the end on it is said. Most are restarted before that, for other reasons.
const SAID: SignedDuration = SignedDuration::from_hours(90 * 24);
/// From so long before the end on they are restarted, as for anything that is due.
const RESTARTED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Those that were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OldAuthorities {
    /// Each, and whether it is to be restarted now.
    known: Vec<(OldAuthority, bool)>,
}

impl OldAuthorities {
    /// Asks the container runtime, where the history knows of a CA whose old certificate ends soon.
    pub(super) async fn look(
        context: &Context,
        inventory: &Inventory,
        receipts: &[Receipt],
    ) -> Self {
        let now = crate::host::now();
        let until = later(now, SAID);
        let seen = old_authorities(context, inventory, receipts, until).await;
        Self::of(seen, may_restart(context), receipts, now)
    }

    fn of(seen: Vec<OldAuthority>, may: bool, receipts: &[Receipt], now: Timestamp) -> Self {
        let judged = seen.into_iter().map(|old| {
            // Whoever was restarted and seems to have the old one nevertheless is not restarted again and again.
            let is_due = old.ends < later(now, RESTARTED)
                && !was_restarted(receipts, &old.pod.component, now);
            (old, may && is_due)
        });
        Self {
            known: judged.collect(),
        }
    }

    /// One sentence each.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.known.iter().map(|(old, _)| {
            format!(
                "{} goes on with the certificate of {} that ends {}, and from then on refuses what that CA signed; only a restart \
                 brings it the new one",
                old.pod.component,
                old.name,
                date(old.ends)
            )
        })
    }

    /// Their components.
    pub(super) fn to_be_restarted(&self) -> impl Iterator<Item = &String> {
        let due = self.known.iter().filter(|(_, is_due)| *is_due);
        due.map(|(old, _)| &old.pod.component)
    }
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::PodRef;
    use crate::pki::AuthorityId;

    #[test]
    fn it_is_said_long_before_and_restarted_a_week_before_the_end() {
        let now: Timestamp = "2026-11-27T20:00:00Z".parse().unwrap();
        let old = |hours: i64| OldAuthority {
            name: AuthorityId::Etcd,
            pod: PodRef {
                component: "etcd".to_owned(),
                manifest: "/etc/kubernetes/manifests/etcd.yaml".into(),
            },
            ends: now + SignedDuration::from_hours(hours),
        };
        for (hours, may, restarts) in [
            (24 * 60, true, 0),
            (24 * 6, true, 1),
            (-24, true, 1),
            (24 * 6, false, 0),
        ] {
            let known = OldAuthorities::of(vec![old(hours)], may, &[], now);
            assert_eq!(known.to_be_restarted().count(), restarts, "{hours}");
            assert_eq!(known.notes().count(), 1);
        }
    }
}
