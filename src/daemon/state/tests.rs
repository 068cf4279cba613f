#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod course;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::*;
use crate::checks::{Asked, Cause, Finding, Severity};
use crate::config::Config;
use crate::daemon::look;
use crate::daemon::others::Others;
use crate::daemon::uses::Uses;
use crate::host::Root;
use crate::operation::Context;
use crate::plan::{Action, PlanItem, Reason};

/// Nothing on the node, and nothing to do.
fn quiet() -> Pass {
    static EMPTY: OnceLock<Pass> = OnceLock::new();
    let observed = || {
        let directory = tempfile::tempdir().unwrap();
        let context = Context::new(
            Root::new(directory.path()).unwrap(),
            Config::default(),
            None,
        );
        let mut pass = look::at_files(&context, Others::default(), Uses::default());
        pass.findings.clear();
        Arc::make_mut(&mut pass.plan).items.clear();
        pass
    };
    EMPTY.get_or_init(observed).clone()
}

fn due() -> Pass {
    let mut pass = quiet();
    Arc::make_mut(&mut pass.plan).items.push(PlanItem {
        id: "apiserver".into(),
        authority: None,
        not_after: None,
        due_at: None,
        action: Action::Renew(Reason::Due),
        notes: Vec::new(),
        trust_notes: Vec::new(),
    });
    pass
}

#[test]
fn what_is_about_to_end_in_memory_is_work_unless_a_renewal_comes_first() {
    let ending = || Uses::about_to_end("kube-scheduler");
    let pass = Pass {
        uses: ending(),
        ..quiet()
    };
    assert!(pass.has_work() && !quiet().has_work());
    assert_eq!(pass.only_restarts(), ["kube-scheduler"]);
    assert_eq!(pass.doing().as_deref(), Some("Restarting: kube-scheduler"));
    assert_eq!(pass.verb(), "Restarting");
    assert!(pass.uses.notes(&pass.inventory)[0].contains("kube-scheduler has only in memory"));
    for other in [due(), unfinished()] {
        let pass = Pass {
            uses: ending(),
            ..other
        };
        assert!(pass.only_restarts().is_empty());
    }
}

/// Not an attempt every half minute until it is over.
#[test]
fn a_hold_holds_back_what_is_only_restarted_as_well() {
    let held = Pass {
        uses: Uses::about_to_end("kube-scheduler"),
        ..held_by(Cause::OnHold {
            reason: "freeze".to_owned(),
            until: None,
            since: Timestamp::UNIX_EPOCH,
        })
    };
    let held = Pass {
        plan: quiet().plan,
        ..held
    };
    assert_eq!(held.only_restarts(), ["kube-scheduler"]);
    let state = State::default().seen(&held);
    assert_eq!(state.about, About::OnHold);
    assert!(!state.may_act(&held, start()));
}

fn held(severity: Severity, passes: Option<Timestamp>) -> Pass {
    let cause = passes.map_or(Cause::ClockAlone, |begins| Cause::TurnLater {
        control_planes: 3,
        begins,
    });
    Pass {
        findings: vec![Finding::new(cause, severity, Asked::BySchedule)],
        ..due()
    }
}

fn held_by(cause: Cause) -> Pass {
    Pass {
        findings: vec![Finding::new(cause, Severity::Wait, Asked::BySchedule)],
        ..due()
    }
}

fn unfinished() -> Pass {
    Pass {
        unfinished: vec!["20260101T000000Z".to_owned()],
        ..quiet()
    }
}

fn stopped() -> Pass {
    Pass {
        node_down: true,
        ..held(Severity::Refuse, None)
    }
}

fn beside(at_work: bool, is_new: bool, problem: Option<&str>) -> Pass {
    Pass {
        others: Others::found(at_work, is_new, problem),
        ..due()
    }
}

fn start() -> Moment {
    static START: OnceLock<Moment> = OnceLock::new();
    *START.get_or_init(|| Moment {
        clock: Timestamp::UNIX_EPOCH,
        steady: Instant::now(),
    })
}

fn after(pause: Duration) -> Moment {
    Moment {
        clock: start().clock + pause,
        steady: start().steady + pause,
    }
}

