//! What the daemon is about, and what it does next. Decided here from values alone; the event loop carries it out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::Level;

use super::clock::Wake;
use super::effect::{Effect, Rest};
use super::ending::Ending;
use super::held;
use super::pass::Pass;
use super::retry::Retry;
use super::signal::{Look, Moment, Signal};
use crate::checks::Check;
use crate::host::shifted;
use crate::operation::Fault;
use crate::report::{self, in_words};

/// The whole node is read again at least this often, whatever the watches say.
const SCAN_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// How long to wait for another kubecertd that holds the lock.
const BUSY_DELAY: Duration = Duration::from_secs(10);
/// What is said before an operation whose way does not lead through the kubelet's manifests.
pub(super) const GETTING_BACK: &str =
    "expired certificates have stopped this node: getting it back";

/// What the daemon is about, and what it keeps from one attempt to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) about: About,
    /// When the next attempt may be made.
    pub(super) retry: Retry,
    /// Why the last attempt did not renew everything.
    pub(super) failure: Option<Fault>,
    /// Whether expired certificates had stopped the node at the last look.
    was_down: bool,
}

/// What the daemon is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum About {
    /// The node has not been seen yet, and systemd waits for the daemon to be ready.
    #[default]
    Starting,
    /// Nothing is to be done before the next certificate is due.
    Idle,
    /// A check speaks against what is due.
    Blocked {
        /// Whether an administrator has to put something right; else it passes, but it is not known when.
        refused: bool,
    },
    /// Until this moment it is another node's turn.
    Waiting { until: Timestamp },
    /// No maintenance window is open until this moment.
    WaitingForWindow { until: Timestamp },
    /// An administrator holds the daemon back.
    OnHold,
    /// Manifests that another process left out cannot be brought back.
    Stranded,
    /// Operations that were cut off have to be finished.
    Unfinished,
    /// Something is due, and nothing that was seen speaks against it.
    Due,
    /// The last attempt failed, and another follows.
    Failed,
    /// An operation runs.
    Acting {
        /// Whether it was asked to come to an end, because the daemon is to stop.
        cancelled: bool,
    },
    /// An operation has ended, and the node is not yet seen again.
    Acted,
    /// The daemon says its last words.
    Stopping,
}

impl State {
    /// One of which no attempt is known.
    pub(super) fn about(about: About) -> Self {
        Self {
            about,
            ..Self::default()
        }
    }

    /// The word in the status file.
    pub(super) fn word(&self) -> report::State {
        match self.about {
            About::Blocked { refused: true } | About::Stranded | About::Failed => {
                report::State::Failing
            }
            About::Starting
            | About::Idle
            | About::Blocked { refused: false }
            | About::Waiting { .. }
            | About::Unfinished
            | About::Due
            | About::Acted => report::State::Waiting,
            About::WaitingForWindow { .. } => report::State::WaitingForWindow,
            About::OnHold => report::State::OnHold,
            About::Acting { .. } => report::State::Renewing,
            About::Stopping => report::State::Stopped,
        }
    }

    /// Whether a stop that is asked for was not taken note of yet.
    pub(super) fn minds_stop(&self) -> bool {
        !matches!(
            self.about,
            About::Acting { cancelled: true } | About::Stopping
        )
    }

    /// The same with what the pass shows while no operation runs.
    fn seen(mut self, pass: &Pass) -> Self {
        let held = pass.held();
        self.about = if held::is_refused(&held) {
            About::Blocked { refused: true }
        } else if self.failure.is_some() && pass.has_work() {
            About::Failed
        } else if pass.others.problem.is_some() {
            About::Stranded
        } else if held::is_of(&held, Check::Hold) {
            About::OnHold
        } else if let Some(until) = held::known_end(&held) {
            if held::is_of(&held, Check::Windows) {
                About::WaitingForWindow { until }
            } else {
                About::Waiting { until }
            }
        } else if !held.is_empty() {
            About::Blocked { refused: false }
        } else if !pass.unfinished.is_empty() {
            About::Unfinished
        } else if pass.has_work() {
            About::Due
        } else {
            About::Idle
        };
        self
    }

