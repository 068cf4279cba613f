//! What was rolled back by hand is left alone for a day, and no longer.
#![allow(clippy::unwrap_used, clippy::panic)]

use kubecertd::config::Config;
use kubecertd::node::{CertificateState, Inventory};
use kubecertd::plan::{Action, Answered, Hold, Obstacle, Plan, Reason, plan_due};
use testkit::inventory::*;

const APISERVER: &str = "apiserver";

/// A node whose apiserver certificate is due and ends `left` seconds from now.
fn node_ending(left: i64) -> Inventory {
    let mut node = node_with(&[APISERVER]);
    let state = CertificateState::Present(Box::new(present(after(left - YEAR), after(left))));
    set_state(&mut node, APISERVER, state);
    node
}

/// Rolled back so many seconds ago.
fn held(node: &mut Inventory, ago: i64) -> Hold {
    Hold {
        id: APISERVER.into(),
        serial: present_mut(node, APISERVER).leaf.serial.clone(),
        since: after(-ago),
    }
}

fn action(plan: &Plan) -> &Action {
    &plan.items[0].action
}

fn planned(node: &Inventory, hold: Hold) -> Plan {
    plan_due(node, &Config::default(), &[hold], &[], now())
}

#[test]
fn for_a_day_and_no_longer() {
    let mut node = node_ending(20 * DAY);
    for (ago, until) in [(0, Some(DAY)), (DAY - 1, Some(1)), (DAY, None)] {
        let hold = held(&mut node, ago);
        let plan = planned(&node, hold);
        match until {
            Some(until) => {
                let until = after(until);
                assert_eq!(
                    action(&plan),
                    &Action::Leave(Obstacle::RolledBack { until })
                );
                assert_eq!(plan.next_due, Some((until, APISERVER.into())));
                assert!(plan.affected.is_empty() && plan.restarts.is_empty());
            }
            None => assert_eq!(action(&plan), &Action::Renew(Reason::Due)),
        }
    }
}

#[test]
fn another_certificate_than_was_put_back_is_not_held() {
    let mut node = node_ending(20 * DAY);
    let hold = Hold {
        serial: "another".to_owned(),
        ..held(&mut node, 60)
    };
    assert_eq!(action(&planned(&node, hold)), &Action::Renew(Reason::Due));
}

#[test]
fn nothing_is_held_until_it_ends() {
    let mut node = node_ending(DAY);
    let hold = held(&mut node, 60);
    assert_eq!(action(&planned(&node, hold)), &Action::Renew(Reason::Due));
    let mut node = node_ending(DAY + 100);
    let hold = held(&mut node, 60);
    let released = Action::Leave(Obstacle::RolledBack { until: after(100) });
    assert_eq!(action(&planned(&node, hold)), &released);
    let mut node = node_ending(-60);
    let hold = held(&mut node, 60);
    assert_eq!(
        action(&planned(&node, hold)),
        &Action::Renew(Reason::Expired)
    );
}

#[test]
fn a_moment_that_is_still_to_come_holds_nothing() {
    let mut node = node_ending(20 * DAY);
    let hold = held(&mut node, -60);
    assert_eq!(action(&planned(&node, hold)), &Action::Renew(Reason::Due));
}

/// A request would be the first step of undoing it, and its answer the last.
#[test]
fn a_request_and_an_answer_are_held_as_a_renewal_is() {
    let mut node = node_ending(20 * DAY);
    take_key(&mut node);
    let hold = held(&mut node, 60);
    let held_back = Action::Leave(Obstacle::RolledBack {
        until: after(DAY - 60),
    });
    let planned = |holds: &[Hold], awaited: &[_]| {
        let plan = plan_due(&node, &Config::default(), holds, awaited, now());
        plan.items[0].action.clone()
    };
    let answered = [awaited(APISERVER, Answered::Yes { ends: after(YEAR) })];
    assert!(matches!(
        planned(&[], &[]),
        Action::Leave(Obstacle::ExternalAuthority { .. })
    ));
    assert_eq!(planned(&[], &answered), Action::Renew(Reason::Answered));
    let hold = std::slice::from_ref(&hold);
    assert_eq!(planned(hold, &[]), held_back);
    assert_eq!(planned(hold, &answered), held_back);
}
