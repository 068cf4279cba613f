//! What is decided about each kind of certificate, one case at a time.
#![allow(clippy::unwrap_used, clippy::panic)] // what these tests are built from, too

use jiff::{SignedDuration, Timestamp};
use kubecertd::checks::Intent;
use kubecertd::config::{Config, OwnRenewal};
use kubecertd::node::{CertificateId, CertificateState, Fault, Inventory, KeyState, Lot, Problem};
use kubecertd::pki::AuthorityId;
use kubecertd::plan::{Action, Obstacle, Plan, Reason, Request, plan};
use testkit::inventory::*;

pub(crate) const APISERVER: &str = "apiserver";

pub(crate) fn due(node: &Inventory, now: Timestamp) -> Plan {
    plan(node, &Config::default(), &Request::Due, now).unwrap()
}

fn action(plan: &Plan, name: &str) -> Action {
    plan.items
        .iter()
        .find(|item| item.id.as_str() == name)
        .unwrap()
        .action
        .clone()
}

pub(crate) fn when_due(node: &Inventory) -> Action {
    action(&due(node, now()), APISERVER)
}

pub(crate) fn asked(node: &Inventory, force: bool) -> Action {
    let request = Request::Named {
        for_names: Vec::new(),
        names: vec![APISERVER.to_owned()],
        force,
    };
    action(
        &plan(node, &Config::default(), &request, now()).unwrap(),
        APISERVER,
    )
}

/// A node whose apiserver certificate was made `age` ago and ends `left` from now.
pub(crate) fn node_ending(age: i64, left: i64) -> Inventory {
    let mut node = node_with(&[APISERVER]);
    set_state(
        &mut node,
        APISERVER,
        CertificateState::Present(Box::new(present(after(-age), after(left)))),
    );
    node
}

#[test]
fn jitter_is_a_machines_own_and_deadlines_go_without_it() {
    let mut config = Config::default();
    config.renewal.jitter = seconds(10 * DAY);
    let mut node = node_ending(335 * DAY, 30 * DAY + HOUR);
    let due = |node: &Inventory, config: &Config| {
        let plan = plan(node, config, &Request::Due, now()).unwrap();
        let due = plan.items[0].due_at.unwrap();
        (
            due.duration_since(now()).as_secs(),
            Intent::of(node, &plan, config, true),
        )
    };
    let (threshold, none) = due(&node, &config);
    assert_eq!((threshold, none.deadline), (HOUR, None));
    // Half of it, and nothing of what is not there.
    node.lot = Some(Lot::new(1 << 31));
    let (shifted, intent) = due(&node, &config);
    assert_eq!(shifted, HOUR - 5 * DAY);
    let deadline = intent.deadline.unwrap();
    assert_eq!(
        deadline.patience_ends,
        deadline.ends - SignedDuration::from_secs(10 * DAY)
    );
    config.renewal.jitter = std::time::Duration::ZERO;
    assert_eq!(due(&node, &config).0, HOUR);
}

pub(crate) fn problem(reason: &str) -> Problem {
    Problem {
        path: "/etc/kubernetes/pki/apiserver.key".into(),
        fault: Fault::CannotBeRead {
            reason: reason.to_owned(),
        },
    }
}

#[test]
fn a_year_is_renewed_thirty_days_before_its_end() {
    assert_eq!(
        when_due(&node_ending(330 * DAY, 30 * DAY + 1)),
        Action::Wait
    );
    assert_eq!(
        when_due(&node_ending(335 * DAY, 30 * DAY)),
        Action::Renew(Reason::Due)
    );
    assert_eq!(
        when_due(&node_ending(366 * DAY, -DAY)),
        Action::Renew(Reason::Expired)
    );
}

#[test]
fn a_short_lived_one_is_renewed_in_its_last_third() {
    assert_eq!(when_due(&node_ending(2 * HOUR - 1, HOUR + 1)), Action::Wait);
    assert_eq!(
        when_due(&node_ending(2 * HOUR, HOUR)),
        Action::Renew(Reason::Due)
    );
}

