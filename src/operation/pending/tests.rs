#![allow(clippy::unwrap_used)]

use super::*;
use crate::journal::{RenewedCertificate, Trigger};

const DAY: i64 = 24 * 3600;
const NAMES: [&str; 2] = ["apiserver-kubelet-client", "apiserver"];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + seconds).unwrap()
}

/// An operation at a moment that replaced both certificates, which had so long to live, by ones with this serial.
fn renewal(moment: i64, life: i64, serial: &str) -> Receipt {
    let line = |name: &str| RenewedCertificate {
        id: name.into(),
        path: "/x".into(),
        old_serial: "0".into(),
        new_serial: serial.into(),
        old_not_after: at(moment + life),
        new_not_after: at(moment + 365 * DAY),
        old: None,
        new: None,
    };
    Receipt {
        id: format!("operation-{moment}"),
        started: at(moment - 60),
        finished: at(moment),
        trigger: Trigger::Schedule,
        kind: None,
        by: None,
        history_before: None,
        turn: None,
        outcome: Outcome::Done,
        code: None,
        certificates: NAMES.map(line).to_vec(),
        restarts: Vec::new(),
        remedies: Vec::new(),
        proofs: Vec::new(),
        copies: Vec::new(),
        warnings: Vec::new(),
        remarks: Vec::new(),
    }
}

/// The same where the API server did not show that it uses the first of them.
fn not_shown_by(receipt: Receipt) -> Receipt {
    let remark = Remark::NotShown {
        component: "kube-apiserver".to_owned(),
        certificates: vec![NAMES[0].into()],
        seen: "nothing answered".to_owned(),
    };
    Receipt {
        remarks: vec![remark.coded()],
        ..receipt
    }
}

fn restart(moment: i64, component: &str) -> Receipt {
    Receipt {
        certificates: Vec::new(),
        restarts: vec![(component.to_owned(), 1.0)],
        ..renewal(moment, DAY, "")
    }
}

/// What is left: moments, ends, serials.
fn told(receipts: &[Receipt]) -> Vec<(Timestamp, Timestamp, String)> {
    left(receipts)
        .into_iter()
        .map(|one| {
            assert_eq!(
                (one.component.as_str(), one.id),
                ("kube-apiserver", NAMES[0].into())
            );
            (one.since, one.old_end, one.serial)
        })
        .collect()
}

#[test]
fn what_was_not_shown_is_left_until_its_component_is_restarted() {
    let first = not_shown_by(renewal(0, 30 * DAY, "1"));
    let one = vec![(at(0), at(30 * DAY), "1".to_owned())];
    assert!(told(&[renewal(0, 30 * DAY, "1")]).is_empty());
    assert_eq!(told(std::slice::from_ref(&first)), one);
    assert_eq!(told(&[first.clone(), restart(9, "etcd")]), one);
    assert!(told(&[first.clone(), restart(9, "kube-apiserver")]).is_empty());
    // Restarted by the same operation, for etcd's sake.
    let meanwhile = Receipt {
        restarts: vec![("kube-apiserver".to_owned(), 1.0)],
        ..first.clone()
    };
    assert!(told(&[meanwhile]).is_empty());
    // What was put back leaves nothing; what failed later left its files in place.
    let back = Receipt {
        outcome: Outcome::RolledBack("x".to_owned()),
        ..first.clone()
    };
    assert!(told(&[back]).is_empty());
    let failed = Receipt {
        outcome: Outcome::Failed("x".to_owned()),
        ..first
    };
    assert_eq!(told(&[failed]), one);
}

#[test]
fn the_first_end_of_what_may_still_be_in_use_counts() {
    let first = not_shown_by(renewal(0, 30 * DAY, "1"));
    let again = not_shown_by(renewal(DAY, 365 * DAY, "2"));
    let wanted = |end: i64| vec![(at(DAY), at(end), "2".to_owned())];
    assert_eq!(told(&[first, again.clone()]), wanted(30 * DAY));
    // What had ended by then is in use no more.
    let ended = not_shown_by(renewal(0, DAY / 2, "1"));
    assert_eq!(told(&[ended, again]), wanted(366 * DAY));
}

