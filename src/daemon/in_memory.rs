//! Certificates that components have only in memory: when their components are restarted on that account.

use jiff::Timestamp;

use super::of_its_own::{may_restart, was_restarted};
use crate::node::Inventory;
use crate::operation::Context;
use crate::pki::date;
use crate::plan::restart_due_at;
use crate::probe::{InMemory, look_in_memory};
use crate::report::{InMemoryNext, InMemoryStatus, Receipt};

/// What the last look showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OwnCertificates {
    known: Vec<Own>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    seen: InMemory,
    due_at: Timestamp,
    next: InMemoryNext,
}

impl OwnCertificates {
    /// Makes a handshake with each component that has one.
    pub(super) async fn look(
        context: &Context,
        inventory: &Inventory,
        receipts: &[Receipt],
    ) -> Self {
        let config = &context.config;
        let may_restart = may_restart(context);
        let now = crate::host::now();
        let known = look_in_memory(inventory)
            .await
            .into_iter()
            .map(|seen| {
                let due_at = restart_due_at(seen.not_before, seen.not_after, config.renewal.before);
                let was_restarted = was_restarted(receipts, &seen.component, now);
                Own {
                    next: next(due_at <= now, was_restarted, may_restart),
                    seen,
                    due_at,
                }
            })
            .collect();
        Self { known }
    }

    /// What was seen.
    pub(super) fn seen(&self) -> Vec<InMemory> {
        self.known.iter().map(|own| own.seen.clone()).collect()
    }

    /// Components that are to be restarted by the daemon.
    pub(super) fn to_be_restarted(&self) -> impl Iterator<Item = &String> {
        self.known
            .iter()
            .filter(|own| own.next == InMemoryNext::Restart)
            .map(|own| &own.seen.component)
    }

    /// What is to be done about those that are about to end, one sentence each.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.known.iter().filter_map(Own::note)
    }

    /// For the status.
    pub(super) fn status(&self) -> Vec<InMemoryStatus> {
        let each = self.known.iter().map(|own| InMemoryStatus {
            name: own.seen.name(),
            component: own.seen.component.clone(),
            not_after: own.seen.not_after,
            due_at: own.due_at,
            next: own.next,
        });
        each.collect()
    }
}

impl Own {
    fn note(&self) -> Option<String> {
        let (component, ends) = (&self.seen.component, date(self.seen.not_after));
        match self.next {
            InMemoryNext::Wait => None,
            InMemoryNext::Restart => Some(format!(
                "what {component} has only in memory ends {ends}; only a restart makes another"
            )),
            InMemoryNext::RestartByHand => Some(format!(
                "what {component} has only in memory ends {ends}; the configuration leaves restarts to you: \
                 `kubecertd restart {component}` makes another"
            )),
            InMemoryNext::RestartedInVain => Some(format!(
                "{component} was restarted within a day, and what {} shows ends {ends} all the same: see that nothing else \
                 answers there",
                self.seen.address
            )),
        }
    }
}

fn next(is_due: bool, was_restarted: bool, may_restart: bool) -> InMemoryNext {
    match (is_due, was_restarted, may_restart) {
        (false, ..) => InMemoryNext::Wait,
        (true, true, _) => InMemoryNext::RestartedInVain,
        (true, false, true) => InMemoryNext::Restart,
        (true, false, false) => InMemoryNext::RestartByHand,
    }
}

#[cfg(test)]
impl OwnCertificates {
    /// What a look kept that saw what this component has in memory about to end.
    pub(super) fn about_to_end(component: &str) -> Self {
        Self {
            known: vec![Own {
                seen: InMemory {
                    component: component.to_owned(),
                    address: crate::net::Address {
                        host: "127.0.0.1".to_owned(),
                        port: 10259,
                    },
                    not_before: Timestamp::MIN,
                    not_after: Timestamp::UNIX_EPOCH,
                },
                due_at: Timestamp::MIN,
                next: InMemoryNext::Restart,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_may_not_restart_or_did_in_vain_is_said_and_left() {
        let mut own = OwnCertificates::about_to_end("kube-scheduler");
        for (step, said, restarts) in [
            (
                InMemoryNext::Restart,
                Some("only a restart makes another"),
                1,
            ),
            (
                InMemoryNext::RestartByHand,
                Some("`kubecertd restart kube-scheduler`"),
                0,
            ),
            (
                InMemoryNext::RestartedInVain,
                Some("127.0.0.1:10259 shows ends"),
                0,
            ),
            (InMemoryNext::Wait, None, 0),
        ] {
            own.known[0].next = step;
            assert_eq!(own.to_be_restarted().count(), restarts, "{step:?}");
            let notes: Vec<String> = own.notes().collect();
            assert_eq!(notes.len(), usize::from(said.is_some()), "{step:?}");
            assert!(notes.iter().all(|note| note.contains(said.unwrap())));
            assert_eq!(own.status()[0].next, step, "it is listed all the same");
        }
    }

    #[test]
    fn one_that_is_due_is_restarted_once_a_day_and_by_whom_the_configuration_says() {
        assert_eq!(next(false, false, true), InMemoryNext::Wait);
        assert_eq!(next(false, true, false), InMemoryNext::Wait);
        assert_eq!(next(true, false, true), InMemoryNext::Restart);
        assert_eq!(next(true, false, false), InMemoryNext::RestartByHand);
        for may_restart in [true, false] {
            assert_eq!(next(true, true, may_restart), InMemoryNext::RestartedInVain);
        }
    }
}