#[test]
fn a_lying_not_before_is_corrected_by_the_files_age() {
    // NotBefore is the CA's, three months ago; made a day ago for 30 days: 10 days before its end, not 30.
    let mut node = node_ending(90 * DAY, 29 * DAY);
    assert_eq!(when_due(&node), Action::Renew(Reason::Due));
    present_mut(&mut node, APISERVER).modified = Some(after(-DAY));
    assert_eq!(when_due(&node), Action::Wait);
    assert_eq!(due(&node, now()).items[0].due_at, Some(after(19 * DAY)));
}

#[test]
fn touching_the_file_does_not_put_the_renewal_off_for_ever() {
    for left in [60 * DAY, 31 * DAY, 30 * DAY, 10 * DAY, DAY, 1] {
        let mut node = node_ending(YEAR - left, left);
        present_mut(&mut node, APISERVER).modified = Some(now());
        let renewed = matches!(when_due(&node), Action::Renew(_));
        assert_eq!(renewed, left <= 30 * DAY, "{left}");
    }
}

#[test]
fn without_a_usable_key_it_is_renewed_early() {
    for (key, renewed) in [
        (KeyState::Missing, true),
        (KeyState::Mismatched, true),
        (
            KeyState::Damaged(problem(
                "holds no PEM block with a private key; restore it from a backup",
            )),
            true,
        ),
        (KeyState::Matching(None), false),
    ] {
        let mut node = node();
        present_mut(&mut node, APISERVER).key = key.clone();
        let expected = if renewed {
            Action::Renew(Reason::KeyUnusable)
        } else {
            Action::Wait
        };
        assert_eq!(when_due(&node), expected, "{key:?}");
    }
    assert!(Reason::KeyUnusable.allows_earlier_end());
}

#[test]
fn what_is_not_valid_yet_is_renewed_unless_clocks_only_differ_a_little() {
    for (begins, expected) in [
        (301, Action::Renew(Reason::NotYetValid)),
        (300, Action::Wait),
        (10 * DAY, Action::Renew(Reason::NotYetValid)),
    ] {
        // It ends later than a new one would.
        let node = node_ending(-begins, 700 * DAY);
        assert_eq!(when_due(&node), expected, "{begins}");
    }
    assert!(Reason::NotYetValid.allows_earlier_end());
    let mut node = node_ending(-DAY, YEAR);
    let ca = vec![authority_certificate(after(DAY), after(9 * YEAR))];
    let state = authority_state(ca, KeyState::Matching(None));
    set_authority(&mut node, AuthorityId::Kubernetes, state);
    assert!(matches!(
        when_due(&node),
        Action::Leave(Obstacle::AuthorityUnusable(_))
    ));
}

#[test]
fn a_key_out_of_reach_is_an_obstacle_whatever_the_words() {
    for mut node in [
        node_ending(30 * DAY, 335 * DAY),
        node_ending(366 * DAY, -DAY),
    ] {
        present_mut(&mut node, APISERVER).key =
            KeyState::OutOfReach(problem("holds no PEM block, or so it says"));
        for action in [when_due(&node), asked(&node, true)] {
            let Action::Leave(obstacle) = action else {
                panic!("{action:?}")
            };
            assert_eq!(obstacle.code(), "unreadable");
        }
    }
}

#[test]
fn an_unusable_key_is_replaced_even_if_the_ca_ends_first() {
    let mut node = node();
    present_mut(&mut node, APISERVER).key = KeyState::Missing;
    set_authority(
        &mut node,
        AuthorityId::Kubernetes,
        authority_state(
            vec![authority_certificate(after(-YEAR), after(40 * DAY))],
            KeyState::Matching(None),
        ),
    );
    assert_eq!(when_due(&node), Action::Renew(Reason::KeyUnusable));
}

#[test]
fn further_certificates_of_the_file_neither_hasten_nor_prevent_a_renewal() {
    let mut node = node_ending(300 * DAY, 65 * DAY);
    present_mut(&mut node, APISERVER).chain =
        vec![authority_certificate(after(-YEAR), after(-DAY))];
    assert_eq!(when_due(&node), Action::Wait);
    assert!(matches!(
        action(&due(&node, after(40 * DAY)), APISERVER),
        Action::Renew(_)
    ));
}

