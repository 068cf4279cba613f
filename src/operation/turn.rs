//! The operation's turn: asked for before the node is disturbed, confirmed before each step, given back at the end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::error::OperationError;
use super::event::Event;
use super::remark::Remark;
use super::run::Run;
use super::Context;
use crate::api::ApiError;
use crate::checks::{Asked, Cause, Finding, Intent, Severity};
use crate::cluster::{
    AsyncWell, Halt, Held, Identity, Known, Mark, NotTaken, Peers, Permission, Seat, Sight, Timing,
    Waiting, look, permission, take,
};
use crate::config::{RestartMode, TurnMode};
use crate::host::{read_at_most, shifted};
use crate::journal::{Record, TurnTaken};
use crate::node::Inventory;
use crate::net::Address;
use crate::plan::Plan;
use crate::probe::{access, api_servers, control_planes, known_members};
use crate::restart::RestartError;

/// A boot id is shorter.
const BOOT_ID_LIMIT: u64 = 256;
/// An API that does not answer at the first attempt may at the second: a look asks so often.
const LOOKS: usize = 2;

/// The right to disturb the node, and where it comes from.
#[derive(Debug, Default)]
pub(super) enum Turn {
    /// Nobody else could be disturbed, or nothing is restarted.
    #[default]
    NotNeeded,
    /// The configuration wants none.
    Off,
    /// The Lease.
    Held(Held),
    /// It could not be asked for, and there was no time left to wait.
    Alone(String),
}

impl Turn {
    /// As the journal and the receipt have it; `None` where none was needed.
    pub(super) fn taken(&self) -> Option<TurnTaken> {
        match self {
            Self::NotNeeded => None,
            Self::Off => Some(TurnTaken::Off),
            Self::Held(held) => Some(TurnTaken::Held {
                lease: held.token().lease.clone(),
                transitions: held.token().transitions,
            }),
            Self::Alone(reason) => Some(TurnTaken::Alone {
                reason: reason.clone(),
            }),
        }
    }
}

/// Why a node would take its turn, and how long it can wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) asked: Asked,
    /// The first end of what is renewed; `None` where nothing ends.
    pub(super) ends: Option<Timestamp>,
}

impl Wish {
    pub(super) fn of(intent: &Intent, asked: Asked) -> Self {
        Self {
            asked,
            ends: intent.first_end.as_ref().map(|(_, ends)| *ends),
        }
    }
}

/// What speaks against this node's turn, seen without taking it.
pub(super) async fn look_at_turn(
    context: &Context,
    inventory: &Inventory,
    wish: Wish,
) -> Vec<Finding> {
    let Some(table) = Table::of(context, inventory).await else {
        return Vec::new();
    };
    let seen = match &table.seat {
        Ok(seat) => table.look(seat).await,
        Err(error) => Err(error.clone()),
    };
    let finding = match seen {
        Ok(Sight {
            halt: Some(halt), ..
        }) if halt.node != table.me.node => table.halted(halt, wish),
        Ok(sight) => {
            table.remember(sight.lease);
            None
        }
        Err(error) => table.unreachable(&error, wish).await,
    };
    finding.into_iter().collect()
}

/// Takes the turn for the operation that `run` is about to begin.
///
/// # Errors
/// [`OperationError::NotNow`], [`OperationError::Stopped`].
pub(super) async fn take_turn(run: &mut Run<'_>, wish: Wish) -> Result<(), OperationError> {
    let (context, node) = (run.context, run.node());
    if context.config.turn.mode == TurnMode::Off {
        run.turn = Turn::Off;
        return Ok(());
    }
    let Some(table) = Table::of(context, &node).await else {
        return Ok(());
    };
    let taken = match &table.seat {
        Err(error) => Err(NotTaken::Unreachable(error.clone())),
        Ok(seat) => {
            let well = Well(&node);
            let stop = run.stop;
            let events = run.events();
            let mut told = |waiting: &Waiting| {
                if let Waiting::Held { by, .. } = waiting {
                    events(Event::TurnWaiting {
                        node: by.node.clone(),
                    });
                }
            };
            take(seat, &well, stop, &mut told).await
        }
    };
    let finding = match taken {
        Ok(held) => {
            table.remember(Some(held.token().lease.clone()));
            run.emit(Event::TurnTaken {
                transitions: held.token().transitions,
            });
            run.turn = Turn::Held(held);
            return Ok(());
        }
        Err(NotTaken::Stopped) => return Err(OperationError::Stopped),
        Err(NotTaken::Halted(halt)) => table.halted(halt, wish),
        Err(NotTaken::InLine { by }) => Some(Finding::new(
            Cause::TurnTaken { node: by.node },
            table.unless_forced(wish),
            wish.asked,
        )),
        Err(NotTaken::Unreachable(error)) => table.unreachable(&error, wish).await,
    };
    match finding {
        Some(finding) if finding.blocks() => Err(OperationError::NotNow(vec![finding])),
        Some(finding) => {
            run.turn = Turn::Alone(finding.cause.code().to_owned());
            run.remark(finding);
            Ok(())
        }
        None => {
            run.turn = Turn::Alone("emergency".to_owned());
            run.remark(Remark::ActsAlone);
            Ok(())
        }
    }
}

