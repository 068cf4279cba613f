#![allow(clippy::unwrap_used)]

use super::*;
use crate::journal::{RenewedCertificate, Trigger};
use crate::node::CertificateId;
use crate::plan::{Action, PlanItem, Reason, RestartMethod};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn plan(items: &[(&str, &str, &str)]) -> Plan {
    Plan {
        at: Timestamp::UNIX_EPOCH,
        items: items
            .iter()
            .map(|(id, due, ends)| PlanItem {
                id: CertificateId::from(*id),
                authority: None,
                not_after: Some(at(ends)),
                due_at: Some(at(due)),
                action: Action::Renew(Reason::Due),
                notes: Vec::new(),
                trust_notes: Vec::new(),
            })
            .collect(),
        affected: Vec::new(),
        restarts: Vec::new(),
        expected: Vec::new(),
        rereading: Vec::new(),
        method: RestartMethod::default(),
        adopted_proofs: Vec::new(),
        adopted_users: Vec::new(),
        next_due: None,
        unread_manifests: Vec::new(),
    }
}

/// Whoever may write the Lease chooses what the mark in it says.
#[test]
fn a_mark_that_changes_every_minute_is_said_a_few_times_an_hour() {
    let plan = plan(&[]);
    let mut events = NodeEvents::default();
    let mut said = 0;
    for minute in 0..60 {
        let halt = Halt {
            node: "cp2".to_owned(),
            operation: format!("20261126T000000Z-{minute:04}"),
            code: "rolled-back".to_owned(),
            reason: "rolled-back".to_owned(),
            since: at("2026-11-26T00:00:00Z"),
        };
        let happened = Happened {
            halt: Some(&halt),
            ..nothing(&plan)
        };
        let now = at("2026-11-26T00:00:00Z") + SignedDuration::from_mins(minute);
        for event in events.due(&happened, now) {
            events.keep(&event, now);
            said += 1;
        }
    }
    assert_eq!(said, MOST_AN_HOUR);
}

fn receipt(id: &str, finished: &str, outcome: Outcome) -> Receipt {
    let finished = at(finished);
    Receipt {
        id: id.to_owned(),
        started: finished - SignedDuration::from_secs(30),
        finished,
        trigger: Trigger::Schedule,
        kind: Some(OperationKind::Renew),
        by: None,
        history_before: None,
        turn: None,
        outcome,
        code: None,
        certificates: (0..9)
            .map(|number| RenewedCertificate {
                id: format!("certificate-{number}").as_str().into(),
                path: "/x".into(),
                old_serial: "1".into(),
                new_serial: "2".into(),
                old_not_after: finished,
                new_not_after: finished,
                old: None,
                new: None,
            })
            .collect(),
        restarts: vec![("etcd".to_owned(), 1.0)],
        remedies: Vec::new(),
        proofs: Vec::new(),
        copies: Vec::new(),
        warnings: Vec::new(),
        remarks: Vec::new(),
    }
}

fn nothing(plan: &Plan) -> Happened<'_> {
    Happened {
        receipts: &[],
        plan,
        failure: None,
        halt: None,
    }
}

fn reasons(events: &[NodeEvent]) -> Vec<EventReason> {
    events.iter().map(|event| event.reason).collect()
}

/// What is written from `begin` on, looked at each minute for so many hours.
fn written(happened: &Happened<'_>, begin: &str, count: i64) -> Vec<(Timestamp, NodeEvent)> {
    let mut events = NodeEvents::default();
    let mut all = Vec::new();
    for minute in 0..count * 60 {
        let now = at(begin) + SignedDuration::from_mins(minute);
        for event in events.due(happened, now) {
            events.keep(&event, now);
            all.push((now, event));
        }
    }
    all
}

#[test]
fn a_deadline_is_said_at_fixed_distances_once_it_is_late() {
    let plan = plan(&[
        ("apiserver", "2026-10-27T00:00:00Z", "2026-11-26T00:00:00Z"),
        ("etcd/peer", "2026-10-27T00:00:00Z", "2026-11-27T00:00:00Z"),
        ("admin.conf", "2026-12-27T00:00:00Z", "2027-01-26T00:00:00Z"),
    ]);
    let said = written(&nothing(&plan), "2026-10-26T00:00:00Z", 32 * 24);
    let moments: Vec<String> = said.iter().map(|(at, _)| at.to_string()).collect();
    assert_eq!(
        moments,
        [
            "2026-11-12T00:00:00Z",
            "2026-11-19T00:00:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-25T00:00:00Z",
            "2026-11-25T18:00:00Z",
            "2026-11-25T23:00:00Z",
            "2026-11-26T00:00:00Z",
        ]
    );
    let first = &said[0].1.message;
    assert!(
        first.starts_with("apiserver, etcd/peer: due and not renewed; the first ends on Nov 26"),
        "{first}"
    );
    assert!(said[6].1.message.contains("has ended"));
}