fn fault() -> Fault {
    Fault {
        code: "file",
        text: "no room".to_owned(),
    }
}

fn failed() -> State {
    let mut state = State::about(About::Acting { cancelled: false });
    state.keep(
        Ending::Failed {
            operations: Vec::new(),
            fault: fault(),
            disturbed: false,
        },
        start(),
    );
    state
}

/// Every kind of pass, and what the daemon is about after it: without a failed attempt, and with one.
fn passes() -> Vec<(Pass, About, About)> {
    let until = after(Duration::from_secs(900)).clock;
    let same = |pass, about| (pass, about, about);
    let refused = About::Blocked { refused: true };
    let passes_by_itself = About::Blocked { refused: false };
    vec![
        same(quiet(), About::Idle),
        (due(), About::Due, About::Failed),
        same(held(Severity::Refuse, None), refused),
        same(held(Severity::Refuse, Some(until)), refused),
        (held(Severity::Wait, None), passes_by_itself, About::Failed),
        (
            held(Severity::Wait, Some(until)),
            About::Waiting { until },
            About::Failed,
        ),
        (
            held_by(Cause::OutsideWindow {
                window: "night".to_owned(),
                opens: until,
            }),
            About::WaitingForWindow { until },
            About::Failed,
        ),
        (
            held_by(Cause::OnHold {
                reason: "moving house".to_owned(),
                since: until,
                until: None,
            }),
            About::OnHold,
            About::Failed,
        ),
        (held(Severity::Warn, None), About::Due, About::Failed),
        (unfinished(), About::Unfinished, About::Failed),
        (stopped(), About::Due, About::Failed),
        (beside(true, false, None), About::Due, About::Failed),
        (
            beside(false, true, Some("no room for etcd.yaml")),
            About::Stranded,
            About::Failed,
        ),
        same(
            Pass {
                plan: quiet().plan,
                ..beside(false, true, Some("no room for etcd.yaml"))
            },
            About::Stranded,
        ),
    ]
}

const ABOUT: [About; 15] = [
    About::Starting,
    About::Idle,
    About::Blocked { refused: false },
    About::Blocked { refused: true },
    About::Waiting {
        until: Timestamp::UNIX_EPOCH,
    },
    About::WaitingForWindow {
        until: Timestamp::UNIX_EPOCH,
    },
    About::OnHold,
    About::Stranded,
    About::Unfinished,
    About::Due,
    About::Failed,
    About::Acting { cancelled: false },
    About::Acting { cancelled: true },
    About::Acted,
    About::Stopping,
];

#[test]
fn what_was_seen_decides_what_the_daemon_is_about() {
    for (pass, fresh, after_failure) in passes() {
        assert_eq!(State::default().seen(&pass).about, fresh, "{pass:#?}");
        assert_eq!(failed().seen(&pass).about, after_failure, "{pass:#?}");
    }
}

#[test]
fn the_word_of_the_status_follows_from_what_the_daemon_is_about() {
    use report::State::{Failing, OnHold, Renewing, Stopped, Waiting, WaitingForWindow};
    let words = ABOUT.map(|about| State::about(about).word());
    let expected = [
        Waiting,
        Waiting,
        Waiting,
        Failing,
        Waiting,
        WaitingForWindow,
        OnHold,
        Failing,
        Waiting,
        Waiting,
        Failing,
        Renewing,
        Renewing,
        Waiting,
        Stopped,
    ];
    assert_eq!(words, expected);
}

#[test]
fn each_signal_of_a_rest_has_its_consequence() {
    let clock = "the clock was set or the machine slept; planning again".to_owned();
    let clock = Effect::Log(Level::INFO, clock);
    for (signal, effects) in [
        (Signal::Changed, vec![Effect::Settle]),
        (Signal::Settled, vec![Effect::ReloadIfChanged]),
        (Signal::Again, vec![Effect::ReloadIfChanged]),
        (Signal::Alone, vec![Effect::ReloadIfChanged]),
        (Signal::Clock(Wake::Due), vec![Effect::ReloadIfChanged]),
        (
            Signal::Clock(Wake::ClockChanged),
            vec![clock, Effect::ReloadIfChanged],
        ),
        (Signal::Reload, vec![Effect::Reload]),
        (
            Signal::Configured { is_new: false },
            vec![Effect::Look(Look::Files)],
        ),
        (
            Signal::Stop,
            vec![Effect::NotifyStopping, Effect::Look(Look::Files)],
        ),
    ] {
        let (_, done) = next(State::about(About::Idle), &quiet(), signal.clone(), start());
        assert_eq!(done, effects, "{signal:?}");
    }
}

