#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::cluster::etcd::objection::AlarmKind;
use crate::cluster::etcd::readings::{Alarm, MemberStatus};
use crate::net::Address;
use crate::probe::EtcdError;

/// So many members that are well; this node's has id 1, and the last one leads.
pub(crate) fn cluster(count: u64) -> Readings {
    let members = (1..=count).map(|id| MemberReading {
        id,
        name: format!("cp{id}"),
        is_learner: false,
        address: Ok(Address {
            host: format!("10.0.0.{id}"),
            port: 2379,
        }),
        status: Ok(MemberStatus {
            answered_by: id,
            version: "3.5.30".to_owned(),
            database: 1 << 20,
            quota: None,
            leader: count,
            term: 7,
            index: 5_000,
            applied: 5_000,
            errors: Vec::new(),
            is_learner: false,
        }),
    });
    Readings {
        own: Some(1),
        members: members.collect(),
        unconfirmed: None,
        alarms: Ok(Vec::new()),
        quota: Some(2 << 30),
    }
}

pub(crate) fn status_of(readings: &mut Readings, id: u64) -> &mut MemberStatus {
    let member = readings.members.iter_mut().find(|one| one.id == id);
    member.unwrap().status.as_mut().unwrap()
}

pub(crate) fn lost<T>() -> Result<T, EtcdError> {
    Err(EtcdError::Silent("no route".to_owned()))
}

const MEMBER: Disturbed = Disturbed::Member;

fn codes(found: &[Objection]) -> Vec<&'static str> {
    found.iter().map(Objection::code).collect()
}

fn objections(readings: &Readings) -> Vec<&'static str> {
    codes(&judge(readings, None, MEMBER).objections)
}

#[test]
fn three_that_are_well_can_spare_one() {
    for count in [3, 4, 5, 7] {
        for disturbed in [MEMBER, Disturbed::Others] {
            let verdict = judge(&cluster(count), None, disturbed);
            assert_eq!(verdict, Verdict::default(), "{count} {disturbed:?}");
        }
    }
}

