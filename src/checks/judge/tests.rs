mod clock;

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::SignedDuration;

use super::*;
use crate::checks::{Check, Kubeadm, Mark, Overridden, clock::Lives, intent::Deadline};
use crate::config::Window;
use crate::journal::OnHold;

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
        overridden: None,
        longest: std::time::Duration::ZERO,
        broken: false,
        users: std::collections::BTreeMap::new(),
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

/// Open at two in the night of Wednesdays; it is Monday.
fn in_two_days() -> Readings {
    let window = Window {
        days: vec![jiff::civil::Weekday::Wednesday],
        start: jiff::civil::time(2, 0, 0, 0),
        length: std::time::Duration::from_secs(3 * 3600),
        ..Window::default()
    };
    Readings {
        clock: right(),
        windows: [("night".to_owned(), window)].into(),
        ..Readings::default()
    }
}

/// Of which windows and holds lose their force so long from now.
fn overridden_in(left: SignedDuration) -> Intent {
    Intent {
        overridden: Some(Overridden {
            certificate: "apiserver".into(),
            ends: now() + left + days(7),
            from: now() + left,
        }),
        ..ending_in(left + days(7))
    }
}

#[test]
fn the_daemon_waits_for_a_window_and_a_command_does_not() {
    let readings = in_two_days();
    let waiting = one(&readings, &overridden_in(days(1)), Asked::BySchedule);
    assert_eq!(waiting.severity, Severity::Wait);
    let opens: Timestamp = "2026-06-03T02:00:00Z".parse().unwrap();
    assert_eq!(waiting.cause.passes(), Some(opens));
    assert_eq!(
        waiting.to_string(),
        "outside the maintenance windows: the next, \"night\", opens on Jun 03, 2026 02:00 UTC; by hand, `kubecertd renew` \
         does not wait"
    );
    let by_hand = Asked::ByHand { force: false };
    let said = one(&readings, &overridden_in(days(1)), by_hand);
    assert_eq!(said.severity, Severity::Warn);
    // Near the end nothing waits.
    let near = one(&readings, &overridden_in(days(0)), Asked::BySchedule);
    assert_eq!(near.severity, Severity::Warn);
    assert!(matches!(near.effect, Effect::GoingOn { .. }), "{near:?}");
    // What is of no use to anybody does not, and nothing to do does not.
    let broken = Intent {
        broken: true,
        ..overridden_in(days(1))
    };
    for intent in [broken, Intent::default()] {
        assert_eq!(judge(&readings, &intent, Asked::BySchedule, now()), []);
    }
    let open = judge(&readings, &overridden_in(days(9)), Asked::BySchedule, opens);
    assert_eq!(open, []);
}

#[test]
fn a_hold_keeps_the_daemon_back_until_it_ends_or_a_certificate_nearly_does() {
    let until = now() + days(3);
    let held = |until| Readings {
        clock: right(),
        on_hold: Some(OnHold {
            reason: "moving house".to_owned(),
            since: now() - days(1),
            until,
        }),
        ..Readings::default()
    };
    let far = overridden_in(days(1));
    let waiting = one(&held(Some(until)), &far, Asked::BySchedule);
    assert_eq!(waiting.severity, Severity::Wait);
    assert_eq!(waiting.cause.passes(), Some(until));
    assert_eq!(
        waiting.to_string(),
        "on hold since May 31, 2026 00:00 UTC until Jun 04, 2026 00:00 UTC: moving house; `kubecertd unhold` ends that"
    );
    let open = one(&held(None), &far, Asked::BySchedule);
    assert_eq!((open.severity, open.cause.passes()), (Severity::Wait, None));
    let near = one(&held(None), &overridden_in(days(0)), Asked::BySchedule);
    assert_eq!(near.severity, Severity::Warn);
    assert!(
        near.to_string()
            .contains("going on nevertheless, because apiserver ends")
    );
    let by_hand = Asked::ByHand { force: false };
    assert_eq!(one(&held(None), &far, by_hand).severity, Severity::Warn);
    // It is not forgotten while nothing is due.
    assert!(one(&held(None), &Intent::default(), Asked::BySchedule).blocks());
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
