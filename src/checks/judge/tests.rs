use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::SignedDuration;

use super::*;
use crate::checks::{Check, Kubeadm, Mark, clock::Lives, intent::Deadline};

pub(crate) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * number)
}

/// An intent whose certificate ends after so long; patience ends ten days before, as with the default thirty.
pub(crate) fn ending_in(left: SignedDuration) -> Intent {
    Intent {
        targets: [PathBuf::from("/p/apiserver.crt")].into(),
        manifests: [PathBuf::from("/m/etcd.yaml")].into(),
        separable: true,
        due: None,
        broken: false,
        first_end: Some(("apiserver".into(), now() + left)),
        deadline: Some(Deadline {
            certificate: "apiserver".into(),
            ends: now() + left,
            patience_ends: now() + left - days(10),
        }),
    }
}

fn right() -> Clock {
    Clock {
        synchronised: Some(true),
        ..Clock::default()
    }
}

fn doubled() -> Readings {
    Readings {
        clock: right(),
        doubled: vec![Doubled {
            pod: "kube-system/etcd".into(),
            manifests: ["/m/a.yaml", "/m/etcd.yaml"].map(PathBuf::from).into(),
        }],
        ..Readings::default()
    }
}

fn one(readings: &Readings, intent: &Intent, asked: Asked) -> Finding {
    let mut findings = judge(readings, intent, asked, now());
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[test]
fn a_restart_without_new_certificates_is_not_judged_by_the_clock() {
    let wrong = Readings {
        clock: Clock {
            synchronised: Some(false),
            latest: Some(crate::checks::clock::Mark {
                moment: now() + days(400),
                what: "the last operation".into(),
            }),
            ..Clock::default()
        },
        ..Readings::default()
    };
    let by_hand = Asked::ByHand { force: false };
    assert!(one(&wrong, &ending_in(days(20)), by_hand).blocks());
    let restart = Intent {
        targets: BTreeSet::new(),
        deadline: None,
        first_end: None,
        ..ending_in(days(20))
    };
    assert_eq!(judge(&wrong, &restart, by_hand, now()), []);
}

#[test]
fn twice_what_is_written_has_to_fit() {
    let with = |free_bytes, free_inodes| Readings {
        clock: right(),
        file_systems: vec![FileSystem {
            directory: "/etc/kubernetes/pki".into(),
            free_bytes,
            free_inodes,
            written_bytes: 50 * 1024,
            written_inodes: 7,
        }],
        ..Readings::default()
    };
    let intent = ending_in(days(20));
    let judged = |readings: &Readings| judge(readings, &intent, Asked::BySchedule, now());
    assert!(judged(&with(100 * 1024, Some(14))).is_empty());
    assert!(judged(&with(100 * 1024, None)).is_empty());
    let short = judged(&with(100 * 1024 - 1, None));
    assert_eq!(
        short[0].to_string(),
        "/etc/kubernetes/pki: 99 KiB are free on its file system and 100 KiB are needed, twice what is written there; \
         make room"
    );
    assert_eq!(short[0].severity, Severity::Refuse);
    assert!(
        judged(&with(u64::MAX, Some(13)))[0]
            .to_string()
            .contains("(inodes)")
    );
    // In the last day once has to do, and what cannot be written cannot be written then either.
    let late = |bytes, inodes| {
        let intent = ending_in(days(1));
        let mut found = judge(&with(bytes, inodes), &intent, Asked::BySchedule, now());
        found.remove(0)
    };
    assert!(!late(50 * 1024, Some(7)).blocks());
    assert!(late(50 * 1024 - 1, None).blocks() && late(u64::MAX, Some(6)).blocks());
}

#[test]
fn doubled_manifests_matter_only_where_one_is_moved() {
    let mut elsewhere = ending_in(days(20));
    elsewhere.manifests = [PathBuf::from("/m/kube-scheduler.yaml")].into();
    assert!(judge(&doubled(), &elsewhere, Asked::BySchedule, now()).is_empty());
    let finding = one(&doubled(), &ending_in(days(20)), Asked::BySchedule);
    assert_eq!(finding.severity, Severity::Refuse);
    assert!(finding.to_string().contains("/m/a.yaml and /m/etcd.yaml"));
    let by_hand = one(
        &doubled(),
        &ending_in(days(20)),
        Asked::ByHand { force: false },
    );
    assert!(by_hand.to_string().ends_with("--no-restart"));
}

#[test]
fn near_the_end_a_doubled_pod_costs_the_restart_and_not_the_renewal() {
    let finding = one(&doubled(), &ending_in(days(9)), Asked::BySchedule);
    assert!(!finding.blocks() && finding.cause.forbids_restart());
    assert!(
        finding
            .to_string()
            .ends_with("going on nevertheless, because apiserver ends Jun 10, 2026 00:00 UTC"),
        "{finding}"
    );
}

#[test]
fn a_disk_so_full_that_images_go_is_told_and_holds_nobody_up() {
    let with = |used_percent| Readings {
        clock: right(),
        images: Some(ImageDisk {
            directory: "/var/lib/containerd".into(),
            used_percent,
            threshold_percent: 85,
        }),
        ..Readings::default()
    };
    let far = ending_in(days(20));
    assert!(judge(&with(84), &far, Asked::BySchedule, now()).is_empty());
    let mut never = with(100);
    never.images.as_mut().unwrap().threshold_percent = 100;
    assert!(judge(&never, &far, Asked::BySchedule, now()).is_empty());
    let finding = one(&with(85), &far, Asked::BySchedule);
    assert_eq!(
        (finding.check(), finding.severity),
        (Check::Images, Severity::Warn)
    );
    assert!(
        finding.to_string().ends_with("free space there"),
        "{finding}"
    );
}

#[test]
fn the_last_day_is_near_however_short_the_life() {
    let deadline = |left, patience_left| Deadline {
        certificate: "x".into(),
        ends: now() + left,
        patience_ends: now() + patience_left,
    };
    assert!(deadline(days(1), days(1)).is_near(now()));
    assert!(deadline(days(5), SignedDuration::ZERO).is_near(now()));
    assert!(!deadline(days(5), SignedDuration::from_secs(1)).is_near(now()));
    assert!(deadline(-days(5), -days(6)).is_near(now()));
}

fn with_kubeadm(since: Option<Timestamp>) -> Readings {
    Readings {
        clock: right(),
        kubeadm: vec![Kubeadm {
            pid: 77,
            command: "kubeadm upgrade apply".into(),
            since,
        }],
        ..Readings::default()
    }
}

#[test]
fn a_kubeadm_at_work_is_waited_for_unless_it_hangs_and_the_end_is_near() {
    let recent = with_kubeadm(Some(now() - SignedDuration::from_mins(5)));
    let by_daemon = one(&recent, &ending_in(days(20)), Asked::BySchedule);
    assert_eq!(by_daemon.severity, Severity::Wait);
    assert_eq!(
        by_daemon.to_string(),
        "`kubeadm upgrade apply` is at work (process 77, since May 31 23:55:00 UTC) and changes the same files; wait until \
         it is done, or end it if it hangs"
    );
    let by_hand = Asked::ByHand { force: true };
    assert_eq!(
        one(&recent, &ending_in(days(20)), by_hand).severity,
        Severity::Refuse
    );
    assert!(one(&recent, &ending_in(days(2)), Asked::BySchedule).blocks());
    // In the last day it may be anything that only looks like one.
    for (left, asked) in [(days(1), Asked::BySchedule), (-days(1), by_hand)] {
        assert!(!one(&recent, &ending_in(left), asked).blocks());
    }
    for hanging in [None, Some(now() - SignedDuration::from_hours(2))] {
        let hanging = with_kubeadm(hanging);
        assert!(one(&hanging, &ending_in(days(20)), Asked::BySchedule).blocks());
        assert!(!one(&hanging, &ending_in(days(2)), Asked::BySchedule).blocks());
    }
    assert!(judge(&recent, &Intent::default(), Asked::BySchedule, now()).is_empty());
}

#[test]
fn a_scratch_directory_that_changed_a_moment_ago_is_waited_for() {
    let changed = |ago| Readings {
        clock: right(),
        scratch_changed: Some(now() - SignedDuration::from_mins(ago)),
        ..Readings::default()
    };
    let intent = ending_in(days(20));
    let finding = one(&changed(9), &intent, Asked::BySchedule);
    assert_eq!(finding.severity, Severity::Wait);
    assert!(
        finding.to_string().ends_with("over at 00:01:00 UTC"),
        "{finding}"
    );
    assert!(!one(&changed(9), &intent, Asked::ByHand { force: false }).blocks());
    assert!(one(&changed(9), &ending_in(days(2)), Asked::BySchedule).blocks());
    let last = one(&changed(9), &ending_in(days(1)), Asked::BySchedule);
    assert!(!last.blocks(), "{last}");
    // Long ago, or a time that has not come: no hint of anything.
    for ago in [10, -1] {
        assert!(judge(&changed(ago), &intent, Asked::BySchedule, now()).is_empty());
    }
}

#[test]
fn another_renewer_holds_the_daemon_back_until_the_end_is_near() {
    let readings = Readings {
        clock: right(),
        renewers: vec![Renewer {
            who: "k8s-certs-renew.timer".into(),
            take_over: "`systemctl disable --now k8s-certs-renew.timer`".into(),
        }],
        ..Readings::default()
    };
    let severity = |left, asked| one(&readings, &ending_in(left), asked).severity;
    assert_eq!(severity(days(20), Asked::BySchedule), Severity::Wait);
    assert_eq!(severity(days(9), Asked::BySchedule), Severity::Warn);
    assert_eq!(severity(-days(3), Asked::BySchedule), Severity::Warn);
    assert_eq!(
        severity(days(20), Asked::ByHand { force: false }),
        Severity::Warn
    );
    // Also said while nothing is due, so that there is time to take over.
    let finding = one(&readings, &Intent::default(), Asked::BySchedule);
    assert!(
        finding
            .to_string()
            .contains("`systemctl disable --now k8s-certs-renew.timer`")
    );
}

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