#[test]
fn a_short_life_that_is_just_due_is_no_deadline() {
    let plan = plan(&[("apiserver", "2026-11-26T00:40:00Z", "2026-11-26T01:00:00Z")]);
    let due = |moment: &str| NodeEvents::default().due(&nothing(&plan), at(moment));
    assert!(due("2026-11-26T00:44:00Z").is_empty());
    assert_eq!(
        reasons(&due("2026-11-26T00:45:00Z")),
        [EventReason::CertificateDeadline]
    );
}

#[test]
fn an_operation_is_said_once_and_an_old_one_never() {
    let receipts = [
        receipt("old", "2026-11-26T00:00:00Z", Outcome::Done),
        receipt(
            "failed",
            "2026-11-26T02:00:00Z",
            Outcome::Failed("x".into()),
        ),
        receipt("new", "2026-11-26T02:10:00Z", Outcome::Done),
    ];
    let plan = plan(&[]);
    let happened = Happened {
        receipts: &receipts,
        ..nothing(&plan)
    };
    let said = written(&happened, "2026-11-26T02:11:00Z", 30);
    let events: Vec<NodeEvent> = said.into_iter().map(|(_, event)| event).collect();
    assert_eq!(
        reasons(&events),
        [
            EventReason::CertificatesRenewed,
            EventReason::OperationFailed
        ]
    );
    assert_eq!(
        events[0].message,
        "renewed 9 certificates and restarted 1 pod in 30 s; certificates: certificate-0, certificate-1, certificate-2, \
         certificate-3, certificate-4, certificate-5 and 3 more; pods: etcd; operation new"
    );
}

#[test]
fn what_goes_on_is_said_each_hour_and_no_storm_is_made_of_what_changes() {
    let plan = plan(&[]);
    let halt = Halt {
        node: "cp2".into(),
        operation: "id".into(),
        code: "not-in-use".into(),
        reason: "refused".into(),
        since: Timestamp::UNIX_EPOCH,
    };
    let fault = Fault {
        code: "timed-out",
        text: "x".to_owned(),
    };
    let happened = Happened {
        halt: Some(&halt),
        failure: Some(&fault),
        ..nothing(&plan)
    };
    let said = written(&happened, "2026-11-26T00:00:00Z", 10);
    assert_eq!(said.len(), 2 * 10);
    let many: Vec<Receipt> = (0..200)
        .map(|number| receipt(&number.to_string(), "2026-11-26T00:00:00Z", Outcome::Done))
        .collect();
    let happened = Happened {
        receipts: &many,
        ..nothing(&plan)
    };
    let mut events = NodeEvents::default();
    let now = at("2026-11-26T00:00:00Z");
    for _ in 0..50 {
        let due = events.due(&happened, now);
        assert!(due.len() <= MOST);
        due.iter().for_each(|event| events.keep(event, now));
    }
    assert!(events.written.len() <= MOST_REMEMBERED);
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_wait_for_ever() {
    let plan = plan(&[("apiserver", "2026-10-27T00:00:00Z", "2026-11-26T00:00:00Z")]);
    let mut events = NodeEvents::default();
    let now = at("2026-11-25T12:00:00Z");
    let due = events.due(&nothing(&plan), now);
    assert_eq!(reasons(&due).len(), 1);
    due.iter().for_each(|event| events.keep(event, now));
    assert!(events.due(&nothing(&plan), now).is_empty());
    // The same hour's, with the memory of one that lies ahead.
    let failing = Fault {
        code: "timed-out",
        text: "x".to_owned(),
    };
    let happened = Happened {
        failure: Some(&failing),
        ..nothing(&plan)
    };
    let failures = |events: &NodeEvents, now| {
        reasons(&events.due(&happened, now))
            .into_iter()
            .filter(|reason| *reason == EventReason::RenewalFailing)
            .count()
    };
    for event in events.due(&happened, now) {
        events.keep(&event, now);
    }
    assert_eq!(failures(&events, now), 0);
    assert_eq!(failures(&events, now - hours(200)), 1);
}
