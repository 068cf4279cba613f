//! Restarts on the daemon's own account.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use jiff::{SignedDuration, Timestamp};
use kubecertd::journal::{OnHold, Outcome, Trigger};
use kubecertd::operation::{OperationError, restart_due};
use kubecertd::pki::NewLeaf;
use testkit::live::{API_SERVER, Live, never, valid};
use testkit::loopback::authority;
use testkit::pair::Pair;

use crate::whole::FRESH;

#[tokio::test]
async fn a_restart_that_is_due_is_an_operation_of_the_schedules_and_waits_for_a_hold() {
    let node = Live::start(FRESH).await;
    let components = [API_SERVER.to_owned()];
    let hold = OnHold {
        reason: "a demonstration".to_owned(),
        since: Timestamp::now(),
        until: None,
    };
    let store = node.context.store();
    store.hold(&hold).unwrap();
    let stop = never();
    let refused = restart_due(&node.context, &components, &stop, &mut |_| {}).await;
    assert!(
        matches!(refused, Err(OperationError::NotNow(_))),
        "{refused:?}"
    );
    assert_eq!((node.restarts(), node.receipts().len()), (0, 0));
    store.lift_hold().unwrap();
    let report = restart_due(&node.context, &components, &stop, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(report.restarts.len(), 1);
    assert_eq!(node.restarts(), 1);
    let receipts = node.receipts();
    assert_eq!(report.operation.as_ref(), Some(&receipts[0].id));
    assert_eq!(receipts[0].outcome, Outcome::Done);
    assert_eq!(receipts[0].trigger, Trigger::Schedule);
    assert_eq!(receipts[0].restarts[0].0, API_SERVER);
}

/// The API server shows what it has for itself, which began a month ago and ends so much later than now.
fn ends_in_memory(node: &Live, left: SignedDuration) {
    let leaf = NewLeaf {
        common_name: "apiserver-loopback-client@1".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: false,
    };
    let now = Timestamp::now();
    let validity = valid(now - SignedDuration::from_hours(24 * 30), now + left);
    let pair = Pair::sign(
        &leaf,
        &authority("apiserver-loopback-client-ca@1"),
        validity,
    );
    let file = |end: &str| node.tree.path(&format!("/served.loopback.{end}"));
    std::fs::write(file("key"), pair.key_pem()).unwrap();
    std::fs::write(file("crt"), pair.certificate_pem()).unwrap();
}

/// With it the API server would end, and nothing would be left that the hold could protect.
#[tokio::test]
async fn a_hold_does_not_keep_a_component_until_what_it_has_in_memory_has_ended() {
    let node = Live::start(FRESH).await;
    let hold = OnHold {
        reason: "a freeze that was forgotten".to_owned(),
        since: Timestamp::now(),
        until: None,
    };
    node.context.store().hold(&hold).unwrap();
    let stop = never();
    let components = [API_SERVER.to_owned()];
    // Due, with time left: the hold counts.
    ends_in_memory(&node, SignedDuration::from_hours(24 * 12));
    let refused = restart_due(&node.context, &components, &stop, &mut |_| {}).await;
    assert!(
        matches!(refused, Err(OperationError::NotNow(_))),
        "{refused:?}"
    );
    assert_eq!(node.restarts(), 0);
    ends_in_memory(&node, SignedDuration::from_hours(24));
    restart_due(&node.context, &components, &stop, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(node.restarts(), 1);
    // What ends is the API server's: nothing else is restarted on its account.
    let receipt = node.receipts().remove(0);
    assert_eq!(receipt.restarts.len(), 1);
}
