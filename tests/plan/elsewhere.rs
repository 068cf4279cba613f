//! What a CA elsewhere signs is asked for as often as it is of use, and no more often.
#![allow(clippy::unwrap_used, clippy::panic)]

use kubecertd::config::Config;
use kubecertd::node::{CertificateState, Inventory, KeyState};
use kubecertd::orders::{Closing, OpenOrder, Step, decide};
use kubecertd::pki::{AuthorityId, digest_of_request};
use kubecertd::plan::{
    Action, Answered, Awaited, Obstacle, Reason, Request, plan_awaiting, plan_due,
};
use testkit::inventory::*;

const APISERVER: &str = "apiserver";

/// One certificate that was made `age` ago and ends in `left`, by a CA elsewhere that ends in `authority`.
fn node_of(age: i64, left: i64, authority: i64) -> Inventory {
    let mut node = node_with(&[APISERVER]);
    let made = present(after(-age), after(left));
    let state = CertificateState::Present(Box::new(made));
    set_state(&mut node, APISERVER, state);
    let certificates = vec![authority_certificate(after(-YEAR), after(authority))];
    let state = authority_state(certificates, KeyState::Missing);
    set_authority(&mut node, AuthorityId::Kubernetes, state);
    // As if that had signed it.
    node
}

fn action(node: &Inventory, awaited: &[Awaited]) -> Action {
    let plan = plan_due(node, &Config::default(), &[], awaited, now());
    plan.items[0].action.clone()
}

fn order(node: &mut Inventory) -> OpenOrder {
    let leaf = &present_mut(node, APISERVER).leaf;
    OpenOrder {
        id: "apiserver-12345678".to_owned(),
        certificate: APISERVER.into(),
        since: after(-DAY),
        public_key: "x".to_owned(),
        asks_for: digest_of_request(leaf),
        follows: leaf.fingerprint(),
    }
}

fn steps(node: &Inventory, open: &[OpenOrder]) -> Vec<Step> {
    let plan = plan_due(node, &Config::default(), &[], &[], now());
    decide(node, &plan, open, &[], now())
}

#[test]
fn nothing_is_asked_for_that_a_ca_near_its_end_cannot_better() {
    // Ten days are left of it and 400 of the CA.
    let node = node_of(YEAR, 10 * DAY, 400 * DAY);
    assert_eq!(steps(&node, &[]), [Step::Open(APISERVER.into())]);
    // The CA ends first: whatever it signs ends with it.
    let node = node_of(YEAR, 10 * DAY, 5 * DAY);
    let ends = after(5 * DAY);
    assert_eq!(
        action(&node, &[]),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends,
            extendable: None
        })
    );
    assert_eq!(steps(&node, &[]), []);
    // By hand neither, but with --force.
    let by_hand = |force| {
        let request = Request::Named {
            for_names: Vec::new(),
            names: vec![APISERVER.to_owned()],
            force,
        };
        let plan = plan_awaiting(&node, &Config::default(), &request, &[], now()).unwrap();
        plan.items[0].action.clone()
    };
    assert_eq!(
        by_hand(false),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends,
            extendable: None
        })
    );
    assert!(matches!(
        by_hand(true),
        Action::Leave(Obstacle::ExternalAuthority { .. })
    ));
}

#[test]
fn an_answer_is_put_in_place_if_it_gains_something() {
    let node = node_of(YEAR, 10 * DAY, 400 * DAY);
    let answered = |ends| [awaited(APISERVER, Answered::Yes { ends })];
    assert_eq!(
        action(&node, &answered(after(300 * DAY))),
        Action::Renew(Reason::Answered)
    );
    // What vouches for it ends as soon as what is in place.
    let ends = after(10 * DAY);
    assert_eq!(
        action(&node, &answered(ends)),
        Action::Leave(Obstacle::AuthorityEndsTooSoon {
            ends,
            extendable: None
        })
    );
}

#[test]
fn a_request_ends_with_the_certificate_that_it_follows() {
    let mut node = node_of(YEAR, 10 * DAY, 400 * DAY);
    let open = order(&mut node);
    assert_eq!(steps(&node, std::slice::from_ref(&open)), []);
    // Another is in place, and is due as well: another request, with another key.
    let followed = OpenOrder {
        follows: "another".to_owned(),
        ..open.clone()
    };
    let closed = |order: &OpenOrder, by| Step::Close {
        order: order.clone(),
        by,
    };
    assert_eq!(
        steps(&node, std::slice::from_ref(&followed)),
        [
            closed(&followed, Closing::Renewed),
            Step::Open(APISERVER.into())
        ]
    );
    // It is not due, and nothing says when it will be: renewal is off.
    let mut config = Config::default();
    config.renewal.enabled = false;
    let plan = plan_due(&node, &config, &[], &[], now());
    assert_eq!(
        decide(&node, &plan, std::slice::from_ref(&followed), &[], now()),
        [closed(&followed, Closing::Renewed)]
    );
    // The node has no such certificate any more.
    node.entries.clear();
    assert_eq!(
        steps(&node, std::slice::from_ref(&open)),
        [closed(&open, Closing::Gone)]
    );
}