#[test]
fn while_an_operation_runs_and_at_the_end_nothing_else_begins() {
    let ended = Signal::Ended(Ending::Done(Vec::new()));
    for (about, heeded) in [
        (
            About::Acting { cancelled: false },
            vec![Signal::Stop, ended.clone()],
        ),
        (About::Acting { cancelled: true }, vec![ended.clone()]),
        (About::Stopping, vec![Signal::Looked(Look::Files)]),
    ] {
        for signal in [
            Signal::Looked(Look::Files),
            Signal::Tidied,
            ended.clone(),
            Signal::Changed,
            Signal::Settled,
            Signal::Clock(Wake::Due),
            Signal::Clock(Wake::ClockChanged),
            Signal::Again,
            Signal::Alone,
            Signal::Reload,
            Signal::Configured { is_new: true },
            Signal::Stop,
        ] {
            if !heeded.contains(&signal) {
                let (state, effects) = next(State::about(about), &due(), signal.clone(), start());
                assert_eq!((state.about, effects), (about, Vec::new()), "{signal:?}");
            }
        }
    }
}

#[test]
fn systemd_hears_that_the_daemon_is_ready_after_the_first_look_and_once() {
    let seen = Signal::Looked(Look::Files);
    let (state, first) = next(State::default(), &due(), seen.clone(), start());
    let announced = [
        Effect::Complain,
        Effect::Publish,
        Effect::Announce,
        Effect::Look(Look::Use),
    ];
    assert_eq!(first, announced);
    let (_, second) = next(state, &due(), seen, start());
    assert_eq!(second, [Effect::Look(Look::Use)]);
}

#[test]
fn what_is_newly_in_use_is_said_before_the_node_is_asked_for_more() {
    let seen = || Signal::Looked(Look::Use);
    let mut pass = due();
    let (_, known) = next(State::about(About::Due), &pass, seen(), start());
    assert_eq!(known, [Effect::Look(Look::Needs)]);
    pass.uses = Uses::new_ones();
    let (_, new) = next(State::about(About::Due), &pass, seen(), start());
    let needs = Effect::Look(Look::Needs);
    assert_eq!(new, [Effect::Complain, Effect::Publish, needs]);
}

#[test]
fn each_end_of_an_operation_sets_when_the_next_may_begin() {
    let id = || vec!["20260101T000000Z".to_owned()];
    let reason = || "no room".to_owned();
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    for (ending, failure, attempts, pause, lines) in [
        (Ending::Done(id()), false, 0, 30 * second, 1),
        (Ending::Done(Vec::new()), false, 0, 30 * second, 0),
        (
            Ending::Incomplete {
                operations: id(),
                fault: fault(),
            },
            true,
            2,
            2 * minute,
            1,
        ),
        (Ending::Stopped(reason()), true, 1, minute, 1),
        (Ending::Busy(Some(1)), true, 1, 10 * second, 1),
        (Ending::NotNow(Some(fault())), true, 1, 30 * second, 0),
        (Ending::NotNow(None), false, 1, 30 * second, 0),
        (Ending::RestartsWait(reason()), true, 1, 30 * second, 1),
        (
            Ending::Failed {
                operations: Vec::new(),
                fault: fault(),
                disturbed: false,
            },
            true,
            2,
            2 * minute,
            2,
        ),
        (
            Ending::Failed {
                operations: Vec::new(),
                fault: fault(),
                disturbed: true,
            },
            true,
            2,
            30 * minute,
            2,
        ),
    ] {
        let signal = Signal::Ended(ending.clone());
        let (state, effects) = next(failed(), &due(), signal, start());
        assert_eq!(state.failure.is_some(), failure, "{ending:?}");
        assert_eq!(state.retry.attempts(), attempts, "{ending:?}");
        let remaining = state.retry.remaining(start().steady);
        assert_eq!(remaining, pause, "{ending:?}");
        assert_eq!(effects.len(), lines + 1, "{effects:?}");
        assert_eq!(effects.last(), Some(&Effect::Look(Look::Files)));
        assert_eq!(state.about, About::Acted);
    }
}

