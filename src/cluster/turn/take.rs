//! Taking the turn, keeping it, and giving it back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::message::{Draft, Effect, Input, Mark, Uptime, Waiting};
use super::node_report::Fleet;
use super::protocol::Turn;
use super::record::{Halt, Identity, Token};
use super::seat::{Desk, Seat};
use crate::api::ApiError;
use crate::host::{stopped, uptime};

/// How often a node that waits looks.
const LOOK: Duration = Duration::from_secs(2);
/// How often a holder looks whether the Lease is to be renewed.
const BEAT: Duration = Duration::from_secs(1);
/// An API that does not answer for so long is not waited for.
const SILENCE: Duration = Duration::from_secs(20);
/// So many questions follow one another at once: a Lease that others write all the time is looked at again later.
const MOST_AT_ONCE: usize = 8;
/// How long giving the turn back is tried: after that it expires.
const RELEASE: Duration = Duration::from_secs(60);
/// A kubelet renews its node's Lease every ten seconds, and counts as gone after 40 or 50.
const GONE_AFTER: Duration = Duration::from_secs(50);

/// Why the turn is not this node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// A node has failed, and an administrator has to look.
    Halted(Halt),
    /// The API does not answer, or not to this node.
    Unreachable(ApiError),
    /// It could not be had as long as was waited for it.
    InLine {
        /// Who has it; `None` where the Lease is another than before, or was written by others all the time.
        by: Option<Identity>,
    },
    /// The daemon is to stop.
    Stopped,
}

/// The turn was this node's, and is not known to be any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// The turn, until it is given back. It is renewed meanwhile.
#[derive(Debug)]
pub struct Held {
    token: Token,
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Confirm(oneshot::Sender<Option<Duration>>),
    Release(Mark, oneshot::Sender<Result<(), ApiError>>),
}

/// What a look at the Lease shows, while nothing is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sight {
    /// The mark of a node that failed.
    pub halt: Option<Halt>,
    /// Who has the turn.
    pub holder: Option<Identity>,
    /// The uid of the Lease; `None` where there is none yet.
    pub lease: Option<String>,
    /// When its holder wrote it, in its own words, only ever to be compared with itself.
    pub renewed: String,
    /// What the control planes say of themselves.
    pub fleet: Fleet,
}

/// Looks at the Lease.
///
/// # Errors
/// [`ApiError`].
pub async fn look(seat: &Seat) -> Result<Sight, ApiError> {
    let mut desk = Desk::of(seat);
    match desk.carry_out(Effect::Read).await {
        Input::Read(Some(record)) => Ok(Sight {
            halt: record.halt,
            holder: record.holder,
            lease: Some(record.uid),
            renewed: record.renewed,
            fleet: Fleet::of(desk.annotations()),
        }),
        Input::Read(None) => Ok(Sight::default()),
        _ => Err(desk.failure.unwrap_or_else(|| ApiError::ApiConflict {
            reason: seat.lease.to_owned(),
        })),
    }
}

/// Takes the mark of a node that failed away, because an administrator has looked; gives what it said. `None` where there was
/// none.
///
/// # Errors
/// [`ApiError`].
pub async fn clear(seat: &Seat) -> Result<Option<Halt>, ApiError> {
    let mut desk = Desk::of(seat);
    for _ in 0..MOST_AT_ONCE {
        let record = match desk.carry_out(Effect::Read).await {
            Input::Read(Some(record)) => record,
            Input::Read(None) => return Ok(None),
            _ => return Err(desk.failure.unwrap_or_else(lost)),
        };
        let Some(halt) = record.halt else {
            return Ok(None);
        };
        let draft = Draft {
            base: Some(record.version),
            holder: record.holder,
            transitions: record.transitions,
            mark: Mark::Clear,
        };
        match desk.carry_out(Effect::Write(draft)).await {
            Input::Written(_) => return Ok(Some(halt)),
            Input::Conflict => {}
            _ => return Err(desk.failure.unwrap_or_else(lost)),
        }
    }
    Err(ApiError::ApiConflict {
        reason: format!("others write the Lease {} all the time", seat.lease),
    })
}

/// Takes the turn, waiting in line where another node has it. `is_well`: whether a node whose turn has expired is seen to be
/// well, so that it is done with whatever it did; `told` hears why it waits, whenever that changes.
///
/// # Errors
/// [`NotTaken`].
pub async fn take(
    seat: &Seat,
    is_well: &(dyn AsyncWell + Sync),
    stop: &watch::Receiver<bool>,
    told: &mut (dyn FnMut(&Waiting) + Send),
) -> Result<Held, NotTaken> {
    let mut keeper = Keeper {
        turn: Turn::new(seat.me.clone(), seat.timing, seat.known.clone()),
        desk: Desk::of(seat),
        sign: None,
    };
    let taking = keeper.take(seat.patience, is_well, told);
    tokio::select! {
        biased;
        () = stopped(stop) => return Err(NotTaken::Stopped),
        taken = taking => taken?,
    }
    let Some(token) = keeper.turn.token().cloned() else {
        return Err(NotTaken::Unreachable(lost()));
    };
    let (commands, received) = mpsc::channel(1);
    // It ends when nobody can send it commands any more.
    tokio::spawn(keeper.keep(received));
    Ok(Held { token, commands })
}

