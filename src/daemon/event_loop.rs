//! The event loop: waits for what may happen, asks [`next`] what follows from it, and does that. It decides nothing itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::watch;
use tracing::Level;

use super::act::{Running, Step};
use super::aside::{Pending, aside};
use super::clock::Alarm;
use super::effect::{Effect, Rest};
use super::ending::Ending;
use super::error::DaemonError;
use super::look;
use super::others::{Others, until_nobody_is_at_work};
use super::outside::Outside;
use super::pass::Pass;
use super::service::Daemon;
use super::signal::{Look, Moment, Signal};
use super::state::{State, next};
use super::stop::listen;
use super::uses::Uses;
use super::watch::{Hints, Watches, directories};
use crate::operation::{Context, Event, EventLog, give_back_old_slot, log_summary};
use crate::report::status_file;

/// After a hint, changes are given this long to settle: programs write files in several steps.
const SETTLE: Duration = Duration::from_secs(2);

/// The daemon, what it is about, and what it waits for.
pub(super) struct EventLoop {
    daemon: Daemon,
    state: State,
    pass: Pass,
    /// `None` while a look has it.
    watches: Option<Watches>,
    hints: Hints,
    alarm: Alarm,
    reloads: unix::Signal,
    stop: watch::Receiver<bool>,
    in_hand: InHand,
    events: EventLog,
}

/// What the next signal comes from.
enum InHand {
    /// It is there already.
    Done(Signal),
    Looking(Look, Pending<Pass>),
    Operation(Running),
    Settling,
    Resting(Rest),
    /// None comes any more.
    Nothing,
}