#[test]
fn a_new_one_that_would_not_end_later_is_refused_until_it_would() {
    let node = node_ending(335 * DAY, 30 * DAY);
    let mut config = Config::default();
    config.renewal.validity = seconds(10 * DAY);
    config.renewal.before = seconds(30 * DAY);
    let at = |request: &Request, now| plan(&node, &config, request, now).unwrap();
    let now_plan = at(&Request::Due, now());
    assert_eq!(
        action(&now_plan, APISERVER),
        Action::Leave(Obstacle::WouldNotEndLater {
            ends: after(10 * DAY)
        })
    );
    let (next, name) = now_plan.next_due.unwrap();
    assert_eq!((next, name.as_str()), (after(20 * DAY + 60), APISERVER));
    assert_eq!(
        action(&at(&Request::Due, next), APISERVER),
        Action::Renew(Reason::Due)
    );
    let all = |force| Request::All { force };
    assert!(matches!(
        action(&at(&all(false), now()), APISERVER),
        Action::Leave(Obstacle::WouldNotEndLater { .. })
    ));
    assert_eq!(
        action(&at(&all(true), now()), APISERVER),
        Action::Renew(Reason::Due)
    );
}

#[test]
fn one_made_a_moment_ago_is_not_renewed_again_by_itself() {
    // NotBefore lies five minutes back, so this one is ten seconds old, and yet its key is gone.
    let mut node = node_ending(310, YEAR);
    present_mut(&mut node, APISERVER).key = KeyState::Missing;
    assert_eq!(
        when_due(&node),
        Action::Leave(Obstacle::RenewedJustNow { until: after(50) })
    );
    assert_eq!(
        due(&node, now()).next_due,
        Some((after(50), APISERVER.into()))
    );
    assert_eq!(
        action(&due(&node, after(50)), APISERVER),
        Action::Renew(Reason::KeyUnusable)
    );
    assert_eq!(asked(&node, false), Action::Renew(Reason::KeyUnusable));
    // The clock has been put back since: nobody knows, so it is not held up.
    assert_eq!(
        action(&due(&node, after(-HOUR)), APISERVER),
        Action::Renew(Reason::KeyUnusable)
    );
}

#[test]
fn by_hand_everything_is_renewed_due_or_not() {
    let node = node();
    let all = plan(
        &node,
        &Config::default(),
        &Request::All { force: false },
        now(),
    )
    .unwrap();
    assert!(
        all.items
            .iter()
            .all(|item| item.action == Action::Renew(Reason::Requested))
    );
    let one = Request::Named {
        for_names: Vec::new(),
        names: vec!["etcd-peer".to_owned(), "etcd-peer".to_owned()],
        force: false,
    };
    let one = plan(&node, &Config::default(), &one, now()).unwrap();
    for item in &one.items {
        let expected = if item.id.as_str() == "etcd-peer" {
            Action::Renew(Reason::Requested)
        } else {
            Action::Wait
        };
        assert_eq!(item.action, expected, "{}", item.id);
    }
}

#[test]
fn skipped_ones_need_their_name_and_force() {
    let node = node_ending(366 * DAY, -DAY);
    let mut config = Config::default();
    config.renewal.skip.insert(APISERVER.to_owned());
    let named = |force| Request::Named {
        for_names: Vec::new(),
        names: vec![APISERVER.to_owned()],
        force,
    };
    for request in [Request::Due, Request::All { force: true }, named(false)] {
        let plan = plan(&node, &config, &request, now()).unwrap();
        assert_eq!(
            action(&plan, APISERVER),
            Action::Leave(Obstacle::Skipped {
                key: "renewal.skip".to_owned(),
                renewed_here: true,
            }),
            "{request:?}"
        );
        assert_eq!((plan.items[0].due_at, plan.next_due), (None, None));
    }
    let plan = plan(&node, &config, &named(true), now()).unwrap();
    assert_eq!(action(&plan, APISERVER), Action::Renew(Reason::Expired));
}

#[test]
fn each_certificate_goes_by_its_own_threshold() {
    let node = node_ending(335 * DAY, 20 * DAY);
    let mut config = Config::default();
    let own = OwnRenewal {
        before: Some(seconds(10 * DAY)),
        ..OwnRenewal::default()
    };
    config
        .renewal
        .certificates
        .insert(APISERVER.to_owned(), own);
    let early = plan(&node, &config, &Request::Due, now()).unwrap();
    assert_eq!(action(&early, APISERVER), Action::Wait);
    assert_eq!(early.next_due, Some((after(10 * DAY), APISERVER.into())));
    assert_eq!(when_due(&node), Action::Renew(Reason::Due));
    // What another certificate has changes nothing.
    let own = config.renewal.certificates.remove(APISERVER).unwrap();
    let others = &mut config.renewal.certificates;
    others.insert("etcd-peer".to_owned(), own);
    let due = plan(&node, &config, &Request::Due, now()).unwrap();
    assert_eq!(action(&due, APISERVER), Action::Renew(Reason::Due));
}

