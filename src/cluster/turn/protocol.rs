//! The protocol by which control planes take turns, from values alone: what is read and written, and who may act when.
//!
//! Why never two act: a node holds only by a write of its own that the API server took, and acts only in the first four fifths
//! of the Lease's duration after it *began* that write, by its own clock. Another takes a Lease that is held only after it has
//! seen, by its own clock, the same words in it for the whole duration, which it cannot have seen before they were written.
//! Clocks that run up to a tenth too fast or too slow keep these two apart (0.8 / 0.9 < 1 / 1.1). Every write names the version
//! that it is based on, so one that arrives late changes nothing.

use std::time::Duration;

use super::message::{Draft, Effect, Input, Mark, Timing, Uptime, Waiting};
use super::record::{Halt, Identity, Record, Token};

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Wanting,
    Holding { token: Token, written: Uptime },
    Releasing { token: Token, mark: Mark },
    Lost,
}

/// One node's part in the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Turn {
    me: Identity,
    timing: Timing,
    /// The uid of the Lease that this node goes by.
    known: Option<String>,
    /// The uid that was seen last, or that there was none, and since when.
    place: Option<(Option<String>, Uptime)>,
    /// What was read or written last, and since when it says that. The version of it may be older than what is written.
    record: Option<(Record, Uptime)>,
    phase: Phase,
    /// When what is being asked was begun.
    asked: Option<Uptime>,
}

impl Turn {
    /// For a node that wants nothing yet. `known`: the uid of the Lease that it went by before.
    #[must_use]
    pub fn new(me: Identity, timing: Timing, known: Option<String>) -> Self {
        Self {
            me,
            timing,
            known,
            place: None,
            record: None,
            phase: Phase::Idle,
            asked: None,
        }
    }

    /// What follows from `input` at `now`.
    #[must_use]
    pub fn step(mut self, input: Input, now: Uptime) -> (Self, Option<Effect>) {
        let asked = match input {
            Input::Read(_) | Input::Written(_) | Input::Conflict | Input::Failed => {
                self.asked.take()
            }
            Input::Want | Input::Release(_) | Input::Tick { .. } | Input::Confirm => self.asked,
        };
        let mut wish = None;
        match input {
            Input::Want => {
                if matches!(self.phase, Phase::Idle | Phase::Lost) {
                    self.phase = Phase::Wanting;
                }
                wish = Some(Effect::Read);
            }
            Input::Release(mark) => {
                self.phase = match self.phase {
                    Phase::Holding { token, .. } => Phase::Releasing { token, mark },
                    Phase::Releasing { .. } => self.phase,
                    Phase::Idle | Phase::Wanting | Phase::Lost => Phase::Idle,
                };
                wish = self.write_own();
            }
            Input::Tick { holder_is_out } => wish = self.on_tick(holder_is_out, now),
            Input::Confirm => wish = self.write_own(),
            Input::Read(seen) => {
                self.see(seen, now);
                wish = self.on_read(now);
            }
            Input::Written(record) => {
                self.known = Some(record.uid.clone());
                self.phase = match self.phase {
                    Phase::Wanting | Phase::Holding { .. } => Phase::Holding {
                        token: record.token(),
                        written: asked.unwrap_or(now),
                    },
                    Phase::Releasing { .. } if record.holder.is_none() => Phase::Idle,
                    // It was asked for when it was still wanted.
                    Phase::Idle | Phase::Lost if record.holder.as_ref() == Some(&self.me) => {
                        Phase::Releasing {
                            token: record.token(),
                            mark: Mark::Keep,
                        }
                    }
                    other => other,
                };
                self.see(Some(record), now);
                if matches!(self.phase, Phase::Releasing { .. }) {
                    wish = self.write_own();
                }
            }
            Input::Conflict => wish = Some(Effect::Read),
            Input::Failed => {}
        }
        let idle = matches!(self.phase, Phase::Idle | Phase::Lost);
        if idle || self.asked.is_some() {
            return (self, None);
        }
        if wish.is_some() {
            self.asked = Some(now);
        }
        (self, wish)
    }

    /// Whether a step that takes up to `worst` may begin at `now`.
    #[must_use]
    pub fn permits(&self, worst: Duration, now: Uptime) -> bool {
        self.left(now).is_some_and(|left| left >= worst)
    }

    /// For how long this node may still act; `None` where it does not have the turn.
    #[must_use]
    pub fn left(&self, now: Uptime) -> Option<Duration> {
        match &self.phase {
            Phase::Holding { written, .. } => {
                Some((*written + self.timing.own_use()).saturating_sub(now))
            }
            _ => None,
        }
    }