/// What is wrong with three members, and what is said of it.
type Row = (&'static str, fn(&mut Readings), &'static [&'static str]);

const ROWS: [Row; 22] = [
    (
        "NOSPACE",
        |all| {
            all.alarms = Ok(vec![Alarm {
                member: 2,
                kind: AlarmKind::NoSpace,
            }]);
        },
        &["etcd-alarm"],
    ),
    (
        "alarms cannot be asked",
        |all| all.alarms = lost(),
        &["etcd-alarms-unknown"],
    ),
    (
        "learner, by the list",
        |all| {
            let mut fourth = cluster(4).members.remove(3);
            fourth.is_learner = true;
            fourth.status.as_mut().unwrap().leader = 3;
            all.members.push(fourth);
        },
        &["etcd-learner"],
    ),
    (
        "learner, by its own words",
        |all| status_of(all, 2).is_learner = true,
        &["etcd-learner", "etcd-quorum"],
    ),
    (
        "two leaders",
        |all| status_of(all, 2).leader = 2,
        &["etcd-leaders-differ"],
    ),
    (
        "no leader",
        |all| status_of(all, 2).leader = 0,
        &["etcd-no-leader", "etcd-quorum"],
    ),
    (
        "a leader that is no member",
        |all| (1..=3).for_each(|id| status_of(all, id).leader = 99),
        &["etcd-leader-unknown"],
    ),
    (
        "two terms",
        |all| status_of(all, 3).term = 8,
        &["etcd-terms-differ"],
    ),
    (
        "another lags",
        |all| status_of(all, 2).applied = 3_999,
        &["etcd-lagging", "etcd-quorum"],
    ),
    (
        "this one lags",
        |all| status_of(all, 1).applied = 3_999,
        &["etcd-lagging"],
    ),
    (
        "one lags by as much as it may",
        |all| status_of(all, 2).applied = 4_000,
        &[],
    ),
    (
        "all have applied less than is committed",
        |all| status_of(all, 3).index = 9_000,
        &[
            "etcd-lagging",
            "etcd-lagging",
            "etcd-lagging",
            "etcd-quorum",
        ],
    ),
    (
        "another is away",
        |all| all.members[1].status = lost(),
        &["etcd-quorum"],
    ),
    (
        "this one is away already",
        |all| all.members[0].status = lost(),
        &[],
    ),
    (
        "another has not started",
        |all| {
            all.members[1].name.clear();
            all.members[1].status = lost();
        },
        &["etcd-not-started", "etcd-quorum"],
    ),
    (
        "one name twice",
        |all| all.members[1].name = "cp3".to_owned(),
        &["etcd-name-twice"],
    ),
    (
        "one answers for two",
        |all| status_of(all, 2).answered_by = 3,
        &["etcd-other-member", "etcd-quorum"],
    ),
    (
        "one is not well",
        |all| status_of(all, 2).errors = vec!["etcdserver: no leader".to_owned()],
        &["etcd-unwell", "etcd-quorum"],
    ),
    (
        "80 % of the quota",
        |all| status_of(all, 2).database = (2 << 30) / 5 * 4 + 3,
        &["etcd-database"],
    ),
    (
        "80 % of a quota that it says itself",
        |all| {
            status_of(all, 2).quota = Some(8 << 20);
            status_of(all, 2).database = 7 << 20;
        },
        &["etcd-database"],
    ),
    (
        "this one is not listed",
        |all| all.own = None,
        &["etcd-own-missing"],
    ),
    (
        "the list may be old",
        |all| all.unconfirmed = Some("timed out".to_owned()),
        &["etcd-list-unconfirmed"],
    ),
];

#[test]
fn whatever_is_wrong_with_one_keeps_the_next_from_going() {
    for (what, change, expected) in ROWS {
        let mut readings = cluster(3);
        change(&mut readings);
        assert_eq!(objections(&readings), expected, "{what}");
    }
}

#[test]
fn while_the_member_goes_on_only_a_cluster_on_its_last_legs_objects() {
    let of = |change: fn(&mut Readings)| {
        let mut readings = cluster(3);
        change(&mut readings);
        codes(&judge(&readings, None, Disturbed::Others).objections)
    };
    assert_eq!(of(|all| all.members[1].status = lost()), [""; 0]);
    assert_eq!(of(|all| status_of(all, 2).term = 8), [""; 0]);
    assert_eq!(
        of(|all| status_of(all, 2).leader = 2),
        ["etcd-leaders-differ"]
    );
    assert_eq!(
        of(|all| {
            all.members[1].status = lost();
            all.members[2].status = lost();
        }),
        ["etcd-quorum"]
    );
}

#[test]
fn one_that_lags_and_comes_nearer_is_no_objection() {
    let mut earlier = cluster(3);
    status_of(&mut earlier, 2).applied = 1_000;
    let mut now = cluster(3);
    status_of(&mut now, 2).applied = 2_000;
    assert_eq!(objections(&now), ["etcd-lagging", "etcd-quorum"]);
    assert!(judge(&now, Some(&earlier), MEMBER).allows());
    assert!(!judge(&earlier, Some(&earlier), MEMBER).allows());
    assert!(!judge(&earlier, Some(&now), MEMBER).allows());
}

#[test]
fn of_two_members_one_that_goes_is_told_of() {
    let two = cluster(2);
    let verdict = judge(&two, None, MEMBER);
    assert!(verdict.allows());
    assert_eq!(codes(&verdict.warnings), ["etcd-two-members"]);
    assert!(judge(&two, None, Disturbed::Others).allows());
    let mut half = cluster(2);
    half.members[1].status = lost();
    assert_eq!(objections(&half), ["etcd-quorum"]);
}

#[test]
fn a_single_member_protects_no_other() {
    let mut one = cluster(1);
    assert!(judge(&one, None, MEMBER).allows());
    one.alarms = Ok(vec![Alarm {
        member: 1,
        kind: AlarmKind::NoSpace,
    }]);
    one.members[0].status = lost();
    let verdict = judge(&one, None, MEMBER);
    assert!(verdict.allows());
    assert!(codes(&verdict.warnings).contains(&"etcd-alarm"));
    // The only one that is listed is another.
    one.own = None;
    assert!(!judge(&one, None, MEMBER).allows());
}

#[test]
fn a_list_without_end_is_no_cluster() {
    let codes = objections(&cluster(17));
    assert_eq!(codes, ["etcd-too-many-members"]);
    let mut twice = cluster(3);
    twice.members[1].id = 3;
    assert!(objections(&twice).contains(&"etcd-id-twice"));
}

#[test]
fn sentences_hold_no_letter_that_a_terminal_obeys_and_end() {
    let mut readings = cluster(3);
    readings.members[1].name = format!("\u{1b}[2J{}", "x".repeat(5_000));
    for (_, change, _) in ROWS {
        let mut readings = readings.clone();
        change(&mut readings);
        status_of_all(&mut readings, |status| {
            status.errors.push(format!("\r\n{}", "y".repeat(5_000)));
        });
        let verdict = judge(&readings, None, MEMBER);
        for one in verdict.objections.iter().chain(&verdict.warnings) {
            let text = one.to_string();
            assert!(!text.contains(char::is_control), "{text}");
            assert!(text.len() < 500, "{text}");
        }
    }
}

fn status_of_all(readings: &mut Readings, change: fn(&mut MemberStatus)) {
    for status in readings
        .members
        .iter_mut()
        .filter_map(|one| one.status.as_mut().ok())
    {
        change(status);
    }
}

fn any_status(id: u64) -> impl Strategy<Value = Result<MemberStatus, EtcdError>> {
    let mostly = |likely: u64| prop_oneof![9 => Just(likely), 1 => 0..9_u64];
    let status = (
        mostly(id),
        mostly(2),
        mostly(7),
        prop_oneof![9 => Just(5_000_u64), 1 => any::<u64>()],
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.05),
    );
    let answered = status.prop_map(|(answered_by, leader, term, applied, unwell, is_learner)| {
        Ok(MemberStatus {
            answered_by,
            leader,
            term,
            index: applied,
            applied,
            errors: unwell.then(|| "unwell".to_owned()).into_iter().collect(),
            is_learner,
            ..MemberStatus::default()
        })
    });
    prop_oneof![8 => answered, 1 => Just(lost())]
}

fn any_readings() -> impl Strategy<Value = Readings> {
    let member = |id: u64| {
        let parts = (
            prop_oneof![30 => Just(id), 1 => 1..6_u64],
            prop_oneof![30 => Just(format!("cp{id}")), 1 => Just(String::new())],
            prop::bool::weighted(0.05),
            any_status(id),
        );
        parts.prop_map(|(id, name, is_learner, status)| MemberReading {
            id,
            name,
            is_learner,
            address: Err(String::new()),
            status,
        })
    };
    (1..=7_u64)
        .prop_flat_map(move |count| (1..=count).map(member).collect::<Vec<_>>())
        .prop_map(|members| Readings {
            own: Some(1),
            members,
            unconfirmed: None,
            alarms: Ok(Vec::new()),
            quota: None,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

    /// Counted here in another way than there: only the others that answered for themselves, without a complaint.
    #[test]
    fn what_passes_leaves_a_quorum_of_others(readings in any_readings()) {
        let verdict = judge(&readings, None, MEMBER);
        if verdict.allows() && readings.members.len() > 1 {
            let voters = readings.members.iter().filter(|one| !one.is_learner).count();
            let mut healthy = 0;
            for one in readings.members.iter().filter(|one| one.id != 1) {
                if let Ok(status) = &one.status {
                    prop_assert_eq!(status.answered_by, one.id);
                    prop_assert!(status.errors.is_empty() && !status.is_learner && !one.is_learner);
                    prop_assert!(status.leader > 0 && !one.name.is_empty());
                    healthy += 1;
                }
            }
            let kept = healthy * 2 > voters;
            prop_assert!(kept || (voters == 2 && healthy == 1), "{:?}", readings);
            let mut leaders: Vec<u64> = readings.members.iter().filter_map(|one| one.own_answer()).map(|one| one.leader).collect();
            leaders.sort_unstable();
            leaders.dedup();
            prop_assert_eq!(leaders.len(), 1);
        }
    }
}