/// Whether a node is seen to be well.
pub trait AsyncWell {
    /// Whether its API server and its etcd answer.
    fn is_well<'a>(
        &'a self,
        node: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

impl Held {
    /// What this turn is known by.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Makes sure just before a step that the turn is this node's still, for as long as the step may take.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn confirm(&self, worst: Duration) -> Result<(), Lost> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Confirm(answer);
        self.commands.send(command).await.map_err(|_| Lost)?;
        match answered.await {
            Ok(Some(left)) if left >= worst => Ok(()),
            _ => Err(Lost),
        }
    }

    /// Gives it back. Where that cannot be written it expires.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn release(self, mark: Mark) -> Result<(), ApiError> {
        let (answer, answered) = oneshot::channel();
        let command = Command::Release(mark, answer);
        self.commands.send(command).await.map_err(|_| lost())?;
        answered.await.unwrap_or_else(|_| Err(lost()))
    }
}

fn lost() -> ApiError {
    ApiError::ApiConflict {
        reason: "the turn is not this node's any more".to_owned(),
    }
}

/// One node's part, played.
struct Keeper {
    turn: Turn,
    desk: Desk,
    /// The last sign of life of the holder's kubelet, and since when it is that one.
    sign: Option<(Identity, Option<String>, Uptime)>,
}

impl Keeper {
    /// Feeds one input, and what follows from it.
    async fn feed(&mut self, mut input: Input) {
        for _ in 0..MOST_AT_ONCE {
            let Some(effect) = self.step(input) else {
                return;
            };
            input = self.desk.carry_out(effect).await;
        }
        // The last answer counts, and what it would have had asked is asked at the next tick.
        if self.step(input).is_some() {
            self.step(Input::Failed);
        }
    }

    fn step(&mut self, input: Input) -> Option<Effect> {
        let (turn, effect) = self.turn.clone().step(input, uptime());
        self.turn = turn;
        effect
    }

    async fn take(
        &mut self,
        patience: Duration,
        is_well: &(dyn AsyncWell + Sync),
        told: &mut (dyn FnMut(&Waiting) + Send),
    ) -> Result<(), NotTaken> {
        let begun = Instant::now();
        let mut answered = Instant::now();
        let mut before = None;
        self.feed(Input::Want).await;
        loop {
            if self.turn.token().is_some() {
                return Ok(());
            }
            match &self.desk.failure {
                None => answered = Instant::now(),
                Some(error) if answered.elapsed() > SILENCE || !error.may_differ_elsewhere() => {
                    return Err(NotTaken::Unreachable(error.clone()));
                }
                Some(_) => {}
            }
            let waiting = self.turn.waiting(uptime());
            if let Waiting::Halted(halt) = waiting {
                return Err(NotTaken::Halted(halt));
            }
            if begun.elapsed() > patience {
                return Err(NotTaken::InLine {
                    by: self.turn.holder().cloned(),
                });
            }
            if before.as_ref() != Some(&waiting) {
                told(&waiting);
                before = Some(waiting);
            }
            sleep(LOOK).await;
            let holder_is_out = self.holder_is_out(is_well).await;
            self.feed(Input::Tick { holder_is_out }).await;
        }
    }

    /// Whether the holder of an expired turn is known to be gone, or to be well and so done.
    async fn holder_is_out(&mut self, is_well: &(dyn AsyncWell + Sync)) -> bool {
        let now = uptime();
        let Some(holder) = self.turn.holder().cloned() else {
            return true;
        };
        // Looked at from the beginning: how long it is silent is only known from when it was seen first.
        let Ok(sign) = self.desk.life_sign(&holder.node).await else {
            return false;
        };
        let since = match &self.sign {
            Some((of, seen, since)) if *of == holder && *seen == sign => *since,
            _ => now,
        };
        self.sign = Some((holder.clone(), sign, since));
        if self.turn.expired_holder(now).is_none() {
            return false;
        }
        now.saturating_sub(since) >= GONE_AFTER || is_well.is_well(&holder.node).await
    }

    /// Keeps the turn until it is given back, or nobody wants it any more.
    async fn keep(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            match timeout(BEAT, commands.recv()).await {
                Err(_) => {
                    self.feed(Input::Tick {
                        holder_is_out: false,
                    })
                    .await;
                }
                Ok(Some(Command::Confirm(answer))) => {
                    self.feed(Input::Confirm).await;
                    let left = self.turn.left(uptime());
                    // Nobody may be left to hear it.
                    let _ = answer.send(left);
                }
                Ok(Some(Command::Release(mark, answer))) => {
                    drop(answer.send(self.release(mark).await));
                    return;
                }
                Ok(None) => return,
            }
        }
    }

    async fn release(&mut self, mark: Mark) -> Result<(), ApiError> {
        let begun = Instant::now();
        let had = self.turn.token().is_some();
        self.feed(Input::Release(mark)).await;
        while !self.turn.is_over() && begun.elapsed() < RELEASE {
            sleep(LOOK).await;
            self.feed(Input::Tick {
                holder_is_out: false,
            })
            .await;
        }
        match (self.turn.is_over(), &self.desk.failure) {
            // Whoever took it away took the mark with it that this node would have left.
            (true, _) if had && !self.turn.is_lost() => Ok(()),
            (_, Some(error)) => Err(error.clone()),
            _ => Err(lost()),
        }
    }
}
