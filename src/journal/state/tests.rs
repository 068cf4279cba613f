use super::*;
use crate::journal::step::Trigger;
use jiff::Timestamp;
use proptest::prelude::*;

fn begun() -> Step {
    Step::Begun(Beginning {
        kind: None,
        id: "x".into(),
        version: "0".into(),
        trigger: Trigger::Schedule,
        started: Timestamp::UNIX_EPOCH,
        by: None,
        history: None,
    })
}

fn parking(component: &str) -> Step {
    Step::Parking(ParkedManifest {
        manifest: manifest(component),
        place: manifest(component),
        parked: Path::new("/k/.kubecertd").join(component),
        digest: String::new(),
    })
}

fn manifest(component: &str) -> PathBuf {
    Path::new("/k/manifests").join(component)
}

fn returned(component: &str) -> Step {
    Step::Returned {
        manifest: manifest(component),
        kept_newer: false,
    }
}

fn staging() -> Step {
    let file = |name: &str| StagedFile {
        id: "apiserver".into(),
        path: name.into(),
        target: name.into(),
        staged: format!(".{name}").into(),
        old_digest: None,
        new_digest: String::new(),
        link: false,
    };
    Step::Staging {
        files: vec![file("key"), file("crt")],
    }
}

fn planned(components: &[&str]) -> Step {
    Step::Noted(Record::RestartsPlanned {
        pods: components
            .iter()
            .map(|component| ((*component).to_owned(), manifest(component)).into())
            .collect(),
    })
}

fn restarted(component: &str) -> Step {
    Step::Noted(Record::Restarted {
        component: component.into(),
    })
}

fn rolling_back() -> Step {
    Step::RollingBack("unhealthy".into())
}

fn apiserver() -> CertificateId {
    "apiserver".into()
}

fn left(steps: &[Step]) -> Vec<String> {
    let state = replay(steps).unwrap();
    state
        .restarts_left()
        .map(|restart| restart.pod.component.clone())
        .collect()
}

#[test]
fn after_a_rollback_only_pods_that_may_use_the_new_files_are_restarted() {
    let mut steps = vec![
        begun(),
        staging(),
        Step::Committing,
        Step::Committed,
        planned(&["etcd", "apiserver", "scheduler"]),
        parking("etcd"),
        returned("etcd"),
        restarted("etcd"),
        parking("apiserver"),
    ];
    assert_eq!(left(&steps), ["apiserver", "scheduler"]);
    steps.push(rolling_back());
    assert_eq!(left(&steps), ["etcd", "apiserver"]);
    steps.push(restarted("etcd"));
    assert_eq!(left(&steps), ["apiserver"]);
}

#[test]
fn a_plan_made_by_recovery_does_not_hide_who_runs_with_the_new_files() {
    let mut steps = vec![
        begun(),
        staging(),
        Step::Committing,
        Step::Committed,
        planned(&["etcd", "scheduler"]),
        parking("etcd"),
        returned("etcd"),
        restarted("etcd"),
        planned(&["scheduler"]),
    ];
    assert_eq!(left(&steps), ["scheduler"]);
    steps.push(rolling_back());
    assert_eq!(left(&steps), ["etcd"]);
}

#[test]
fn proofs_are_owed_until_they_are_given_and_again_by_pods_that_go_back() {
    let proofs = |steps: &[Step]| replay(steps).unwrap().proofs_left();
    let mut steps = vec![begun(), staging(), Step::Committing, Step::Committed];
    assert!(proofs(&steps).is_empty(), "nobody was to be restarted");
    steps.push(planned(&[]));
    assert_eq!(proofs(&steps), [apiserver()]);
    let untouched = [&steps[..], &[rolling_back(), rolled_back()]].concat();
    assert!(proofs(&untouched).is_empty());
    steps.extend([planned(&["etcd"]), restarted("etcd")]);
    assert_eq!(proofs(&steps), [apiserver()]);
    let names = vec![apiserver()];
    steps.push(Step::Noted(Record::Proved { names }));
    assert!(proofs(&steps).is_empty());
    steps.extend([rolling_back(), rolled_back(), restarted("etcd")]);
    assert_eq!(proofs(&steps), [apiserver()]);
}