    /// Whether the moment has come to do something.
    fn may_act(&self, pass: &Pass, now: Moment) -> bool {
        pass.has_work()
            && pass.held().is_empty()
            && !pass.others.at_work()
            && self.retry.permits(now.steady)
    }

    fn rest(&self, pass: &Pass, now: Moment) -> Rest {
        let scan = shifted(now.clock, SCAN_INTERVAL);
        let due = pass.plan.next_due.as_ref().map(|(moment, _)| *moment);
        let may_try = pass.has_work() && !pass.others.at_work();
        Rest {
            until: due.map_or(scan, |moment| moment.min(scan)),
            again: pass
                .held_for(now.clock)
                .or_else(|| may_try.then(|| self.retry.remaining(now.steady)))
                .into_iter()
                .chain(pass.look_again_after())
                .chain(pass.uses.look_again_after())
                .chain(pass.ask_again)
                .min()
                .map(|pause| now.steady + pause),
            others: pass.others.pause(),
        }
    }

    /// Keeps what came of an operation; gives what is to be told.
    fn keep(&mut self, ending: Ending, now: Moment) -> Vec<Effect> {
        let info = |text| vec![Effect::Log(Level::INFO, text)];
        match ending {
            Ending::Done(operations) => {
                self.retry.succeeded(now.steady);
                self.failure = None;
                operations.into_iter().map(Effect::Summarise).collect()
            }
            Ending::Incomplete { operations, fault } => {
                self.failure = Some(fault);
                self.retry.failed(now.steady, false, jitter(now));
                operations.into_iter().map(Effect::Summarise).collect()
            }
            Ending::Stopped(sentence) => info(sentence),
            Ending::Busy(holder) => {
                self.retry.postpone(now.steady, BUSY_DELAY);
                let holder = holder.map(|pid| format!(" (process {pid})"));
                info(format!(
                    "waiting for another kubecertd{}",
                    holder.unwrap_or_default()
                ))
            }
            Ending::NotNow(refused) => {
                self.failure = refused;
                self.retry.postpone(now.steady, held::SHORTLY);
                Vec::new()
            }
            Ending::RestartsWait(sentence) => {
                self.retry.postpone(now.steady, held::SHORTLY);
                info(sentence)
            }
            Ending::Failed {
                operations,
                fault,
                disturbed,
            } => {
                self.retry.failed(now.steady, disturbed, jitter(now));
                let pause = self.retry.remaining(now.steady);
                let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
                let reason = fault.text.clone();
                self.failure = Some(fault);
                let done = operations.into_iter().map(Effect::Summarise);
                let lines = [
                    Effect::Log(Level::ERROR, reason),
                    Effect::Log(Level::INFO, format!("trying again {}", in_words(pause))),
                ];
                done.chain(lines).collect()
            }
        }
    }
}

/// What the daemon is about after a signal, and what is to be done for it. `pass` is what was seen last.
pub(super) fn next(state: State, pass: &Pass, signal: Signal, now: Moment) -> (State, Vec<Effect>) {
    match state.about {
        About::Stopping => (state, last_words(&signal)),
        About::Acting { cancelled } => while_acting(state, cancelled, signal, now),
        About::Starting
        | About::Idle
        | About::Blocked { .. }
        | About::Waiting { .. }
        | About::WaitingForWindow { .. }
        | About::OnHold
        | About::Stranded
        | About::Unfinished
        | About::Due
        | About::Failed
        | About::Acted => between_operations(state, pass, signal, now),
    }
}