/// Whether a plan restarts anything here.
pub(super) fn disturbs(context: &Context, plan: &Plan) -> bool {
    !plan.affected.is_empty() && context.config.restart.mode != RestartMode::None
}

/// Makes sure just before a group of pods is restarted that this node still has its turn.
///
/// # Errors
/// [`RestartError::TurnLost`].
pub(super) async fn before_step(turn: &Turn, context: &Context) -> Result<(), RestartError> {
    match turn {
        Turn::Held(held) => {
            let worst = step_bound(context) * 2;
            held.confirm(worst).await.map_err(|_| RestartError::TurnLost)
        }
        Turn::NotNeeded | Turn::Off | Turn::Alone(_) => Ok(()),
    }
}

/// Gives the turn back when an operation has ended. One that failed after the node was disturbed keeps the others from going on.
pub(super) async fn release_turn<T>(
    run: &mut Run<'_>,
    operation: &str,
    ended: &Result<T, OperationError>,
) {
    let failure = ended.as_ref().err();
    if matches!(failure, Some(OperationError::Stopped)) {
        // The same node goes on with it, which needs no other's leave.
        return;
    }
    let Turn::Held(held) = std::mem::take(&mut run.turn) else {
        return;
    };
    let failure = failure.filter(|error| error.disturbed_the_node());
    let mark = match failure {
        None => {
            // What was restarted may need a moment before the next node goes.
            let settle = run.context.config.turn.settle;
            tokio::select! {
                () = crate::host::stopped(run.stop) => {}
                () = tokio::time::sleep(settle) => {}
            }
            Mark::Clear
        }
        Some(error) => Mark::Set(Halt {
            node: run.node().node_name.clone().unwrap_or_default(),
            operation: operation.to_owned(),
            code: error.code().to_owned(),
            reason: error.to_string(),
            since: crate::host::now(),
        }),
    };
    let halted = matches!(mark, Mark::Set(_));
    match held.release(mark).await {
        Ok(()) => run.emit(Event::TurnReleased { halted }),
        Err(error) => run.remark(Remark::TurnNotReleased {
            reason: error.to_string(),
        }),
    }
}

/// For the journal, before anything is changed.
pub(super) fn turn_record(run: &Run<'_>) -> Option<Record> {
    Some(Record::Turn {
        turn: run.turn.taken()?,
    })
}

/// This node's seat, where there are others to take turns with.
struct Table<'a> {
    context: &'a Context,
    inventory: &'a Inventory,
    known: Known,
    me: Identity,
    seat: Result<Seat, ApiError>,
}

impl<'a> Table<'a> {
    /// `None` where no turn is needed: this is no running node, or the only control plane.
    async fn of(context: &'a Context, inventory: &'a Inventory) -> Option<Self> {
        let machine = context.machine.as_ref()?;
        if context.config.turn.mode == TurnMode::Off {
            return None;
        }
        let kept = Known::read(&context.store());
        let known = kept.with_others(known_members(inventory).await);
        if known.others.is_empty() {
            return None;
        }
        let boot = machine.processes.join("sys/kernel/random/boot_id");
        let boot = read_at_most(&boot, BOOT_ID_LIMIT).unwrap_or_default();
        let me = Identity {
            node: inventory.node_name.clone().unwrap_or_default(),
            boot: String::from_utf8_lossy(&boot).trim().to_owned(),
        };
        let seat = seat(context, inventory, &known, &me);
        Some(Self {
            context,
            inventory,
            known,
            me,
            seat,
        })
    }

    async fn look(&self, seat: &Seat) -> Result<Sight, ApiError> {
        let mut seen = look(seat).await;
        for _ in 1..LOOKS {
            if seen.is_err() {
                seen = look(seat).await;
            }
        }
        seen
    }

    /// Keeps what is known of the cluster. That it cannot be kept only means that it is found out again.
    fn remember(&self, lease: Option<String>) {
        let known = Known {
            lease: lease.or_else(|| self.known.lease.clone()),
            ..self.known.clone()
        };
        if let Err(error) = known.keep(&self.context.store()) {
            tracing::debug!(%error, "what is known of the cluster is not kept");
        }
    }

