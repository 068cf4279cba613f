//! Certificates that a CA elsewhere signs: from when on they are asked for, and what is done when the answer has come.

use std::time::Duration;

use jiff::Timestamp;

use super::awaited::{Answered, Awaited};
use super::candidate::{Candidate, Wish};
use super::obstacle::Obstacle;
use super::reason::Reason;
use super::schedule::{earlier, later, lifetime};
use super::types::Action;

impl Candidate<'_> {
    /// Whether it is renewed by request.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// From when on its request is open: so long before its end as the configuration says, but not before half of its lifetime has
    /// passed, and never later than its renewal is due; at once where nothing can use it.
    fn request_from(&self, lead: Duration) -> Timestamp {
        if self.key_is_unusable() {
            return self.present.leaf.not_before;
        }
        let half = Duration::from_secs(lifetime(self.present).as_secs() / 2);
        earlier(self.end(), lead.min(half)).min(self.due_at())
    }

    /// What is to be done about one that a CA elsewhere signs, given what came of its request.
    pub(super) fn action_elsewhere(
        &self,
        wish: Wish,
        awaited: Option<&Awaited>,
        now: Timestamp,
    ) -> Option<Action> {
        let elsewhere = self.elsewhere?;
        let request_from = elsewhere.lead.map(|lead| self.request_from(lead));
        let in_vain = || {
            let is_wanted = match wish {
                Wish::Nothing => false,
                Wish::WhenDue | Wish::WhenDueByHand => request_from.is_some_and(|from| from <= now),
                Wish::Now { .. } => request_from.is_some(),
            };
            is_wanted
                .then(|| self.asked_in_vain(wish, now))
                .flatten()
                .map(Action::Leave)
        };
        Some(match awaited {
            Some(awaited) => match awaited.answered {
                Answered::Yes { ends } => self.action_answered(wish, ends, now),
                Answered::NotYet => {
                    Action::Leave(Obstacle::AwaitingAnswer(Box::new(awaited.clone())))
                }
            },
            None if let Some(in_vain) = in_vain() => in_vain,
            None if let Some(issuer) = elsewhere.given_to => {
                Action::Leave(Obstacle::AskedElsewhere {
                    issuer: issuer.to_owned(),
                    request_from,
                })
            }
            None if elsewhere.is_foreign => Action::Leave(Obstacle::ForeignIssuer {
                issuer: self.present.leaf.issuer.clone(),
                itself: false,
                request_from,
            }),
            None => Action::Leave(Obstacle::ExternalAuthority {
                authority: elsewhere.authority,
                request_from,
            }),
        })
    }

    /// What is to be done about one whose answer is here: it is put in place if that gains anything.
    fn action_answered(&self, wish: Wish, ends: Timestamp, now: Timestamp) -> Action {
        if wish == Wish::Nothing {
            return Action::Wait;
        }
        if wish == Wish::WhenDue && !self.renewal.enabled {
            return Action::Leave(Obstacle::Disabled);
        }
        let reason = self.reason(wish, now).unwrap_or(Reason::Answered);
        let gains = ends >= later(self.end(), self.minimum(wish));
        if gains || wish.is_forced() || reason.allows_earlier_end() {
            Action::Renew(Reason::Answered)
        } else {
            Action::Leave(Obstacle::AuthorityEndsTooSoon {
                ends,
                extendable: None,
            })
        }
    }

    /// Why no answer could be of use: the same that keeps a CA on this node from signing over and over. How long a CA elsewhere lets
    /// a certificate last is its own decision.
    fn asked_in_vain(&self, wish: Wish, now: Timestamp) -> Option<Obstacle> {
        let reason = self.reason(wish, now).unwrap_or(Reason::Answered);
        self.obstacle(wish, reason, self.signing(now), now)
            .filter(|obstacle| !matches!(obstacle, Obstacle::WouldNotEndLater { .. }))
    }
}