#[test]
fn those_that_are_not_kubeadms_are_left_alone_as_well() {
    for skip_list in [true, false] {
        let mut node = node();
        for entry in &mut node.entries {
            if entry.id.as_str() == APISERVER {
                entry.id = CertificateId::Found("hook.crt".into());
            }
        }
        let mut config = Config::default();
        let key = if skip_list {
            config.renewal.skip.insert("hook.crt".to_owned());
            "renewal.skip"
        } else {
            let own = OwnRenewal {
                skip: Some(true),
                ..OwnRenewal::default()
            };
            config
                .renewal
                .certificates
                .insert("hook.crt".to_owned(), own);
            "certificate.\"hook.crt\".skip"
        };
        let plan = plan(&node, &config, &Request::All { force: true }, now()).unwrap();
        let skipped = Obstacle::Skipped {
            key: key.to_owned(),
            renewed_here: false,
        };
        let says = if skip_list { "names it" } else { "is true" };
        assert_eq!(skipped.to_string(), format!("{key} {says}"));
        assert_eq!(action(&plan, "hook.crt"), Action::Leave(skipped));
    }
}

#[test]
fn switched_off_it_still_tells_what_is_due() {
    let mut config = Config::default();
    config.renewal.enabled = false;
    let node = node_ending(335 * DAY, 31 * DAY);
    let early = plan(&node, &config, &Request::Due, now()).unwrap();
    assert_eq!(action(&early, APISERVER), Action::Wait);
    assert_eq!(early.next_due, Some((after(DAY), APISERVER.into())));
    let late = plan(&node, &config, &Request::Due, after(DAY)).unwrap();
    assert_eq!(action(&late, APISERVER), Action::Leave(Obstacle::Disabled));
    assert!(late.affected.is_empty());
    let by_hand = plan(&node, &config, &Request::All { force: false }, now()).unwrap();
    assert_eq!(
        action(&by_hand, APISERVER),
        Action::Renew(Reason::Requested)
    );
}

#[test]
fn the_missing_the_unreadable_and_the_kubelets_are_left_alone() {
    let mut node = node_with(&[APISERVER, "super-admin.conf", "etcd-peer"]);
    set_state(&mut node, "super-admin.conf", CertificateState::Missing);
    let broken = Problem {
        path: "/etc/kubernetes/pki/apiserver.crt".into(),
        fault: Fault::CannotBeRead {
            reason: "is empty; restore it".to_owned(),
        },
    };
    set_state(&mut node, APISERVER, CertificateState::Unreadable(broken));
    node.entries[1].id = CertificateId::KubeletClient;
    let all = plan(
        &node,
        &Config::default(),
        &Request::All { force: true },
        now(),
    )
    .unwrap();
    assert_eq!(
        action(&all, "super-admin.conf"),
        Action::Leave(Obstacle::Missing)
    );
    let unreadable = Problem {
        path: "/etc/kubernetes/pki/apiserver.crt".into(),
        fault: Fault::CannotBeRead {
            reason: "is empty; restore it".to_owned(),
        },
    };
    assert_eq!(
        action(&all, APISERVER),
        Action::Leave(Obstacle::Unreadable(unreadable))
    );
    assert_eq!(
        action(&all, "kubelet-client-current.pem"),
        Action::Leave(Obstacle::NotManaged)
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let request = Request::Named {
        for_names: Vec::new(),
        names: vec!["apisever".to_owned()],
        force: false,
    };
    let error = plan(&node(), &Config::default(), &request, now()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no certificate is called \"apisever\"; did you mean \"apiserver\"?"
    );
    let request = Request::Named {
        for_names: Vec::new(),
        names: vec!["ca".to_owned()],
        force: true,
    };
    let error = plan(&node(), &Config::default(), &request, now()).unwrap_err();
    assert_eq!(error.to_string(), "no certificate is called \"ca\"");
}