#[test]
fn a_reason_to_hurry_ends_the_wait_for_the_next_attempt() {
    let hurries = |pass: &Pass, signal| {
        let state = State {
            about: About::Failed,
            ..failed()
        };
        let (state, _) = next(state, pass, signal, start());
        assert_eq!(state.retry.attempts(), 1, "how many failed is kept");
        state.retry.permits(start().steady)
    };
    assert!(!hurries(&due(), Signal::Configured { is_new: false }));
    assert!(hurries(&due(), Signal::Configured { is_new: true }));
    let files = || Signal::Looked(Look::Files);
    assert!(!hurries(&beside(false, false, None), files()));
    assert!(hurries(&beside(false, true, None), files()));
}

#[test]
fn a_node_that_has_just_stopped_does_not_wait_for_the_next_attempt() {
    let seen = || Signal::Looked(Look::Needs);
    let (state, _) = next(failed().seen(&due()), &due(), seen(), start());
    assert!(!state.retry.permits(start().steady));
    let (mut state, _) = next(state, &stopped(), seen(), start());
    assert!(state.retry.permits(start().steady));
    // What fails then waits as always.
    state.retry.failed(start().steady, true, 0.0);
    let (state, _) = next(state, &stopped(), seen(), start());
    assert!(!state.retry.permits(start().steady));
}

#[test]
fn a_rest_ends_when_something_may_have_changed() {
    let rest = |state: State, pass: &Pass| {
        let (_, effects) = next(state, pass, Signal::Tidied, start());
        match effects.as_slice() {
            [Effect::Rest(rest)] => *rest,
            other => panic!("{other:?}"),
        }
    };
    let hour = after(Duration::from_secs(3600)).clock;
    let idle = rest(State::about(About::Idle), &quiet());
    assert_eq!(
        idle,
        Rest {
            until: hour,
            again: None,
            others: None
        }
    );
    // What is due sooner than the next scan.
    let soon = after(Duration::from_secs(60)).clock;
    let mut pass = quiet();
    Arc::make_mut(&mut pass.plan).next_due = Some((soon, "apiserver".into()));
    assert_eq!(rest(State::about(About::Idle), &pass).until, soon);
    // Never later than the next scan: the clock may be set, and files may change unnoticed.
    let late = after(Duration::from_secs(7200)).clock;
    Arc::make_mut(&mut pass.plan).next_due = Some((late, "apiserver".into()));
    assert_eq!(rest(State::about(About::Idle), &pass).until, hour);
    // The next attempt.
    let state = failed().seen(&due());
    let again = start().steady + state.retry.remaining(start().steady);
    assert_eq!(rest(state, &due()).again, Some(again));
    // Another kubecertd, whose end counts and not the next attempt.
    let others = rest(State::about(About::Due), &beside(true, false, None));
    assert_eq!(
        (others.again, others.others),
        (None, Some(Duration::from_secs(1)))
    );
    // What holds the daemon back passes, though another attempt may be made.
    let until = after(Duration::from_secs(900));
    let pass = held(Severity::Wait, Some(until.clock));
    let again = rest(State::about(About::Waiting { until: until.clock }), &pass).again;
    assert!(again.is_some_and(|moment| moment >= until.steady));
}

#[test]
fn the_log_says_when_expired_certificates_have_stopped_the_node() {
    let log = Effect::Log(Level::WARN, GETTING_BACK.to_owned());
    for (pass, is_said) in [(stopped(), true), (due(), false)] {
        let (state, effects) = next(State::about(About::Due), &pass, Signal::Tidied, start());
        assert_eq!(effects.contains(&log), is_said);
        assert!(effects.ends_with(&[Effect::Publish, Effect::Act]));
        assert_eq!(state.about, About::Acting { cancelled: false });
    }
}
