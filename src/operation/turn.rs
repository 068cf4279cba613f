//! The operation's turn: asked for before the node is disturbed, confirmed before each step, given back at the end.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use super::Context;
use super::error::OperationError;
use super::event::Event;
use super::fleet::{give_slot_back, take_slot};
use super::remark::Remark;
use super::right::Turn;
use super::run::Run;
use super::table::{Table, Well, Wish};
use crate::checks::{Finding, blocking};
use crate::cluster::{Halt, Mark, NotTaken, Waiting, take};
use crate::config::{RestartMode, TurnMode};
use crate::host::stopped;
use crate::journal::Record;
use crate::plan::{Plan, RestartGroup};

/// How long the one that had the turn before may take to be well again.
const COMES_BACK: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(2);

/// Takes the turn for the operation that `run` is about to begin, and the slot at a FleetLock server where there is one.
///
/// # Errors
/// [`OperationError::NotNow`], [`OperationError::Stopped`].
pub(super) async fn take_turn(
    run: &mut Run<'_>,
    wish: Wish<'_>,
    groups: &[RestartGroup],
) -> Result<(), OperationError> {
    take_lease(run, wish, groups).await?;
    match take_slot(run, wish.intent, wish.asked).await {
        Some(finding) if finding.blocks() => {
            run.slot = None;
            if let Turn::Held(held) = std::mem::take(&mut run.turn) {
                // Nothing was begun; where it cannot be given back it ends by itself.
                drop(held.release(Mark::Keep).await);
            }
            Err(OperationError::NotNow(vec![finding]))
        }
        Some(finding) => {
            run.remark(finding);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Takes the turn for the operation that `run` is about to begin.
///
/// # Errors
/// [`OperationError::NotNow`], [`OperationError::Stopped`].
async fn take_lease(
    run: &mut Run<'_>,
    wish: Wish<'_>,
    groups: &[RestartGroup],
) -> Result<(), OperationError> {
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
            let mut before = None;
            // Its turn is renewed every few seconds, which changes nothing that a person wants to know.
            let mut told = |waiting: &Waiting| {
                if let Waiting::Held { by, .. } = waiting
                    && before.as_ref() != Some(&by.node)
                {
                    before = Some(by.node.clone());
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
            let findings = against(&table, wish, groups, run.stop).await;
            if !findings.is_empty() {
                // Nothing was begun, so there is nothing that could not be given back; else it ends by itself.
                drop(held.release(Mark::Keep).await);
                return Err(OperationError::NotNow(findings));
            }
            table.remember(Some(held.token().lease.clone()));
            run.emit(Event::TurnGranted {
                transitions: held.token().transitions,
            });
            run.turn = Turn::Held(held);
            return Ok(());
        }
        Err(NotTaken::Stopped) => return Err(OperationError::Stopped),
        Err(NotTaken::Halted(halt)) => table.halted(halt, wish),
        Err(NotTaken::InLine { by }) => table.occupied(by, wish).await,
        Err(NotTaken::Unreachable(error)) => table.unreachable(&error, wish).await,
    };
    let finding = match finding {
        None => table.gone_in_slot(wish, run.stop).await,
        found => found,
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

/// What speaks against disturbing anything although it is this node's turn: another control plane that does not answer, a reboot or
/// drain, or etcd.
/// Whoever had the turn before may just be coming back.
async fn against(
    table: &Table<'_>,
    wish: Wish<'_>,
    groups: &[RestartGroup],
    stop: &watch::Receiver<bool>,
) -> Vec<Finding> {
    let begun = Instant::now();
    loop {
        let mut findings = table.silent(wish).await;
        findings.extend(blocking(&table.maintenance(wish).await));
        findings.extend(table.etcd(wish, groups).await);
        if findings.is_empty() || begun.elapsed() > COMES_BACK {
            return findings;
        }
        tokio::select! {
            biased;
            () = stopped(stop) => return findings,
            () = sleep(PAUSE) => {}
        }
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
    give_slot_back(run).await;
    let Turn::Held(held) = std::mem::take(&mut run.turn) else {
        return;
    };
    let failure = failure.filter(|error| error.halts_others());
    let mark = match failure {
        None => {
            // What was restarted may need a moment before the next node goes.
            let settle = run.context.config.turn.settle;
            tokio::select! {
                () = stopped(run.stop) => {}
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

/// Gives back what was taken for an operation that did not begin after all. One that was stopped in the middle keeps its turn: the
/// same node goes on with it.
pub(super) async fn give_back_unused<T>(run: &mut Run<'_>, ended: &Result<T, OperationError>) {
    if matches!(ended, Err(OperationError::Stopped)) {
        return;
    }
    give_slot_back(run).await;
    if let Turn::Held(held) = std::mem::take(&mut run.turn)
        && let Err(error) = held.release(Mark::Keep).await
    {
        run.remark(Remark::TurnNotReleased {
            reason: error.to_string(),
        });
    }
}

/// For the journal, before anything is changed.
pub(super) fn turn_record(run: &Run<'_>) -> Option<Record> {
    Some(Record::Turn {
        turn: run.turn.taken()?,
    })
}