#[test]
fn a_receipt_that_another_wrote_leaves_nothing_odd() {
    let mut odd = not_shown_by(renewal(0, DAY, "1"));
    for fields in [
        None,
        Some(serde_json::json!({"component": 1, "certificates": ["apiserver"]})),
        Some(serde_json::json!({"component": "x", "certificates": "apiserver"})),
        Some(serde_json::json!({"component": "x", "certificates": [1, null]})),
        // It did not replace that one.
        Some(serde_json::json!({"component": "x", "certificates": ["etcd-server"]})),
    ] {
        odd.remarks[0].fields = fields;
        assert_eq!(left(std::slice::from_ref(&odd)), []);
    }
}

fn proof() -> PendingProof {
    PendingProof {
        component: "kube-apiserver".to_owned(),
        certificates: vec![NAMES[0].into()],
        since: at(0),
        old_end: at(30 * DAY),
    }
}

fn answered(at: Timestamp, times: u32, answer: PickedUp) -> LastAnswer {
    LastAnswer { at, times, answer }
}

fn unknown() -> PickedUp {
    PickedUp::Unknown {
        certificates: vec![NAMES[0].into()],
        seen: "x".to_owned(),
    }
}

#[test]
fn it_is_asked_once_the_table_gives_no_more_time_and_then_hourly() {
    let step = |last: Option<&LastAnswer>, now| what_to_do(&proof(), last, at(now));
    assert_eq!(step(None, 1), PendingStep::AskAt(at(360)));
    let last = answered(at(360), 1, unknown());
    assert_eq!(step(Some(&last), 361), PendingStep::AskAt(at(3960)));
    assert_eq!(step(Some(&last), 3960), PendingStep::AskAt(at(3960)));
    // The clock was set back.
    assert_eq!(step(Some(&last), 300), PendingStep::AskAt(at(300)));
    let yes = answered(at(360), 1, PickedUp::Yes(Vec::new()));
    assert_eq!(step(Some(&yes), 60 * DAY), PendingStep::Proved);
    let no = answered(at(360), 1, PickedUp::No("x".to_owned()));
    assert_eq!(step(Some(&no), 361), PendingStep::RestartNow);
    assert_eq!(step(Some(&no), 4000), PendingStep::AskAt(at(4000)));
}

#[test]
fn a_day_before_the_old_one_ends_a_restart_is_forced_but_not_on_the_first_silence() {
    let near = 29 * DAY;
    let step = |times, now| {
        let last = answered(at(now - 1), times, unknown());
        what_to_do(&proof(), Some(&last), at(now))
    };
    assert_eq!(step(9, near - 1), PendingStep::AskAt(at(near - 2 + 3600)));
    assert_eq!(step(9, near), PendingStep::RestartNow);
    assert_eq!(step(1, near), PendingStep::AskAt(at(near - 1 + 3600)));
    assert_eq!(step(2, 31 * DAY), PendingStep::RestartNow);
    // A daemon that was just started asks first, at once.
    let asked = what_to_do(&proof(), None, at(31 * DAY));
    assert!(matches!(asked, PendingStep::AskAt(moment) if moment <= at(31 * DAY)));
    // One that never had more than a day is not waited for.
    let short = PendingProof {
        old_end: at(3600),
        ..proof()
    };
    assert_eq!(what_to_do(&short, None, at(1)), PendingStep::AskAt(at(0)));
}

#[test]
fn windows_and_holds_have_no_force_in_the_last_day() {
    let mut renewal = Renewal::default();
    let components = ["kube-apiserver".to_owned(), "etcd".to_owned()];
    let found = overridden(&[proof()], &components, &renewal).unwrap();
    assert_eq!((found.from, found.ends), (at(29 * DAY), at(30 * DAY)));
    assert_eq!(found.certificate, NAMES[0].into());
    assert_eq!(overridden(&[proof()], &components[1..], &renewal), None);
    renewal.window_override = std::time::Duration::from_secs(60);
    let found = overridden(&[proof()], &components, &renewal).unwrap();
    assert_eq!(found.from, at(30 * DAY - 60));
}

#[test]
fn only_a_start_of_the_same_component_after_the_renewal_settles_it() {
    let running = |component: &str, since| Usage {
        certificate: NAMES[0].into(),
        seen: Seen::Running {
            component: component.to_owned(),
            since,
        },
    };
    assert!(is_started_since(
        &proof(),
        &[running("kube-apiserver", at(1))]
    ));
    assert!(!is_started_since(
        &proof(),
        &[running("kube-apiserver", at(0))]
    ));
    assert!(!is_started_since(&proof(), &[running("etcd", at(1))]));
}
