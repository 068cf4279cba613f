#![allow(clippy::unwrap_used)]

use jiff::SignedDuration;

use super::*;
use crate::config::Config;
use crate::host::Root;

const COMPONENT: &str = "kube-apiserver";

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000).unwrap() + SignedDuration::from_hours(hours)
}

fn proof() -> PendingProof {
    PendingProof {
        component: COMPONENT.to_owned(),
        certificates: vec!["apiserver-kubelet-client".into()],
        since: at(0),
        old_end: at(720),
    }
}

fn pending(answer: Option<(Timestamp, PickedUp)>) -> Pending {
    let answer = answer.map(|(at, answer)| LastAnswer {
        at,
        times: 2,
        answer,
    });
    Pending {
        known: vec![Known {
            proof: proof(),
            answer,
        }],
        may_restart: true,
    }
}

fn unknown() -> PickedUp {
    PickedUp::Unknown {
        certificates: proof().certificates,
        seen: "x".to_owned(),
    }
}

#[test]
fn the_status_says_what_is_pending_and_only_a_restart_is_complained_about() {
    let waiting = pending(Some((at(1), unknown())));
    let said: Vec<String> = waiting
        .uses(at(1))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "kube-apiserver has not yet shown that it uses the new apiserver-kubelet-client; asked again at Sep 09, 2001 03:46 UTC; \
             the old one ends Oct 09, 2001 01:46 UTC"
        ]
    );
    assert_eq!(waiting.ask_after(at(1)), Some(Duration::from_secs(3600)));
    assert_eq!(
        (
            waiting.to_be_restarted(at(1)).len(),
            waiting.notes(at(1)).len()
        ),
        (0, 0)
    );

    let mut old_in_use = pending(Some((at(1), PickedUp::No("x".to_owned()))));
    assert_eq!(old_in_use.to_be_restarted(at(1)), [COMPONENT]);
    assert!(old_in_use.notes(at(1))[0].contains("it is to be restarted"));
    // While it cannot be restarted it is asked again.
    assert_eq!(old_in_use.ask_after(at(1)), Some(Duration::from_secs(3600)));
    old_in_use.may_restart = false;
    assert!(old_in_use.to_be_restarted(at(1)).is_empty());
    assert!(old_in_use.notes(at(1))[0].contains("`kubecertd restart kube-apiserver`"));

    let near = pending(Some((at(700), unknown())));
    assert_eq!(near.to_be_restarted(at(700)), [COMPONENT]);

    let shown = pending(Some((at(1), PickedUp::Yes(Vec::new()))));
    assert!(shown.uses(at(2)).is_empty());
    assert_eq!(shown.ask_after(at(2)), None);
}

#[test]
fn an_answer_is_kept_for_the_renewal_that_it_was_given_for() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::new(directory.path()).unwrap();
    let mut context = Context::new(root, Config::default(), None);
    let mut shown = pending(Some((at(1), PickedUp::Yes(Vec::new()))));
    shown.update(&context, vec![proof()]);
    assert!(shown.uses(at(2)).is_empty());
    let another = PendingProof {
        since: at(5),
        ..proof()
    };
    shown.update(&context, vec![another]);
    assert_eq!(shown.uses(at(5)).len(), 1);
    assert!(shown.may_restart);
    context.config.renewal.enabled = false;
    shown.update(&context, Vec::new());
    assert_eq!(shown, Pending::default());
}

#[test]
fn a_start_since_then_is_an_answer() {
    use crate::probe::Seen;
    let mut known = pending(None).known.remove(0);
    let running = |since| Usage {
        certificate: "apiserver".into(),
        seen: Seen::Running {
            component: COMPONENT.to_owned(),
            since,
        },
    };
    assert!(!known.is_started(&[running(at(-1))], at(2)));
    assert!(known.is_to_be_asked(at(2)));
    assert!(known.is_started(&[running(at(1))], at(2)));
    assert!(!known.is_to_be_asked(at(2)));
    let kept = known.clone();
    assert!(known.is_started(&[running(at(1))], at(3)));
    assert_eq!(known, kept, "nothing new");
}
