//! When a certificate's renewal is due.
//!
//! All reckoning is in whole seconds, as in X.509.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Renewal;
use crate::node::{Inventory, Present};
use crate::pki::Certificate;

/// How far a new certificate's NotBefore lies back, by kubeadm's habit: so that clocks that differ a little accept it.
pub(super) const BACKDATED: Duration = Duration::from_secs(300);

/// A certificate that is about to end is renewed whatever is doubtful about that, so much before.
pub(super) const LAST_MOMENT: Duration = Duration::from_secs(86_400);

/// How small a part of the lifetime that a certificate claims may be believed on account of its file's age: a quarter, so
/// that what kubeadm made for a year is renewed thirty days before its end, whenever its file was restored or copied.
const LEAST_PART: u64 = 4;

/// What is renewed in its last third is never renewed before its last five twelfths for the sake of jitter.
const LEAD_PART: u64 = 12;

/// Certificates that live less long have no time to spare.
const SHORT: Duration = Duration::from_secs(3600);

/// The certificate's real lifetime: NotBefore can lie (kubeadm before 1.31 wrote the CA's), so it counts from the
/// file's last change where that is later and plausible.
///
/// A certificate is never younger than its file, so the truth lies between the two. A file can be touched or restored at any
/// time, though, and a lifetime that shrinks with each touch would put the renewal off until nothing is left for it;
/// hence never less than a quarter of what the certificate claims.
#[must_use]
pub fn lifetime(present: &Present) -> Duration {
    let leaf = &present.leaf;
    let claimed = between(leaf.not_before, leaf.not_after);
    match present.modified {
        Some(modified) if modified > leaf.not_before && modified < leaf.not_after => {
            let seen = between(modified, leaf.not_after);
            seen.max(Duration::from_secs(claimed.as_secs() / LEAST_PART))
        }
        _ => claimed,
    }
}

/// The moment from which it is to be renewed: `before` its end, but never earlier than the last third of its lifetime.
#[must_use]
pub fn due_at(present: &Present, effective_not_after: Timestamp, before: Duration) -> Timestamp {
    earlier(effective_not_after, margin(lifetime(present), before))
}

/// How much earlier this machine is than others, by `renewal.jitter`.
#[must_use]
pub fn jitter(inventory: &Inventory, renewal: &Renewal) -> Duration {
    inventory
        .lot
        .map_or(Duration::ZERO, |lot| lot.part_of(renewal.jitter))
}

/// How much of a machine's jitter counts for a certificate of that lifetime: so little that its renewals stay far apart, and none
/// where a new one could be due at once for it.
#[must_use]
pub fn lead(lifetime: Duration, jitter: Duration) -> Duration {
    if lifetime < SHORT {
        return Duration::ZERO;
    }
    jitter.min(Duration::from_secs(lifetime.as_secs() / LEAD_PART))
}

/// The same of a certificate that is in no file: from when on its component is to be restarted.
#[must_use]
pub fn restart_due_at(not_before: Timestamp, not_after: Timestamp, before: Duration) -> Timestamp {
    earlier(not_after, margin(between(not_before, not_after), before))
}

/// How long before its end a certificate of that lifetime is renewed.
pub(super) fn margin(lifetime: Duration, before: Duration) -> Duration {
    before.min(Duration::from_secs(lifetime.as_secs() / 3))
}

/// Whether a certificate is not valid yet, and not only because two clocks differ a little.
pub(super) fn begins_later(leaf: &Certificate, now: Timestamp) -> bool {
    later(now, BACKDATED) < leaf.not_before
}

/// The moment so much earlier, or the earliest there is.
pub(super) fn earlier(moment: Timestamp, by: Duration) -> Timestamp {
    let second = moment.as_second().saturating_sub(whole_seconds(by));
    Timestamp::from_second(second).unwrap_or(Timestamp::MIN)
}

/// The moment so much later, or the latest there is.
pub(super) fn later(moment: Timestamp, by: Duration) -> Timestamp {
    let second = moment.as_second().saturating_add(whole_seconds(by));
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// Zero where the end is before the start.
pub(super) fn between(start: Timestamp, end: Timestamp) -> Duration {
    let seconds = end.as_second().saturating_sub(start.as_second());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
