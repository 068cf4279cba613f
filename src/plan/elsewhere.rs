//! Certificates that a CA elsewhere signs: from when on they are asked for, and what is done when the answer has come.

use std::time::Duration;

use jiff::Timestamp;

use super::awaited::{Answered, Awaited};
use super::candidate::{Candidate, Wish};
use super::obstacle::Obstacle;
use super::reason::Reason;
use super::schedule::{earlier, lifetime};
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
    pub(super) fn action_elsewhere(&self, wish: Wish, awaited: Option<&Awaited>) -> Option<Action> {
        let elsewhere = self.elsewhere?;
        let request_from = elsewhere.lead.map(|lead| self.request_from(lead));
        Some(match awaited {
            Some(awaited) if awaited.answered == Answered::Yes => match wish {
                Wish::Nothing => Action::Wait,
                Wish::WhenDue if !self.renewal.enabled => Action::Leave(Obstacle::Disabled),
                Wish::WhenDue | Wish::WhenDueByHand | Wish::Now { .. } => {
                    Action::Renew(Reason::Answered)
                }
            },
            Some(awaited) => Action::Leave(Obstacle::AwaitingAnswer(Box::new(awaited.clone()))),
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
}