    fn emergency(&self, wish: Wish) -> Option<Timestamp> {
        let before = SignedDuration::try_from(self.context.config.turn.emergency);
        Some(shifted(wish.ends?, -before.unwrap_or(SignedDuration::MAX)))
    }

    /// Another node has failed: this one waits for an administrator, until its own certificates are about to end and it has
    /// said so for long enough.
    fn halted(&self, halt: Halt, wish: Wish) -> Option<Finding> {
        let notice = SignedDuration::try_from(self.context.config.turn.notice);
        let notice = notice.unwrap_or(SignedDuration::MAX);
        let alone_from = self.emergency(wish).map(|begins| shifted(begins, notice));
        let is_over = alone_from.is_some_and(|from| from <= crate::host::now());
        let severity = if is_over {
            Severity::Warn
        } else {
            self.unless_forced(wish)
        };
        let cause = Cause::TurnHalted {
            node: halt.node,
            operation: halt.operation,
            reason: halt.reason,
            alone_from,
        };
        Some(Finding::new(cause, severity, wish.asked))
    }

    /// The Lease cannot be asked for: `None` where this node acts all the same.
    async fn unreachable(&self, error: &ApiError, wish: Wish) -> Option<Finding> {
        let silent = |emergency, severity| {
            let cause = Cause::TurnUnreachable {
                reason: error.to_string(),
                emergency,
            };
            Some(Finding::new(cause, severity, wish.asked))
        };
        // By hand it is the administrator who sees to the others.
        let (Asked::BySchedule, Some(ends)) = (wish.asked, wish.ends) else {
            return silent(None, Severity::Warn);
        };
        let planes = control_planes(self.inventory).await;
        let others = self.known.others.len();
        let peers = planes.map_or_else(
            || Peers {
                share: self.share(),
                answering: 0,
            },
            |planes| Peers {
                share: planes.share,
                answering: others.saturating_sub(planes.silent.len()),
            },
        );
        let emergency = self.context.config.turn.emergency;
        match permission(peers, ends, emergency, crate::host::now()) {
            Permission::Waits { emergency } => silent(Some(emergency), Severity::Wait),
            Permission::Slot { begins } => {
                let cause = Cause::TurnLater {
                    control_planes: others + 1,
                    begins,
                };
                Some(Finding::new(cause, Severity::Wait, wish.asked))
            }
            Permission::Acts => None,
        }
    }

    fn share(&self) -> crate::plan::Share {
        let mut names: Vec<&str> = self.known.others.iter().map(|(name, _)| &**name).collect();
        names.push(&self.me.node);
        names.sort_unstable();
        names.dedup();
        let place = names.iter().position(|name| *name == self.me.node);
        crate::plan::Share::ranked(place.unwrap_or_default(), names.len())
    }

    fn unless_forced(&self, wish: Wish) -> Severity {
        match wish.asked {
            Asked::BySchedule => Severity::Wait,
            Asked::ByHand { force: true } => Severity::Warn,
            Asked::ByHand { force: false } => Severity::Refuse,
        }
    }
}

/// By what and where this node asks; why it cannot.
fn seat(
    context: &Context,
    inventory: &Inventory,
    known: &Known,
    me: &Identity,
) -> Result<Seat, ApiError> {
    let own = context.config.turn.kubeconfig.as_ref();
    let path = own.map_or_else(
        || inventory.directories.kubernetes.join("admin.conf"),
        |path| context.root.join(path),
    );
    let resolved = context.root.resolve(&path);
    let access = resolved
        .map_err(|error| format!("{}: {error}", path.display()))
        .and_then(|path| access(&path).map_err(|error| error.to_string()))
        .map_err(|reason| ApiError::ApiUnauthorized {
            server: Address {
                host: path.display().to_string(),
                port: 0,
            },
            reason,
        })?;
    let hosts = known.others.iter().map(|(_, host)| host.as_str());
    Ok(Seat {
        me: me.clone(),
        timing: Timing::of(step_bound(context)),
        known: known.lease.clone(),
        servers: api_servers(inventory, hosts, &access),
        access: Arc::new(access),
    })
}

/// How long one pod may take to go, or to come back.
fn step_bound(context: &Context) -> Duration {
    context.config.restart.timeout
}

/// Whether another control plane is seen to be well: all of them are.
struct Well<'a>(&'a Inventory);

impl AsyncWell for Well<'_> {
    fn is_well<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async {
            let planes = control_planes(self.0).await;
            planes.is_some_and(|planes| planes.silent.is_empty())
        })
    }
}
