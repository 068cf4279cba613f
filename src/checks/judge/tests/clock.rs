use super::*;

/// A clock that nothing speaks against, but which nobody synchronises.
fn lonely() -> Clock {
    Clock {
        synchronised: Some(false),
        service: None,
        latest: Some(Mark {
            moment: now() - days(100),
            what: "the certificate apiserver begins".into(),
        }),
        certificates: Some(Lives {
            last_end: now() + days(20),
            longest: days(365),
        }),
        newest_file: None,
        up: Some(days(3)),
    }
}

fn with_clock(clock: Clock) -> Readings {
    Readings {
        clock,
        ..Readings::default()
    }
}

fn set_back_by(ahead: SignedDuration) -> Readings {
    with_clock(Clock {
        latest: Some(Mark {
            moment: now() + ahead,
            what: "the certificate apiserver begins".into(),
        }),
        ..lonely()
    })
}

#[test]
fn a_clock_that_was_set_back_is_waited_for_and_force_overrules() {
    let readings = set_back_by(days(3650));
    let intent = ending_in(days(20));
    let finding = one(&readings, &intent, Asked::BySchedule);
    assert_eq!(finding.severity, Severity::Wait);
    assert!(
        finding.to_string().starts_with(
            "the clock shows a time before May 29, 2036 00:00 UTC, when the certificate apiserver begins"
        ),
        "{finding}"
    );
    for (asked, severity) in [
        (Asked::ByHand { force: false }, Severity::Refuse),
        (Asked::ByHand { force: true }, Severity::Warn),
    ] {
        assert_eq!(one(&readings, &intent, asked).severity, severity);
    }
    // Even with nothing to do it is said.
    assert_eq!(
        one(&readings, &Intent::default(), Asked::BySchedule).severity,
        Severity::Wait
    );
    // What ends soon by a clock that is late ends sooner in truth.
    assert!(!one(&readings, &ending_in(days(9)), Asked::BySchedule).blocks());
    // Five minutes are nothing.
    let a_little = set_back_by(SignedDuration::from_mins(5));
    assert!(!one(&a_little, &intent, Asked::BySchedule).blocks());
    let more = set_back_by(SignedDuration::from_secs(301));
    assert!(one(&more, &intent, Asked::BySchedule).blocks());
}

#[test]
fn a_clock_that_is_kept_right_is_believed_against_everything() {
    let mut clock = lonely();
    clock.synchronised = Some(true);
    clock.latest = Some(Mark {
        moment: now() + days(3650),
        what: "x".into(),
    });
    let readings = with_clock(clock);
    assert!(judge(&readings, &ending_in(days(20)), Asked::BySchedule, now()).is_empty());
}

#[test]
fn a_clock_years_ahead_of_everything_is_not_believed_although_all_has_ended() {
    let ahead = |last_thing, last_end, longest| {
        with_clock(Clock {
            latest: Some(Mark {
                moment: now() - last_thing,
                what: "kubecertd's last operation ended".into(),
            }),
            certificates: Some(Lives {
                last_end: now() - last_end,
                longest,
            }),
            ..lonely()
        })
    };
    let expired = ending_in(-days(3300));
    let ten_years = ahead(days(3650), days(3300), days(365));
    assert_eq!(
        one(&ten_years, &expired, Asked::BySchedule).severity,
        Severity::Wait
    );
    assert_eq!(
        one(&ten_years, &expired, Asked::ByHand { force: false }).severity,
        Severity::Refuse
    );
    assert!(!one(&ten_years, &expired, Asked::ByHand { force: true }).blocks());
    // A cluster that was left to end, or a node that was switched off for some months, is believed.
    for believed in [
        ahead(days(730), days(365), days(365)),
        ahead(days(364), days(363), days(1)),
        ahead(days(3650), -days(1), days(365)),
    ] {
        assert!(!one(&believed, &ending_in(-days(1)), Asked::BySchedule).blocks());
    }
}