fn between_operations(
    mut state: State,
    pass: &Pass,
    signal: Signal,
    now: Moment,
) -> (State, Vec<Effect>) {
    let effects = match signal {
        Signal::Stop => return stop(state, Vec::new()),
        Signal::Looked(Look::Files) => return seen_files(state, pass),
        Signal::Looked(Look::Use) => {
            state = state.seen(pass);
            let mut effects = Vec::new();
            if pass.uses.are_new() {
                effects.extend([Effect::Complain, Effect::Publish]);
            }
            effects.push(Effect::Look(Look::Needs));
            effects
        }
        Signal::Looked(Look::Needs) => {
            // A node that has just stopped does not wait until an earlier failure may be tried again.
            if pass.node_down && !state.was_down {
                state.retry.permit_now();
            }
            state.was_down = pass.node_down;
            state = state.seen(pass);
            vec![Effect::Complain, Effect::Publish, Effect::Tidy]
        }
        Signal::Tidied if state.may_act(pass, now) => return act(state, pass),
        Signal::Tidied => vec![Effect::Rest(state.rest(pass, now))],
        Signal::Changed => vec![Effect::Settle],
        Signal::Clock(Wake::ClockChanged) => {
            let line = "the clock was set or the machine slept; planning again".to_owned();
            vec![Effect::Log(Level::INFO, line), Effect::ReloadIfChanged]
        }
        Signal::Clock(Wake::Due) | Signal::Settled | Signal::Again | Signal::Alone => {
            vec![Effect::ReloadIfChanged]
        }
        Signal::Reload => vec![Effect::Reload],
        Signal::Configured { is_new } => {
            if is_new {
                state.retry.permit_now();
            }
            vec![Effect::Look(Look::Files)]
        }
        // There is none; to look is never wrong.
        Signal::Ended(_) => vec![Effect::Look(Look::Files)],
    };
    (state, effects)
}

fn seen_files(mut state: State, pass: &Pass) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    if state.about == About::Starting {
        // systemd need not wait for what others answer.
        effects.extend([Effect::Complain, Effect::Publish, Effect::Announce]);
    }
    if pass.others.left_something_new() {
        state.retry.permit_now();
    }
    effects.push(Effect::Look(Look::Use));
    (state.seen(pass), effects)
}

fn act(mut state: State, pass: &Pass) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    if pass.node_down {
        effects.push(Effect::Log(Level::WARN, GETTING_BACK.to_owned()));
    }
    effects.extend([Effect::Publish, Effect::Act]);
    state.about = About::Acting { cancelled: false };
    (state, effects)
}

fn while_acting(
    mut state: State,
    cancelled: bool,
    signal: Signal,
    now: Moment,
) -> (State, Vec<Effect>) {
    match signal {
        Signal::Stop if !cancelled => {
            state.about = About::Acting { cancelled: true };
            (state, vec![Effect::Cancel])
        }
        Signal::Ended(ending) => {
            let mut effects = state.keep(ending, now);
            if cancelled {
                return stop(state, effects);
            }
            state.about = About::Acted;
            effects.push(Effect::Look(Look::Files));
            (state, effects)
        }
        // All else is looked at when the operation has ended.
        _ => (state, Vec::new()),
    }
}

/// Looks once more, so that the last words are true.
fn stop(mut state: State, mut effects: Vec<Effect>) -> (State, Vec<Effect>) {
    state.about = About::Stopping;
    effects.extend([Effect::NotifyStopping, Effect::Look(Look::Files)]);
    (state, effects)
}

fn last_words(signal: &Signal) -> Vec<Effect> {
    match signal {
        Signal::Looked(_) => vec![
            Effect::Publish,
            Effect::Log(Level::INFO, "stopped".to_owned()),
            Effect::End,
        ],
        _ => Vec::new(),
    }
}

/// A number from 0 to 1 that differs between nodes and attempts; randomness is not needed for that.
fn jitter(now: Moment) -> f64 {
    f64::from(now.clock.subsec_nanosecond().unsigned_abs() % 1_000_000) / 1e6
}

#[cfg(test)]
mod tests;