#[test]
fn users_are_told_once_and_again_of_files_that_come_back() {
    let haproxy = || vec![CertificateId::from("haproxy")];
    let planned = || {
        Step::Noted(Record::UsersPlanned {
            certificates: haproxy(),
        })
    };
    let telling = || {
        Step::Noted(Record::Telling {
            certificates: haproxy(),
        })
    };
    let told = || {
        Step::Noted(Record::Told {
            certificates: haproxy(),
        })
    };
    let left = |steps: &[Step]| replay(steps).unwrap().users_left();
    let mut steps = vec![
        begun(),
        planned(),
        staging(),
        Step::Committing,
        Step::Committed,
    ];
    assert_eq!(left(&steps), haproxy());
    assert_eq!(replay(&steps).unwrap().proofs_left(), [apiserver()]);
    // Who was never told has nothing to forget.
    let untold = [&steps[..], &[rolling_back(), rolled_back()]].concat();
    assert!(left(&untold).is_empty());
    assert!(replay(&untold).unwrap().proofs_left().is_empty());
    steps.push(telling());
    assert_eq!(left(&steps), haproxy());
    let half_told = [&steps[..], &[rolling_back(), rolled_back()]].concat();
    assert_eq!(left(&half_told), haproxy());
    steps.push(told());
    assert!(left(&steps).is_empty());
    steps.extend([rolling_back(), rolled_back()]);
    assert_eq!(left(&steps), haproxy());
    steps.push(told());
    assert!(left(&steps).is_empty());
}

#[test]
fn steps_out_of_order_are_refused_with_their_number() {
    let error = replay(&[begun(), staging(), Step::Committed]).unwrap_err();
    assert!(error.starts_with("record 3: "), "{error}");
    for steps in [
        vec![staging()],
        vec![begun(), begun()],
        vec![begun(), Step::Committing],
        vec![begun(), staging(), rolling_back()],
        vec![begun(), rolling_back(), staging()],
        vec![
            begun(),
            Step::Finished {
                outcome: Outcome::Done,
            },
            staging(),
        ],
    ] {
        assert!(replay(&steps).is_err(), "{steps:?}");
    }
}

/// What an operation does, as its caller may mix it: the files' own line of steps, interleaved with manifests.
fn course() -> impl Strategy<Value = Vec<Step>> {
    let files = prop_oneof![
        Just(vec![]),
        Just(vec![staging(), Step::Unstaged]),
        Just(vec![
            staging(),
            Step::Unstaged,
            staging(),
            Step::Committing,
            Step::Committed
        ]),
        Just(vec![staging(), Step::Committing, Step::Committed]),
        Just(vec![
            staging(),
            Step::Committing,
            rolling_back(),
            rolled_back()
        ]),
        Just(vec![
            staging(),
            Step::Committing,
            Step::Committed,
            rolling_back(),
            rolling_back(),
            rolled_back(),
        ]),
    ];
    let others =
        proptest::collection::vec((0usize..4, 0usize..3, any::<prop::sample::Index>()), 0..20);
    (files, others).prop_map(|(mut steps, others)| {
        for (kind, which, place) in others {
            let component = ["etcd", "apiserver", "scheduler"][which];
            let step = match kind {
                0 => parking(component),
                1 => returned(component),
                2 => planned(&["etcd", "apiserver"]),
                _ => restarted(component),
            };
            steps.insert(place.index(steps.len() + 1), step);
        }
        steps.insert(0, begun());
        steps
    })
}

fn rolled_back() -> Step {
    Step::RolledBack {
        left_alone: Vec::new(),
    }
}

proptest! {
    /// The model: a set of manifests that are out, and the last of the files' own steps.
    #[test]
    fn every_prefix_says_what_is_out_and_which_way_to_go(steps in course(), cut in any::<prop::sample::Index>()) {
        let prefix = &steps[..=cut.index(steps.len())];
        let state = replay(prefix).unwrap();
        let mut out = std::collections::BTreeSet::new();
        let mut way = Way::Forget;
        for step in prefix {
            match step {
                Step::Parking(parked) => { out.insert(parked.manifest.clone()); }
                Step::Returned { manifest, .. } => { out.remove(manifest); }
                Step::Committing | Step::Committed => way = Way::Forward,
                Step::RollingBack(_) => way = Way::Back,
                _ => {}
            }
        }
        let said: std::collections::BTreeSet<_> =
            state.out.iter().map(|out| out.parked.manifest.clone()).collect();
        prop_assert_eq!(&said, &out);
        prop_assert_eq!(state.way(), way);
        prop_assert!(!state.is_without_effect() || (out.is_empty() && state.clone().files.of_commit().is_empty()));
        let recognised: std::collections::BTreeSet<_> =
            manifests_out(prefix).into_iter().map(|out| out.parked.manifest).collect();
        prop_assert_eq!(recognised, out);
        if way != Way::Forget {
            prop_assert_eq!(state.files.of_commit().len(), 2);
        }
    }

    #[test]
    fn any_steps_in_any_order_end_in_a_state_or_a_reason(steps in course(), order in any::<u64>()) {
        let mut steps = steps;
        let length = steps.len();
        steps.rotate_left(usize::try_from(order % length as u64).unwrap());
        let _either = replay(&steps);
    }
}
