//! What is tried, one after the other, for a pod that does not come back. Pure: decided from what is seen.

use std::fmt;
use std::time::Duration;

/// One thing that brings a pod back.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Its manifest came back as it was, or its container was stopped once: what every restart begins with.
    First,
    /// Its manifest comes back with another annotation: to the kubelet that is another pod.
    Annotation,
    /// What is left of its containers is ended and removed through the container runtime.
    Containers,
    /// The kubelet is restarted. Nothing comes after it: until the kubelet has heard of the API server since its own
    /// start, it removes no pod whose manifest goes away.
    Kubelet,
}

impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::First => "as usual",
            Self::Annotation => "its manifest with another annotation",
            Self::Containers => "removing its containers through the container runtime",
            Self::Kubelet => "restarting the kubelet",
        })
    }
}

/// What there is of a pod that should run anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// No container of it was made since.
    Absent,
    /// One from before still runs.
    Old,
    /// One made since has ended; the kubelet may be waiting before it makes the next.
    Ended,
    /// It runs anew; whether it is well is another question.
    New,
    /// Nobody could be asked.
    Unknown,
}

/// What decides the next remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) presence: Presence,
    /// Whether the container runtime knows anything of it that could be removed.
    pub(super) remains: bool,
    /// Whether its manifest may be moved now.
    pub(crate) manifest: bool,
    pub(crate) kubelet_answers: bool,
}

/// How long each remedy but the last is given; the last has what is left of the whole wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) absent: Duration,
    pub(super) ended: Duration,
}

impl Shares {
    /// After a manifest came back: the kubelet may take up to a quarter of a minute for a changed one.
    pub(super) fn of_manifests(bound: Duration) -> Self {
        Self {
            absent: bound / 5,
            ended: bound / 5,
        }
    }

    /// Without manifests the kubelet acts at once, and what has ended is known to be waited with.
    pub(super) fn of_containers(bound: Duration) -> Self {
        Self {
            absent: bound / 5,
            ended: bound / 30,
        }
    }

    fn of(self, presence: Presence) -> Duration {
        match presence {
            Presence::Ended => self.ended,
            _ => self.absent,
        }
    }
}

/// The remedy to be tried now, `waited` after the one before; `None` while waiting is better, or nothing is left.
///
/// A pod that runs is left to the kubelet's own probes: an etcd that reads its log for minutes is not helped by being
/// stopped.
pub(super) fn next_remedy(
    at: Remedy,
    waited: Duration,
    shares: Shares,
    seen: Seen,
) -> Option<Remedy> {
    if waited < shares.of(seen.presence) {
        return None;
    }
    [Remedy::Annotation, Remedy::Containers, Remedy::Kubelet]
        .into_iter()
        .filter(|remedy| *remedy > at)
        .find(|remedy| may_help(*remedy, seen))
}

fn may_help(remedy: Remedy, seen: Seen) -> bool {
    match remedy {
        Remedy::First => false,
        // What has ended is sooner made anew by removing it; beside an old one that still runs, a second would not start.
        Remedy::Annotation => {
            seen.kubelet_answers
                && seen.manifest
                && match seen.presence {
                    Presence::Absent => true,
                    Presence::Ended => !seen.remains,
                    Presence::Old | Presence::New | Presence::Unknown => false,
                }
        }
        Remedy::Containers => {
            seen.kubelet_answers
                && seen.remains
                && matches!(
                    seen.presence,
                    Presence::Absent | Presence::Old | Presence::Ended
                )
        }
        // A program that ends by itself does so under another kubelet as well.
        Remedy::Kubelet => match seen.presence {
            Presence::Absent | Presence::Old => true,
            Presence::Ended => !seen.kubelet_answers,
            Presence::New | Presence::Unknown => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHARES: Shares = Shares {
        absent: Duration::from_secs(60),
        ended: Duration::from_secs(10),
    };

    fn seen(presence: Presence) -> Seen {
        Seen {
            presence,
            remains: true,
            manifest: true,
            kubelet_answers: true,
        }
    }

    /// The remedies tried where nothing ever changes.
    fn tried(seen: Seen) -> Vec<Remedy> {
        let mut remedies = vec![Remedy::First];
        while let Some(remedy) =
            next_remedy(remedies[remedies.len() - 1], SHARES.absent, SHARES, seen)
        {
            remedies.push(remedy);
        }
        remedies.remove(0);
        remedies
    }

    #[test]
    fn what_is_seen_decides_which_remedies_are_tried() {
        use Remedy::{Annotation, Containers, Kubelet};
        let absent = seen(Presence::Absent);
        assert_eq!(tried(absent), [Annotation, Containers, Kubelet]);
        let nothing_left = Seen {
            remains: false,
            ..absent
        };
        assert_eq!(tried(nothing_left), [Annotation, Kubelet]);
        let no_manifest = Seen {
            manifest: false,
            ..absent
        };
        assert_eq!(tried(no_manifest), [Containers, Kubelet]);
        let no_kubelet = Seen {
            kubelet_answers: false,
            ..absent
        };
        assert_eq!(tried(no_kubelet), [Kubelet]);
        assert_eq!(tried(seen(Presence::Old)), [Containers, Kubelet]);
        assert_eq!(tried(seen(Presence::Ended)), [Containers]);
        assert_eq!(tried(seen(Presence::New)), []);
        assert_eq!(tried(seen(Presence::Unknown)), []);
    }

    #[test]
    fn each_remedy_has_its_share() {
        let short = Duration::from_secs(59);
        let waits = |presence, waited| next_remedy(Remedy::First, waited, SHARES, seen(presence));
        assert_eq!(waits(Presence::Absent, short), None);
        assert_eq!(waits(Presence::Ended, short), Some(Remedy::Containers));
        assert_eq!(waits(Presence::Ended, Duration::from_secs(9)), None);
        let bound = Duration::from_secs(300);
        for shares in [Shares::of_manifests(bound), Shares::of_containers(bound)] {
            assert!(shares.absent * 4 < bound && shares.ended * 4 < bound);
        }
    }

    proptest! {
        #[test]
        fn no_remedy_is_tried_twice(
            sights in prop::collection::vec((0usize..5, any::<[bool; 3]>()), 0..40)
        ) {
            let mut at = Remedy::First;
            for (presence, [remains, manifest, kubelet_answers]) in sights {
                let presence = [
                    Presence::Absent, Presence::Old, Presence::Ended, Presence::New, Presence::Unknown,
                ][presence];
                let seen = Seen { presence, remains, manifest, kubelet_answers };
                if let Some(remedy) = next_remedy(at, SHARES.absent, SHARES, seen) {
                    prop_assert!(remedy > at);
                    prop_assert!(!matches!(presence, Presence::New | Presence::Unknown));
                    at = remedy;
                }
            }
        }
    }
}