    /// What the turn is known by; `None` where this node does not have it.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        match &self.phase {
            Phase::Holding { token, .. } => Some(token),
            _ => None,
        }
    }

    /// Whether this node wants nothing (any more), or has lost the turn.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Lost)
    }

    /// Whether the turn went to another, or its Lease away, before this node gave it back.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// The uid of the Lease that this node goes by.
    #[must_use]
    pub fn known(&self) -> Option<&str> {
        self.known.as_deref()
    }

    /// The mark of a node that failed, as it was read last.
    #[must_use]
    pub fn halt(&self) -> Option<&Halt> {
        self.record.as_ref()?.0.halt.as_ref()
    }

    /// Whose turn an expired Lease was that this node could take if that one is out.
    #[must_use]
    pub fn expired_holder(&self, now: Uptime) -> Option<&Identity> {
        let (record, since) = self.record.as_ref()?;
        let expired = now.saturating_sub(*since) >= record.life();
        record.holder.as_ref().filter(|_| expired)
    }

    /// Who else has the turn, as far as was read.
    #[must_use]
    pub fn holder(&self) -> Option<&Identity> {
        let holder = self.record.as_ref()?.0.holder.as_ref();
        holder.filter(|holder| holder.node != self.me.node)
    }

    /// Why this node has to wait at `now`.
    #[must_use]
    pub fn waiting(&self, now: Uptime) -> Waiting {
        let Some((place, place_since)) = &self.place else {
            return Waiting::Unknown;
        };
        let record = self.record.as_ref();
        if let Some(halt) = self.halt().filter(|halt| halt.node != self.me.node) {
            return Waiting::Halted(halt.clone());
        }
        let life = record.map_or(self.timing.lease, |(record, _)| record.life());
        if self.known.is_some() && self.known != *place {
            // Whoever held the other one may have written a longer duration than this one's.
            let until = *place_since + life.max(self.timing.lease);
            if now < until {
                return Waiting::Strange { until };
            }
        }
        match record.and_then(|(record, since)| Some((record.holder.as_ref()?, since))) {
            Some((holder, since)) if holder.node != self.me.node => Waiting::Held {
                by: holder.clone(),
                expires: *since + life,
            },
            _ => Waiting::Free,
        }
    }

    fn on_tick(&mut self, holder_is_out: bool, now: Uptime) -> Option<Effect> {
        match &self.phase {
            Phase::Idle | Phase::Lost => None,
            Phase::Wanting => match self.waiting(now) {
                // Taken upon what was read before: a change meanwhile makes it a conflict.
                Waiting::Held { expires, .. } if holder_is_out && now >= expires => self.take(),
                _ => Some(Effect::Read),
            },
            Phase::Holding { written, .. } => {
                if now.saturating_sub(*written) < self.timing.renewal {
                    return None;
                }
                self.write_own()
            }
            Phase::Releasing { .. } => self.write_own(),
        }
    }

    fn on_read(&mut self, now: Uptime) -> Option<Effect> {
        match &self.phase {
            Phase::Idle | Phase::Lost => None,
            Phase::Wanting => (self.waiting(now) == Waiting::Free)
                .then(|| self.take())
                .flatten(),
            Phase::Holding { token, .. } | Phase::Releasing { token, .. } => {
                let mine = self.record.as_ref().is_some_and(|(record, _)| {
                    record.token() == *token && record.holder.as_ref() == Some(&self.me)
                });
                if mine {
                    return self.write_own();
                }
                self.phase = Phase::Lost;
                None
            }
        }
    }

    /// The turn for this node, upon what was read.
    fn take(&self) -> Option<Effect> {
        let record = self.record.as_ref().map(|(record, _)| record);
        Some(Effect::Write(Draft {
            base: record.map(|record| record.version.clone()),
            holder: Some(self.me.clone()),
            transitions: record.map_or(0, |record| record.transitions.checked_add(1).unwrap_or(0)),
            mark: Mark::Keep,
        }))
    }

    /// What a holder writes: the same again, or that it is done.
    fn write_own(&self) -> Option<Effect> {
        let (token, holder, mark) = match &self.phase {
            Phase::Holding { token, .. } => (token, Some(self.me.clone()), Mark::Keep),
            Phase::Releasing { token, mark } => (token, None, mark.clone()),
            Phase::Idle | Phase::Wanting | Phase::Lost => return None,
        };
        let (record, _) = self.record.as_ref()?;
        Some(Effect::Write(Draft {
            base: Some(record.version.clone()),
            holder,
            transitions: token.transitions,
            mark,
        }))
    }

    fn see(&mut self, seen: Option<Record>, now: Uptime) {
        let place = seen.as_ref().map(|record| record.uid.clone());
        match &self.place {
            Some((known, _)) if *known == place => {}
            _ => self.place = Some((place, now)),
        }
        self.record = seen.map(|record| {
            let since = match &self.record {
                Some((before, since)) if before.says_the_same(&record) => *since,
                _ => now,
            };
            (record, since)
        });
    }
}

#[cfg(test)]
mod explore;
#[cfg(test)]
mod tests;
