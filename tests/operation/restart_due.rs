//! Restarts on the daemon's own account.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use jiff::Timestamp;
use kubecertd::journal::{OnHold, Outcome, Trigger};
use kubecertd::operation::{OperationError, restart_due};
use testkit::live::{API_SERVER, Live, never};

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
