#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const SECOND: Uptime = Uptime::from_secs(1);

fn me() -> Identity {
    Identity::parse("cp1/a").unwrap()
}

fn other() -> Identity {
    Identity::parse("cp2/b").unwrap()
}

fn turn(known: Option<&str>) -> Turn {
    let timing = Timing {
        lease: SECOND * 60,
        renewal: SECOND * 10,
    };
    Turn::new(me(), timing, known.map(str::to_owned))
}

fn record(version: &str, holder: Option<Identity>) -> Record {
    Record {
        uid: "u".into(),
        version: version.into(),
        holder,
        transitions: 4,
        duration: SECOND * 60,
        renewed: version.into(),
        halt: None,
    }
}

fn halt(node: &str) -> Halt {
    Halt {
        node: node.into(),
        operation: "id".into(),
        code: "not-in-use".into(),
        reason: "refused".into(),
        since: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn tick(holder_is_out: bool) -> Input {
    Input::Tick { holder_is_out }
}

/// Wants its turn and reads that.
fn wants(read: Option<Record>, now: Uptime) -> (Turn, Option<Effect>) {
    let (turn, effect) = turn(Some("u")).step(Input::Want, now);
    assert_eq!(effect, Some(Effect::Read));
    turn.step(Input::Read(read), now)
}

fn holding() -> Turn {
    let (turn, effect) = wants(Some(record("1", None)), SECOND * 100);
    let Some(Effect::Write(draft)) = effect else {
        panic!("{effect:?}")
    };
    assert_eq!((draft.base.as_deref(), draft.transitions), (Some("1"), 5));
    let mut taken = record("2", Some(me()));
    taken.transitions = 5;
    let (turn, effect) = turn.step(Input::Written(taken), SECOND * 103);
    assert_eq!(effect, None);
    turn
}

#[test]
fn it_acts_for_four_fifths_of_the_duration_after_it_began_to_write() {
    let turn = holding();
    assert_eq!(turn.left(SECOND * 103), Some(SECOND * 45));
    assert!(turn.permits(SECOND * 45, SECOND * 103));
    assert!(!turn.permits(SECOND * 46, SECOND * 103));
    assert_eq!(turn.left(SECOND * 200), Some(Uptime::ZERO));
}

#[test]
fn it_renews_in_time_and_a_failure_changes_nothing() {
    let (turn, effect) = holding().step(tick(false), SECOND * 109);
    assert_eq!(effect, None);
    let (turn, effect) = turn.step(tick(false), SECOND * 110);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
    let (turn, effect) = turn.step(tick(false), SECOND * 111);
    assert_eq!(effect, None, "one thing at a time");
    let (turn, _) = turn.step(Input::Failed, SECOND * 120);
    assert_eq!(turn.left(SECOND * 120), Some(SECOND * 28));
    let (_, effect) = turn.step(tick(false), SECOND * 121);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
}

#[test]
fn another_nodes_turn_is_waited_for_and_taken_only_when_it_has_expired_and_that_node_is_out() {
    let held = record("1", Some(other()));
    let (turn, effect) = wants(Some(held.clone()), SECOND * 100);
    assert_eq!(effect, None);
    let waiting = Waiting::Held {
        by: other(),
        expires: SECOND * 160,
    };
    assert_eq!(turn.waiting(SECOND * 101), waiting);
    let (turn, effect) = turn.step(tick(true), SECOND * 159);
    assert_eq!(effect, Some(Effect::Read));
    // An annotation was written: another version that says the same.
    let (turn, _) = turn.step(
        Input::Read(Some(Record {
            version: "2".into(),
            ..held
        })),
        SECOND * 159,
    );
    let (still, effect) = turn.clone().step(tick(false), SECOND * 160);
    assert_eq!(effect, Some(Effect::Read));
    drop(still);
    let (_, effect) = turn.clone().step(tick(true), SECOND * 160);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
    // It was renewed just before.
    let (turn, _) = turn.step(tick(false), SECOND * 160);
    let renewed = record("3", Some(other()));
    let (turn, _) = turn.step(Input::Read(Some(renewed)), SECOND * 160);
    let (_, effect) = turn.step(tick(true), SECOND * 161);
    assert_eq!(effect, Some(Effect::Read));
}

#[test]
fn a_node_that_was_restarted_takes_its_own_turn_at_once() {
    let earlier = Identity::parse("cp1/earlier").unwrap();
    let (_, effect) = wants(Some(record("1", Some(earlier))), SECOND);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
}

#[test]
fn a_mark_holds_all_up_but_the_node_that_failed() {
    let marked = |node| Record {
        halt: Some(halt(node)),
        ..record("1", None)
    };
    let (turn, effect) = wants(Some(marked("cp2")), SECOND);
    assert_eq!(effect, None);
    assert_eq!(turn.waiting(SECOND * 9999), Waiting::Halted(halt("cp2")));
    let (_, effect) = wants(Some(marked("cp1")), SECOND);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
}

#[test]
fn a_lease_that_is_gone_or_another_is_waited_out() {
    let (gone, effect) = wants(None, SECOND * 100);
    assert_eq!(effect, None);
    let until = SECOND * 160;
    assert_eq!(gone.waiting(SECOND * 100), Waiting::Strange { until });
    let mut another = record("1", None);
    another.uid = "v".into();
    let (turn, effect) = wants(Some(another.clone()), SECOND * 100);
    assert_eq!(effect, None);
    let (turn, _) = turn.step(tick(true), SECOND * 161);
    let (_, effect) = turn.step(Input::Read(Some(another)), SECOND * 161);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
    // Whoever never knew one makes it.
    let (turn, _) = turn_of_nobody().step(Input::Want, SECOND);
    let (_, effect) = turn.step(Input::Read(None), SECOND);
    let Some(Effect::Write(draft)) = effect else {
        panic!("{effect:?}")
    };
    assert_eq!(draft.base, None);
}

fn turn_of_nobody() -> Turn {
    turn(None)
}

#[test]
fn who_reads_that_another_has_it_has_lost_it() {
    for read in [
        None,
        Some(record("9", Some(other()))),
        Some(record("9", Some(me()))),
    ] {
        let (turn, _) = holding().step(Input::Confirm, SECOND * 104);
        let (turn, effect) = turn.step(Input::Conflict, SECOND * 105);
        assert_eq!(effect, Some(Effect::Read));
        let (turn, effect) = turn.step(Input::Read(read), SECOND * 106);
        assert_eq!(effect, None);
        assert!(turn.is_over() && turn.token().is_none());
        assert!(!turn.permits(Uptime::ZERO, SECOND * 106));
    }
}

#[test]
fn it_is_given_back_with_what_became_of_it() {
    let (turn, effect) = holding().step(Input::Release(Mark::Set(halt("cp1"))), SECOND * 110);
    let Some(Effect::Write(draft)) = effect else {
        panic!("{effect:?}")
    };
    assert_eq!((draft.holder, draft.transitions), (None, 5));
    assert_eq!(draft.mark, Mark::Set(halt("cp1")));
    let (turn, effect) = turn.step(Input::Failed, SECOND * 111);
    assert_eq!(effect, None);
    let (turn, effect) = turn.step(tick(false), SECOND * 112);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
    let (turn, _) = turn.step(Input::Written(record("3", None)), SECOND * 113);
    assert!(turn.is_over());
}

#[test]
fn what_is_granted_after_it_was_wanted_is_given_back() {
    let (turn, effect) = wants(Some(record("1", None)), SECOND);
    assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
    let (turn, effect) = turn.step(Input::Release(Mark::Keep), SECOND * 2);
    assert_eq!(effect, None);
    let (_, effect) = turn.step(Input::Written(record("2", Some(me()))), SECOND * 3);
    let Some(Effect::Write(draft)) = effect else {
        panic!("{effect:?}")
    };
    assert_eq!(draft.holder, None);
}

#[test]
fn counts_that_a_hand_wrote_do_not_overflow() {
    for transitions in [i32::MAX, i32::MIN, -1] {
        let mut odd = record("1", None);
        odd.transitions = transitions;
        odd.duration = Uptime::MAX;
        let (turn, effect) = wants(Some(odd), SECOND);
        assert!(matches!(effect, Some(Effect::Write(_))), "{effect:?}");
        drop(turn);
    }
}

#[test]
fn what_others_write_beside_the_turn_extends_no_dead_holders_life() {
    let (mut turn, mut effect) = wants(Some(record("0", Some(other()))), SECOND * 100);
    for second in 1..=59_u32 {
        assert_eq!(effect, None);
        (turn, effect) = turn.step(tick(true), SECOND * (100 + second));
        assert_eq!(effect, Some(Effect::Read), "{second}");
        let annotated = Record {
            version: second.to_string(),
            ..record("0", Some(other()))
        };
        (turn, effect) = turn.step(Input::Read(Some(annotated)), SECOND * (100 + second));
    }
    let (_, effect) = turn.step(tick(true), SECOND * 160);
    let Some(Effect::Write(draft)) = effect else {
        panic!("{effect:?}")
    };
    assert_eq!(draft.base.as_deref(), Some("59"), "the newest version");
}
