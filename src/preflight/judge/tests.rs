use std::path::PathBuf;

use jiff::SignedDuration;

use super::*;
use crate::preflight::Deadline;

pub(super) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(super) fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * number)
}

/// An intent whose certificate ends after so long; patience ends ten days before, as with the default thirty.
pub(super) fn ending_in(left: SignedDuration) -> Intent {
    Intent {
        manifests: [PathBuf::from("/m/etcd.yaml")].into(),
        deadline: Some(Deadline {
            certificate: "apiserver".into(),
            ends: now() + left,
            patience_ends: now() + left - days(10),
        }),
        ..Intent::default()
    }
}

fn doubled() -> Readings {
    Readings {
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
fn twice_what_is_written_has_to_fit() {
    let with = |free_bytes, free_inodes| Readings {
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
        short[0].sentence,
        "/etc/kubernetes/pki: 99 KiB are free on its file system and 100 KiB are needed, twice what is written there; \
         make room"
    );
    assert_eq!(short[0].severity, Severity::Refuse);
    assert!(
        judged(&with(u64::MAX, Some(13)))[0]
            .sentence
            .contains("(inodes)")
    );
    // A file that cannot be written cannot be written near the end either.
    let late = judge(
        &with(0, None),
        &ending_in(days(1)),
        Asked::BySchedule,
        now(),
    );
    assert!(late[0].blocks());
}

#[test]
fn doubled_manifests_matter_only_where_one_is_moved() {
    let mut elsewhere = ending_in(days(20));
    elsewhere.manifests = [PathBuf::from("/m/kube-scheduler.yaml")].into();
    assert!(judge(&doubled(), &elsewhere, Asked::BySchedule, now()).is_empty());
    let finding = one(&doubled(), &ending_in(days(20)), Asked::BySchedule);
    assert_eq!(finding.severity, Severity::Refuse);
    assert!(finding.sentence.contains("/m/a.yaml and /m/etcd.yaml"));
    let by_hand = one(
        &doubled(),
        &ending_in(days(20)),
        Asked::ByHand { force: false },
    );
    assert!(by_hand.sentence.ends_with("--no-restart"));
}

#[test]
fn near_the_end_a_doubled_pod_costs_the_restart_and_not_the_renewal() {
    let finding = one(&doubled(), &ending_in(days(9)), Asked::BySchedule);
    assert!(!finding.blocks() && finding.forbids_restart);
    assert!(
        finding
            .sentence
            .ends_with("going on all the same, because apiserver ends Jun 10, 2026 00:00 UTC"),
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
