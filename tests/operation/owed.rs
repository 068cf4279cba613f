//! What cannot be done yet: it is tried again, taken over, or given up.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::RestartMode;
use kubecertd::journal::{Lock, Outcome};
use kubecertd::operation::{Event, OperationError, give_up, roll_back};
use testkit::PKI;
use testkit::live::{API_SERVER, Live, leaf, never, valid};
use testkit::loopback::ids;

use crate::whole::{EXPIRED, FRESH, nothing};

#[tokio::test]
async fn what_had_expired_is_not_put_back_and_what_is_owed_is_tried_until_it_works() {
    let mut node = Live::start(EXPIRED).await;
    let old = node.serial("apiserver");
    node.is_well(|_| false);
    let error = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::NewFilesStay(_)), "{error}");
    let new = node.serial("apiserver");
    assert_ne!(new, old);
    for _ in 0..2 {
        let error = node.recover(&mut nothing).await.unwrap_err();
        assert!(error.disturbed_the_node(), "{error}");
        assert!(error.to_string().contains("kubecertd recover"), "{error}");
        assert_eq!(node.in_flight(), 1, "nobody would try again");
        assert_eq!(node.receipts().len(), 1, "one receipt for all attempts");
    }
    assert!(matches!(&node.receipts()[0].outcome, Outcome::Failed(_)));

    node.is_well(|_| true);
    let reports = node.recover(&mut nothing).await.unwrap();
    assert_eq!(reports[0].restarted, [API_SERVER]);
    assert_eq!(
        (node.serial("apiserver"), node.served()),
        (new.clone(), new)
    );
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 2);
    assert_eq!(receipts[1].outcome, Outcome::Done);
    assert_eq!(receipts[1].proofs.len(), 1);
    assert_eq!(node.in_flight(), 0);
}

/// It may be why what is owed does not work.
#[tokio::test]
async fn what_else_is_to_be_renewed_does_not_wait_for_what_is_owed_and_takes_it_over() {
    let mut node = Live::start(EXPIRED).await;
    node.is_well(|_| false);
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    let (first, new) = (node.receipts()[0].id.clone(), node.serial("apiserver"));
    let old = node.serial("front-proxy-client");
    let error = node
        .renew(&["front-proxy-client"], &never(), &mut nothing)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::NewFilesStay(_)), "{error}");
    assert_ne!(node.serial("front-proxy-client"), old);
    assert_eq!(node.serial("apiserver"), new);
    assert_eq!(node.in_flight(), 1);
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 2, "{receipts:?}");
    assert_ne!(receipts[1].id, first);

    node.is_well(|_| true);
    let reports = node.recover(&mut nothing).await.unwrap();
    assert_eq!(reports[0].operation, receipts[1].id);
    assert_eq!(reports[0].restarted, [API_SERVER]);
    assert_eq!(node.served(), new);
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn what_is_taken_over_is_restarted_and_proved_with_the_rest() {
    let mut node = Live::start(FRESH).await;
    node.context.config.restart.mode = RestartMode::WhenNeeded;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let now = Timestamp::now();
    let ended = valid(now - SignedDuration::from_mins(50), now + EXPIRED);
    leaf(&node.tree, "apiserver", ended);
    node.context.config.restart.mode = RestartMode::Affected;
    // All that the first one put in place is due again, so its restart is left to this one.
    let report = node
        .renew(&["front-proxy-client"], &never(), &mut nothing)
        .await
        .unwrap();
    let proved: Vec<&str> = report.proofs.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(proved, ["front-proxy-client", "apiserver"]);
    assert_eq!(node.restarts(), 1);
    let outcomes: Vec<Outcome> = node.receipts().into_iter().map(|one| one.outcome).collect();
    assert!(
        matches!(&outcomes[..], [Outcome::Failed(why), Outcome::Done] if why.contains("are left to operation")),
        "{outcomes:?}"
    );
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn what_is_owed_is_not_forgotten_where_its_successor_may_not_begin() {
    let mut node = Live::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let right = [node.tree.pair("apiserver").0, node.tree.pair("apiserver").1]
        .map(|path| (fs::read(&path).unwrap(), path));
    let now = Timestamp::now();
    let ended = valid(now - SignedDuration::from_mins(50), now + EXPIRED);
    leaf(&node.tree, "apiserver", ended);
    let pki = node.tree.path(PKI);
    let mark = |sign: &str| {
        let set = Command::new("chattr").arg(sign).arg(&pki).output();
        set.is_ok_and(|set| set.status.success())
    };
    if !mark("+i") {
        testkit::skipped("chattr +i does not work here");
        return;
    }
    let blocked = node.renew_due().await;
    assert!(mark("-i"));
    assert!(
        matches!(blocked, Err(OperationError::NotNow(_))),
        "{blocked:?}"
    );
    assert_eq!((node.in_flight(), node.restarts()), (1, 0));
    for (contents, path) in right {
        fs::write(path, contents).unwrap();
    }
    node.recover(&mut nothing).await.unwrap();
    assert_eq!(node.served(), node.serial("apiserver"));
}

#[tokio::test]
async fn a_roll_back_by_hand_that_is_cut_off_is_finished_and_not_renewed_over() {
    // Due however new its file is, which is never taken for less than a quarter of its lifetime old; and not at its very end.
    let now = Timestamp::now();
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let mut node = Live::start_with(valid(now - days(28), now + days(2))).await;
    let old = node.serial("apiserver");
    let report = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    let id = report.operation.unwrap();
    let context = node.context.clone();
    let killed = tokio::spawn(async move {
        let mut events = |event: Event| assert!(!matches!(event, Event::Installed { .. }));
        roll_back(&context, &id, false, true, &never(), &mut events).await
    });
    assert!(killed.await.unwrap_err().is_panic());
    assert_eq!(
        (node.in_flight(), node.serial("apiserver")),
        (1, old.clone())
    );
    let report = node.renew_due().await.unwrap();
    assert!(report.renewed.is_empty(), "{report:?}");
    assert_eq!(
        (node.served(), node.serial("apiserver")),
        (old.clone(), old)
    );
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 2);
    assert_eq!(receipts[1].outcome, Outcome::Done);
}