#[test]
fn just_started_and_long_after_everything_a_time_service_is_waited_for() {
    let started = |ago, up, last_end, synchronised| {
        with_clock(Clock {
            synchronised: Some(synchronised),
            latest: Some(Mark {
                moment: now() - ago,
                what: "the certificate apiserver begins".into(),
            }),
            certificates: Some(Lives {
                last_end: now() - last_end,
                longest: days(365),
            }),
            up,
            ..lonely()
        })
    };
    let minutes = |number| Some(SignedDuration::from_mins(number));
    let expired = ending_in(-days(30));
    let readings = started(days(400), minutes(14), days(30), false);
    let finding = one(&readings, &expired, Asked::BySchedule);
    assert_eq!(finding.severity, Severity::Wait, "{finding}");
    assert!(
        finding.to_string().contains("has run for 15 minutes"),
        "{finding}"
    );
    // Files that were put there a moment ago tell that the clock is not far from the truth.
    let mut restored = readings.clone();
    restored.clock.newest_file = Some(now() - days(2));
    assert!(!one(&restored, &expired, Asked::BySchedule).blocks());
    restored.clock.newest_file = Some(now() - days(390));
    assert!(one(&restored, &expired, Asked::BySchedule).blocks());
    // Whoever looks knows what time it is; and in the end the node is got back all the same.
    let by_hand = Asked::ByHand { force: false };
    assert!(!one(&readings, &expired, by_hand).blocks());
    for believed in [
        started(days(400), minutes(15), days(30), false),
        started(days(400), None, days(30), false),
        started(days(60), minutes(1), days(30), false),
        started(days(400), minutes(1), -days(1), false),
        started(days(400), minutes(1), days(30), true),
    ] {
        let findings = judge(&believed, &expired, Asked::BySchedule, now());
        assert!(
            findings.iter().all(|finding| !finding.blocks()),
            "{findings:?}"
        );
    }
}

#[test]
fn a_time_service_that_has_not_got_through_is_waited_for_and_no_service_is_not() {
    let waiting = with_clock(Clock {
        service: Some("chronyd".into()),
        ..lonely()
    });
    let severity =
        |readings: &Readings, left, asked| one(readings, &ending_in(left), asked).severity;
    let by_hand = Asked::ByHand { force: false };
    assert_eq!(
        severity(&waiting, days(20), Asked::BySchedule),
        Severity::Wait
    );
    assert_eq!(
        severity(&waiting, days(9), Asked::BySchedule),
        Severity::Warn
    );
    assert_eq!(
        severity(&waiting, -days(9), Asked::BySchedule),
        Severity::Warn
    );
    assert_eq!(severity(&waiting, days(20), by_hand), Severity::Warn);
    assert_eq!(
        severity(&with_clock(lonely()), days(20), Asked::BySchedule),
        Severity::Warn
    );
    assert!(judge(&waiting, &Intent::default(), Asked::BySchedule, now()).is_empty());
    let silent = with_clock(Clock {
        synchronised: None,
        ..lonely()
    });
    assert!(
        one(&silent, &ending_in(days(20)), Asked::BySchedule)
            .cause
            .is_unknown()
    );
}

proptest::proptest! {
    /// Whatever is doubtful, near the end the daemon acts: only what cannot work, a clock years ahead and, until the last day,
    /// a kubeadm that gets on may keep it.
    #[test]
    fn near_the_end_no_doubt_has_force(
        left in -400i64..=10,
        synchronised in proptest::option::of(proptest::bool::ANY),
        service in proptest::bool::ANY,
        mark in -600i64..4000,
        running in proptest::option::of(proptest::option::of(0i64..10_000)),
        scratch in proptest::option::of(0i64..20),
        renewer in proptest::bool::ANY,
        twice in proptest::bool::ANY,
    ) {
        let readings = Readings {
            clock: Clock {
                synchronised,
                service: service.then(|| "chronyd".to_owned()),
                latest: Some(Mark { moment: now() + days(mark), what: "x".into() }),
                certificates: Some(Lives { last_end: now() + days(left), longest: days(365) }),
                newest_file: None,
                up: None,
            },
            kubeadm: running
                .map(|minutes| Kubeadm {
                    pid: 1,
                    command: "kubeadm reset".into(),
                    since: minutes.map(|minutes| now() - SignedDuration::from_mins(minutes)),
                })
                .into_iter()
                .collect(),
            scratch_changed: scratch.map(|minutes| now() - SignedDuration::from_mins(minutes)),
            renewers: renewer
                .then(|| Renewer { who: "a".into(), take_over: "b".into() })
                .into_iter()
                .collect(),
            doubled: if twice { doubled().doubled } else { Vec::new() },
            ..Readings::default()
        };
        let findings = judge(&readings, &ending_in(days(left)), Asked::BySchedule, now());
        let gets_on = match running {
            Some(since) => since.is_some_and(|minutes| minutes < 60),
            None => scratch.is_some_and(|minutes| minutes < 10),
        };
        let waits = findings.iter().any(Finding::blocks);
        proptest::prop_assert_eq!(waits, gets_on && left > 1, "{:?}", findings);
        // And the restart is left out exactly where a pod has two manifests.
        let left_out = findings.iter().any(|finding| finding.cause.forbids_restart());
        proptest::prop_assert_eq!(left_out, twice);
    }
}