impl EventLoop {
    /// Looks at the node for the first time.
    ///
    /// # Errors
    /// [`DaemonError::System`].
    pub(super) async fn begin(
        mut daemon: Daemon,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, DaemonError> {
        daemon.outside = daemon.context.is_live().then(Outside::begin);
        let reloads = listen(SignalKind::hangup())?;
        let alarm = Alarm::new().map_err(without_clock)?;
        let (watches, hints) = Watches::new(status_file(&daemon.context.root));
        let looking = look_at_files(
            &daemon.context,
            Some(watches),
            Others::default(),
            Uses::default(),
        );
        let (pass, watches) = looking.await;
        if pass.unfinished.is_empty() {
            // Before an operation could take it again.
            let (context, node) = (daemon.context.clone(), Arc::clone(&pass.inventory));
            let work = move || async move { give_back_old_slot(&context, &node).await };
            aside("fleet lock", work).await;
        }
        Ok(Self {
            daemon,
            state: State::default(),
            pass,
            watches,
            hints,
            alarm,
            reloads,
            stop,
            in_hand: InHand::Done(Signal::Looked(Look::Files)),
            events: EventLog::default(),
        })
    }

    /// Goes on until it is asked to stop.
    ///
    /// # Errors
    /// [`DaemonError::System`].
    pub(super) async fn run(mut self) -> Result<(), DaemonError> {
        while let Some(signal) = self.signal().await? {
            let state = std::mem::take(&mut self.state);
            let (state, effects) = next(state, &self.pass, signal, Moment::now());
            self.state = state;
            for effect in effects {
                self.carry_out(effect).await?;
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<(), DaemonError> {
        match effect {
            Effect::Look(look) => self.look(look).await,
            Effect::Tidy => {
                let Daemon {
                    tidying, context, ..
                } = &mut self.daemon;
                tidying.tidy(context, &self.pass, Instant::now()).await;
                self.in_hand = InHand::Done(Signal::Tidied);
            }
            Effect::Act => {
                self.events = EventLog::default();
                let context = self.daemon.context.clone();
                self.in_hand = InHand::Operation(Running::begin(context, &self.pass));
            }
            Effect::Cancel => {
                if let InHand::Operation(running) = &self.in_hand {
                    running.cancel();
                }
            }
            Effect::Summarise(id) => {
                let context = self.daemon.context.clone();
                aside("summary", move || async move {
                    log_summary(&context, &id);
                })
                .await;
            }
            Effect::Complain => self.daemon.complain(&self.pass),
            Effect::Publish => {
                let message = self.daemon.message(&self.pass, &self.state);
                let publishing = self.daemon.publish(&self.pass, &self.state, &message);
                publishing.await;
            }
            Effect::Announce => self.daemon.announce(&self.pass, &self.state),
            Effect::Log(level, line) => log(level, &line),
            Effect::Settle => self.in_hand = InHand::Settling,
            Effect::Reload => {
                let is_new = self.daemon.reload().await;
                self.in_hand = InHand::Done(Signal::Configured { is_new });
            }
            Effect::ReloadIfChanged => {
                let is_new = self.daemon.reload_if_changed().await;
                self.in_hand = InHand::Done(Signal::Configured { is_new });
            }
            Effect::Rest(rest) => {
                let woken = self.alarm.set(rest.until).map_err(without_clock)?;
                self.in_hand = woken.map_or(InHand::Resting(rest), |wake| {
                    InHand::Done(Signal::Clock(wake))
                });
            }
            Effect::NotifyStopping => self.daemon.systemd.stopping(),
            Effect::End => self.in_hand = InHand::Nothing,
        }
        Ok(())
    }

    async fn look(&mut self, look: Look) {
        let context = self.daemon.context.clone();
        let pass = self.pass.clone();
        self.in_hand = match look {
            Look::Files => {
                self.hints.drain();
                let looking = look_at_files(&context, self.watches.take(), pass.others, pass.uses);
                (self.pass, self.watches) = looking.await;
                InHand::Done(Signal::Looked(look))
            }
            Look::Use => {
                let work = move || async move { look::at_use(&context, pass).await };
                InHand::Looking(look, aside("look at use", work))
            }
            Look::Needs => {
                let work = move || async move { look::at_needs(&context, pass).await };
                InHand::Looking(look, aside("look at needs", work))
            }
        };
    }

    /// What happens next; `None` when that is the end. What merely looks or waits is abandoned when a stop is asked for.
    async fn signal(&mut self) -> Result<Option<Signal>, DaemonError> {
        let in_hand = std::mem::replace(&mut self.in_hand, InHand::Nothing);
        if let InHand::Operation(running) = in_hand {
            return Ok(Some(self.operation(running).await));
        }
        let minds_stop = self.state.minds_stop();
        let mut stop = self.stop.clone();
        let signal = async {
            Ok(Some(match in_hand {
                InHand::Done(signal) => signal,
                InHand::Looking(look, pending) => {
                    self.pass = pending.await;
                    Signal::Looked(look)
                }
                InHand::Settling => {
                    tokio::time::sleep(SETTLE).await;
                    Signal::Settled
                }
                InHand::Resting(rest) => self.rested(rest).await?,
                InHand::Operation(_) | InHand::Nothing => return Ok(None),
            }))
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if minds_stop => Ok(Some(Signal::Stop)),
            signal = signal => signal,
        }
    }

    /// The next signal while an operation runs. Its events are told as they come.
    async fn operation(&mut self, mut running: Running) -> Signal {
        loop {
            let step = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop), if self.state.minds_stop() => {
                    self.in_hand = InHand::Operation(running);
                    return Signal::Stop;
                }
                step = running.next() => step,
            };
            match step {
                Step::Event(event) => self.tell(&event),
                Step::End(last, ended) => {
                    for event in &last {
                        self.tell(event);
                    }
                    self.pass.others.tried(ended.in_flight);
                    return Signal::Ended(Ending::of(ended.result));
                }
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        self.events.write(event);
        let verb = self.pass.verb();
        self.daemon.systemd.status(&format!("{verb}: {event}"));
    }

    /// Sleeps until something happens that could change the plan.
    async fn rested(&mut self, rest: Rest) -> Result<Signal, DaemonError> {
        let others = async {
            match rest.others {
                Some(pause) => until_nobody_is_at_work(&self.daemon.context, pause).await,
                None => std::future::pending().await,
            }
        };
        let outside = async {
            match &mut self.daemon.outside {
                Some(outside) => outside.changed().await,
                None => std::future::pending().await,
            }
        };
        let approving = self.daemon.approving.changed();
        let again = async {
            match rest.again {
                Some(moment) => tokio::time::sleep_until(moment.into()).await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            _ = self.reloads.recv() => Signal::Reload,
            () = self.hints.next() => Signal::Changed,
            wake = self.alarm.wait() => Signal::Clock(wake.map_err(without_clock)?),
            () = again => Signal::Again,
            () = others => Signal::Alone,
            () = outside => Signal::Again,
            () = approving => Signal::Again,
        })
    }
}

/// Looks at the files, watches the directories that they are in now, and cares for what others left behind.
async fn look_at_files(
    context: &Context,
    mut watches: Option<Watches>,
    others: Others,
    uses: Uses,
) -> (Pass, Option<Watches>) {
    let context = context.clone();
    let work = move || async move {
        let mut pass = look::at_files(&context, others, uses);
        if let Some(watches) = &mut watches {
            watches.set(&directories(&context, &pass.inventory));
        }
        look::at_others(&context, &mut pass);
        look::at_copies(&context, &mut pass);
        (pass, watches)
    };
    aside("look at files", work).await
}

fn without_clock(source: std::io::Error) -> DaemonError {
    DaemonError::System {
        what: "the clock cannot be waited for",
        source,
    }
}

fn log(level: Level, line: &str) {
    match level {
        Level::ERROR => tracing::error!("{line}"),
        Level::WARN => tracing::warn!("{line}"),
        _ => tracing::info!("{line}"),
    }
}
