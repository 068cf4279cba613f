//! Components that have still to show that they use their new certificates: when they are asked again, and what they answered.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::RestartMode;
use crate::node::Inventory;
use crate::operation::{
    Context, Event, EventLog, LastAnswer, PendingProof, PendingStep, ask_again, is_started_since,
    pending_proofs, what_to_do,
};
use crate::probe::{PickedUp, Usage};
use crate::report::{PendingNext, PendingUse, Receipt};

/// What is known of them since the daemon was started. What was shown is not kept beyond that: asked once more it is shown again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pending {
    known: Vec<Known>,
    /// Whether the daemon may restart them.
    may_restart: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    proof: PendingProof,
    answer: Option<LastAnswer>,
}

impl Pending {
    /// Asks those whose time has come. `seen`: what the running components were seen to use.
    pub(super) async fn look(
        &mut self,
        context: &Context,
        inventory: &Inventory,
        (seen, receipts): (&[Usage], &[Receipt]),
    ) {
        self.update(context, pending_proofs(receipts, inventory));
        for known in &mut self.known {
            let now = crate::host::now();
            if known.is_started(seen, now) || !known.is_to_be_asked(now) {
                continue;
            }
            let answer = ask_again(context, inventory, &known.proof, now).await;
            known.keep(answer, crate::host::now());
        }
    }

    /// Keeps what was answered about what is still pending.
    fn update(&mut self, context: &Context, proofs: Vec<PendingProof>) {
        let config = &context.config;
        self.may_restart = config.renewal.enabled && config.restart.mode != RestartMode::None;
        let before = std::mem::take(&mut self.known);
        self.known = proofs
            .into_iter()
            .map(|proof| {
                let answer = before
                    .iter()
                    .find(|known| known.proof == proof)
                    .and_then(|known| known.answer.clone());
                Known { proof, answer }
            })
            .collect();
    }

    /// Components that are to be restarted on that account.
    pub(super) fn to_be_restarted(&self, now: Timestamp) -> Vec<String> {
        self.known
            .iter()
            .filter(|known| self.may_restart && known.step(now) == PendingStep::RestartNow)
            .map(|known| known.proof.component.clone())
            .collect()
    }

    /// How long until the next is to be asked.
    pub(super) fn ask_after(&self, now: Timestamp) -> Option<Duration> {
        let moments = self.known.iter().filter_map(|known| match known.step(now) {
            PendingStep::AskAt(moment) => Some(moment),
            PendingStep::RestartNow => known.answer.as_ref().map(LastAnswer::asked_again_at),
            PendingStep::Proved => None,
        });
        let wait = moments.min()?.duration_since(now);
        Some(Duration::try_from(wait).unwrap_or_default())
    }

    /// What is still pending, for the status.
    pub(super) fn uses(&self, now: Timestamp) -> Vec<PendingUse> {
        self.known
            .iter()
            .filter_map(|known| {
                let next = match known.step(now) {
                    PendingStep::AskAt(moment) => PendingNext::AskAgain(moment.max(now)),
                    PendingStep::RestartNow if self.may_restart => PendingNext::Restart,
                    PendingStep::RestartNow => PendingNext::RestartByHand,
                    PendingStep::Proved => return None,
                };
                Some(known.proof.as_use(next))
            })
            .collect()
    }

    /// What has to be restarted, one sentence each. That others are asked again is nothing to complain about.
    pub(super) fn notes(&self, now: Timestamp) -> Vec<String> {
        let mut uses = self.uses(now);
        uses.retain(|one| !matches!(one.next, PendingNext::AskAgain(_)));
        uses.iter().map(ToString::to_string).collect()
    }
}

impl Known {
    fn step(&self, now: Timestamp) -> PendingStep {
        what_to_do(&self.proof, self.answer.as_ref(), now)
    }

    fn is_to_be_asked(&self, now: Timestamp) -> bool {
        matches!(self.step(now), PendingStep::AskAt(moment) if moment <= now)
    }

    /// Whether what runs was started since; that settles it.
    fn is_started(&mut self, seen: &[Usage], now: Timestamp) -> bool {
        let is_known = |last: &LastAnswer| matches!(last.answer, PickedUp::Yes(_));
        let is_started = is_started_since(&self.proof, seen);
        if is_started && !self.answer.as_ref().is_some_and(is_known) {
            let evidence = vec!["it was started since".to_owned()];
            self.set(PickedUp::Yes(evidence), now);
        }
        is_started
    }

    /// Keeps an answer, and tells it where that is the end of it.
    fn keep(&mut self, answer: PickedUp, now: Timestamp) {
        match &answer {
            PickedUp::Yes(evidence) => EventLog::default().write(&Event::PickedUp {
                component: self.proof.component.clone(),
                evidence: evidence.join("; "),
            }),
            PickedUp::No(seen) | PickedUp::Unknown { seen, .. } => {
                let component = self.proof.component.as_str();
                tracing::debug!(
                    component,
                    "{component}: has not yet shown what it uses: {seen}"
                );
            }
        }
        self.set(answer, now);
    }

    fn set(&mut self, answer: PickedUp, now: Timestamp) {
        let times = self.answer.as_ref().map_or(0, |last| last.times);
        self.answer = Some(LastAnswer {
            at: now,
            times: times.saturating_add(1),
            answer,
        });
    }
}

#[cfg(test)]
impl Pending {
    /// What a look just kept that saw an old certificate in use by this component, long after it was replaced and long before its end.
    pub(super) fn old_in_use(component: &str) -> Self {
        let now = crate::host::now();
        let days = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
        Self {
            known: vec![Known {
                proof: PendingProof {
                    component: component.to_owned(),
                    certificates: vec!["apiserver".into()],
                    since: days(-1),
                    old_end: days(30),
                },
                answer: Some(LastAnswer {
                    at: now,
                    times: 1,
                    answer: PickedUp::No("it serves another one".to_owned()),
                }),
            }],
            may_restart: true,
        }
    }
}

#[cfg(test)]
mod tests;