#[tokio::test]
async fn what_is_owed_can_be_given_up() {
    let mut node = Live::start(EXPIRED).await;
    node.is_well(|_| false);
    let error = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("recover --give-up"), "{error}");
    let (new, restarts) = (node.serial("apiserver"), node.restarts());
    let given_up = {
        let lock = Lock::take(&node.context.store()).unwrap();
        give_up(&node.context, &lock, &mut |_| ()).unwrap()
    };
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].forward);
    assert_eq!(given_up[0].not_restarted, [API_SERVER]);
    assert_eq!(given_up[0].not_proved, ids(&["apiserver"]));
    assert_eq!((node.in_flight(), node.restarts()), (0, restarts));
    assert_eq!(node.serial("apiserver"), new);
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 2, "{receipts:?}");
    assert!(
        matches!(&receipts[1].outcome, Outcome::Failed(why) if why.contains("given up by an administrator")),
        "{receipts:?}"
    );
    assert_eq!(receipts[1].warnings.len(), 2, "{receipts:?}");
    assert!(node.recover(&mut nothing).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_daemon_says_that_something_is_owed() {
    let mut node = Live::start(EXPIRED).await;
    node.is_well(|_| false);
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    let restarts = node.restarts();
    let daemon = tokio::spawn(kubecertd::daemon::run(node.context.clone(), false, None));
    let began = Instant::now();
    let status = loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let text = fs::read_to_string(node.tree.path("/run/kubecertd/status.json"));
        let status = text
            .ok()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        if let Some(status) = status.filter(|status| status["state"] == "failing") {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(30));
    };
    daemon.abort();
    assert_eq!(node.restarts(), restarts + 1, "it has tried once more");
    let reason = status["failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("not well"), "{status}");
    assert_eq!(status["failure"]["attempts"], 1);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("next attempt at"),
        "{status}"
    );
    assert_eq!((node.in_flight(), node.receipts().len()), (1, 1));
}

#[tokio::test]
async fn what_is_owed_does_not_stand_in_the_way_of_the_next_renewal() {
    let mut node = Live::start(EXPIRED).await;
    node.is_well(|_| false);
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    // The new one ends as well before the API server gets well, and it gets well with another one only.
    let mut useless = vec![node.serial("apiserver")];
    let now = Timestamp::now();
    let ended = valid(now - SignedDuration::from_mins(50), now + EXPIRED);
    leaf(&node.tree, "apiserver", ended);
    useless.push(node.serial("apiserver"));
    node.is_well(move |serial| !useless.iter().any(|one| one == serial));
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_eq!(node.served(), node.serial("apiserver"));
    let outcomes: Vec<Outcome> = node.receipts().into_iter().map(|one| one.outcome).collect();
    assert!(
        matches!(&outcomes[..], [Outcome::Failed(_), Outcome::Done]),
        "{outcomes:?}"
    );
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn what_would_be_taken_over_is_finished_where_nothing_can_be_issued() {
    let mut node = Live::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let now = Timestamp::now();
    let ended = valid(now - SignedDuration::from_mins(50), now + EXPIRED);
    leaf(&node.tree, "apiserver", ended);
    // Two paths that lead to one file, so that nothing new can be put there.
    let (certificate, key) = node.tree.pair("apiserver");
    let both = [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()].concat();
    fs::write(&certificate, both).unwrap();
    fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink("apiserver.crt", &key).unwrap();
    let error = node.renew_due().await.unwrap_err();
    assert!(matches!(error, OperationError::NothingIssued(_)), "{error}");
    assert_eq!((node.restarts(), node.in_flight()), (1, 0));
}
