//! Operations from issuing to the receipt, on a node that runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod node;
#[path = "../restart_support/mod.rs"]
mod restart_support;

use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::RestartMode;
use kubecertd::operation::{Event, OperationError, give_up, roll_back};
use kubecertd::transaction::{Lock, Outcome};

use node::{API_SERVER, Node, leaf, never, valid};
use restart_support::PKI;

fn nothing(_: &Event) {}

fn is_proving(event: &Event) -> bool {
    matches!(event, Event::Proving { .. })
}

const FRESH: SignedDuration = SignedDuration::from_mins(60);
const EXPIRED: SignedDuration = SignedDuration::from_mins(-10);

#[tokio::test]
async fn a_renewal_is_carried_out_and_proved() {
    let mut node = Node::start(FRESH).await;
    let old = node.serial("apiserver");
    let report = node
        .renew(&["apiserver", "front-proxy-client"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_eq!(report.proofs.len(), 2);
    assert_ne!(node.served(), old);
    assert_eq!(node.served(), node.serial("apiserver"));
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].outcome, Outcome::Done);
    assert!(receipts[0].warnings.is_empty());
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn a_component_that_is_not_well_with_the_new_files_gets_the_old_ones_back() {
    let mut node = Node::start(FRESH).await;
    let old = node.serial("apiserver");
    let only = old.clone();
    node.is_well(move |serial| serial == only);
    let error = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    let OperationError::RolledBack { reason, aftermath } = error else {
        panic!("{error}");
    };
    assert!(reason.contains("not well"), "{reason}");
    assert_eq!(aftermath, None);
    assert_eq!(
        (node.serial("apiserver"), node.served()),
        (old.clone(), old)
    );
    assert_eq!(node.restarts(), 2);
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 1);
    assert!(matches!(&receipts[0].outcome, Outcome::RolledBack(_)));
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn a_file_that_somebody_changed_keeps_no_pod_from_going_back() {
    let mut node = Node::start(FRESH).await;
    let old = node.serial("apiserver");
    let only = old.clone();
    node.is_well(move |serial| serial == only);
    let changed = node.tree.pair("front-proxy-client").0;
    let foreign = fs::read(node.tree.pair("apiserver").0).unwrap();
    let mut on = |event: &Event| {
        if let Event::RollingBack { .. } = event {
            fs::write(&changed, &foreign).unwrap();
        }
    };
    let error = node
        .renew(&["apiserver", "front-proxy-client"], &never(), &mut on)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OperationError::RolledBack { .. }),
        "{error}"
    );
    assert_eq!(
        (node.serial("apiserver"), node.served()),
        (old.clone(), old)
    );
    let receipts = node.receipts();
    let path = changed.display().to_string();
    assert!(
        receipts[0].warnings.iter().any(|one| one.contains(&path)),
        "{receipts:?}"
    );
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn an_operation_cut_off_before_its_restarts_is_restarted_and_proved() {
    let mut node = Node::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    assert_ne!(node.served(), node.serial("apiserver"));
    let reports = node.recover(&mut nothing).await.unwrap();
    assert_eq!(reports[0].restarted, [API_SERVER]);
    assert!(reports[0].forward);
    assert_eq!(node.served(), node.serial("apiserver"));
    let receipts = node.receipts();
    assert_eq!(receipts[0].outcome, Outcome::Done);
    assert_eq!(receipts[0].proofs.len(), 1);
    assert_eq!(receipts[0].certificates.len(), 1);
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn an_operation_cut_off_before_its_proofs_is_proved() {
    let mut node = Node::start(FRESH).await;
    node.renew_cut_off(&["apiserver"], is_proving).await;
    let restarts = node.restarts();
    let reports = node.recover(&mut nothing).await.unwrap();
    assert!(reports[0].restarted.is_empty());
    assert_eq!(node.restarts(), restarts);
    assert_eq!(node.receipts()[0].proofs.len(), 1);
}

#[tokio::test]
async fn proofs_are_owed_also_where_no_pod_needs_a_restart() {
    let mut node = Node::start(FRESH).await;
    node.context.config.restart.mode = RestartMode::WhenNeeded;
    node.renew_cut_off(&["front-proxy-client"], |event| {
        matches!(event, Event::Installed { .. })
    })
    .await;
    let journal = node.context.store().journal();
    let one = fs::read_dir(&journal).unwrap().next().unwrap().unwrap();
    assert!(
        fs::read_to_string(one.path())
            .unwrap()
            .contains("restarts-planned")
    );
    node.recover(&mut nothing).await.unwrap();
    assert_eq!(node.receipts()[0].proofs.len(), 1);
}

#[tokio::test]
async fn a_stop_is_heard_while_a_pod_is_waited_for_to_take_up_its_certificate() {
    let mut node = Node::start(FRESH).await;
    node.context.config.restart.mode = RestartMode::WhenNeeded;
    let (sender, stop) = tokio::sync::watch::channel(false);
    let began = Instant::now();
    let mut asked = None;
    let mut on = |event: &Event| {
        if matches!(event, Event::Installed { .. }) {
            asked = Some(sender.clone());
        }
    };
    let (ended, ()) = tokio::join!(node.renew(&["apiserver"], &stop, &mut on), async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        sender.send(true).unwrap();
    });
    assert!(asked.is_some(), "it was not waiting yet");
    assert!(matches!(ended, Err(OperationError::Stopped)), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "it waited on");
    assert_eq!((node.restarts(), node.in_flight()), (0, 1));
    node.recover(&mut nothing).await.unwrap();
    assert_eq!(node.served(), node.serial("apiserver"));
}

#[tokio::test]
async fn a_recovery_whose_proof_is_refused_is_rolled_back_and_fails() {
    let mut node = Node::start(FRESH).await;
    let old = [node.serial("apiserver"), node.serial("front-proxy-client")];
    node.renew_cut_off(&["apiserver", "front-proxy-client"], is_proving)
        .await;
    // The API server trusts another authority by now, until somebody puts that right.
    let asked = node.tree.path(&format!("{PKI}/asked.crt"));
    let right = fs::read(&asked).unwrap();
    fs::copy(node.tree.path(&format!("{PKI}/ca.crt")), &asked).unwrap();
    let mut on = |event: &Event| {
        if let Event::RollingBack { .. } = event {
            fs::write(&asked, &right).unwrap();
        }
    };
    let error = node.recover(&mut on).await.unwrap_err();
    let OperationError::RolledBack { reason, aftermath } = error else {
        panic!("{error}");
    };
    assert!(reason.contains("front-proxy-client"), "{reason}");
    assert_eq!(aftermath, None);
    assert_eq!(
        old,
        [node.serial("apiserver"), node.serial("front-proxy-client")]
    );
    assert_eq!(
        node.served(),
        old[0],
        "restarted before, so restarted again"
    );
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 1);
    assert!(matches!(&receipts[0].outcome, Outcome::RolledBack(why) if why.contains(&reason)));
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn a_roll_back_that_is_cut_off_is_proved_and_keeps_its_reason() {
    let mut node = Node::start(FRESH).await;
    let old = node.serial("apiserver");
    let only = old.clone();
    node.is_well(move |serial| serial == only);
    node.renew_cut_off(&["apiserver"], is_proving).await;
    assert_eq!(node.serial("apiserver"), old);
    let reports = node.recover(&mut nothing).await.unwrap();
    assert!(!reports[0].forward && reports[0].restarted.is_empty());
    let receipts = node.receipts();
    assert!(
        matches!(&receipts[0].outcome, Outcome::RolledBack(why) if why.contains("not well")),
        "{receipts:?}"
    );
    assert_eq!(receipts[0].proofs.len(), 1);
}

#[tokio::test]
async fn what_had_expired_is_not_put_back_and_what_is_owed_is_tried_until_it_works() {
    let mut node = Node::start(EXPIRED).await;
    let old = node.serial("apiserver");
    node.is_well(|_| false);
    let error = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
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

/// Which says nothing about the certificates, so they stay.
#[tokio::test]
async fn while_the_kubelet_is_down_recovery_owes_and_undoes_nothing() {
    let mut node = Node::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let new = node.serial("apiserver");
    let settings = node.tree.path("/var/lib/kubelet/config.yaml");
    let switched_off = fs::read_to_string(&settings).unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = format!("healthzPort: {}", free.local_addr().unwrap().port());
    fs::write(&settings, switched_off.replace("healthzPort: 0", &port)).unwrap();
    drop(free);
    let error = node.recover(&mut nothing).await.unwrap_err();
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
    assert!(error.to_string().contains("kubelet"), "{error}");
    assert_eq!(
        (node.serial("apiserver"), node.in_flight()),
        (new.clone(), 1)
    );
    assert_eq!(node.restarts(), 0);
    fs::write(&settings, switched_off).unwrap();
    node.recover(&mut nothing).await.unwrap();
    assert_eq!((node.served(), node.in_flight()), (new, 0));
}

#[tokio::test]
async fn what_cannot_be_proved_after_a_recovery_is_left_and_told() {
    let mut node = Node::start(FRESH).await;
    node.renew_cut_off(&["apiserver", "front-proxy-client"], is_proving)
        .await;
    // Nobody says any more which authority the API server trusts.
    let manifest = node
        .tree
        .path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.contains("requestheader-client-ca-file"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&manifest, without).unwrap();
    let reports = node.recover(&mut nothing).await.unwrap();
    assert_eq!(reports[0].left.len(), 1, "{reports:?}");
    assert!(reports[0].left[0].contains("front-proxy-client"));
}

#[tokio::test]
async fn a_pod_whose_manifest_cannot_be_understood_any_more_is_left_and_told() {
    let mut node = Node::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let manifest = node
        .tree
        .path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    fs::write(&manifest, "not a pod").unwrap();
    let reports = node.recover(&mut nothing).await.unwrap();
    let told = reports[0].left.join("\n");
    assert!(
        told.contains("kube-apiserver: was to be restarted"),
        "{told}"
    );
    let receipts = node.receipts();
    assert!(
        receipts[0]
            .warnings
            .iter()
            .any(|one| one.contains("was to be restarted")),
        "{receipts:?}"
    );
}

/// It may be why what is owed does not work.
#[tokio::test]
async fn what_else_is_to_be_renewed_does_not_wait_for_what_is_owed_and_takes_it_over() {
    let mut node = Node::start(EXPIRED).await;
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
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
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
    let mut node = Node::start(FRESH).await;
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
    let proved: Vec<&str> = report.proofs.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(proved, ["front-proxy-client", "apiserver"]);
    assert_eq!(node.restarts(), 1);
    let outcomes: Vec<Outcome> = node.receipts().into_iter().map(|one| one.outcome).collect();
    assert!(
        matches!(&outcomes[..], [Outcome::Failed(why), Outcome::Done] if why.contains("is left to operation")),
        "{outcomes:?}"
    );
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn what_is_owed_is_not_forgotten_where_its_successor_may_not_begin() {
    let mut node = Node::start(FRESH).await;
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
        let _ = writeln!(
            std::io::stderr(),
            "!!! SKIPPED: chattr +i does not work here"
        );
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
    let mut node = Node::start_with(valid(now - days(28), now + days(2))).await;
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
    let mut node = Node::start(EXPIRED).await;
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
    assert_eq!(given_up[0].not_proved, ["apiserver"]);
    assert_eq!((node.in_flight(), node.restarts()), (0, restarts));
    assert_eq!(node.serial("apiserver"), new);
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 2, "{receipts:?}");
    assert!(
        matches!(&receipts[1].outcome, Outcome::Failed(why) if why.contains("given up by hand")),
        "{receipts:?}"
    );
    assert_eq!(receipts[1].warnings.len(), 2, "{receipts:?}");
    assert!(node.recover(&mut nothing).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_not_valid_yet_is_not_put_back_by_recovery_either() {
    let soon = Timestamp::now() + SignedDuration::from_mins(3);
    let validity = valid(soon, soon + SignedDuration::from_mins(60));
    let mut node = Node::start_with(validity).await;
    node.is_well(|_| false);
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let new = node.serial("apiserver");
    let error = node.recover(&mut nothing).await.unwrap_err();
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
    assert_eq!((node.serial("apiserver"), node.in_flight()), (new, 1));
}

#[tokio::test]
async fn a_roll_back_by_hand_does_not_go_back_to_what_is_not_valid_yet() {
    let mut node = Node::start(FRESH).await;
    let report = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    let kept = report.operation.unwrap();
    let soon = Timestamp::now() + SignedDuration::from_mins(3);
    let later = valid(soon, soon + SignedDuration::from_mins(60));
    leaf(&node.tree, "apiserver", later);
    node.is_well(|_| false);
    let mut events = |_| ();
    let error = roll_back(&node.context, &kept, true, true, &never(), &mut events)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
    assert_eq!(node.in_flight(), 1);
}

#[tokio::test]
async fn the_daemon_says_that_something_is_owed() {
    let mut node = Node::start(EXPIRED).await;
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
            .contains("next attempt in"),
        "{status}"
    );
    assert_eq!((node.in_flight(), node.receipts().len()), (1, 1));
}

#[tokio::test]
async fn what_is_owed_does_not_stand_in_the_way_of_the_next_renewal() {
    let mut node = Node::start(EXPIRED).await;
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
async fn beside_a_running_kubeadm_recovery_restarts_nothing() {
    let mut node = Node::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let kubeadm = node
        .tree
        .write("/proc/4711/cmdline", "kubeadm\0upgrade\0apply\0v1.35.0\0");
    std::os::unix::fs::symlink(node.tree.path("/"), node.tree.path("/proc/4711/root")).unwrap();
    let error = node.recover(&mut nothing).await.unwrap_err();
    assert!(
        matches!(error, OperationError::RestartsWait { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("4711"), "{error}");
    assert_eq!((node.in_flight(), node.restarts()), (1, 0));
    assert!(node.receipts().is_empty());
    fs::remove_file(kubeadm).unwrap();
    node.recover(&mut nothing).await.unwrap();
    assert_eq!(node.served(), node.serial("apiserver"));
}

#[tokio::test]
async fn a_roll_back_by_hand_owes_no_restart_where_others_restart_the_pods() {
    let mut node = Node::start(FRESH).await;
    let report = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    let id = report.operation.unwrap();
    node.context.config.restart.mode = RestartMode::None;
    let context = node.context.clone();
    // Killed when everything is in place.
    let killed = tokio::spawn(async move {
        let mut events = |event: Event| assert!(!matches!(event, Event::NotRestarted { .. }));
        roll_back(&context, &id, false, true, &never(), &mut events).await
    });
    assert!(killed.await.unwrap_err().is_panic());
    assert_eq!(node.in_flight(), 1);
    node.context.config.restart.mode = RestartMode::Affected;
    let restarts = node.restarts();
    let reports = node.recover(&mut nothing).await.unwrap();
    assert!(reports[0].restarted.is_empty());
    assert_eq!(node.restarts(), restarts);
}

#[tokio::test]
async fn pods_that_are_left_with_old_files_stand_in_the_receipt() {
    let mut node = Node::start(FRESH).await;
    node.context.config.restart.mode = RestartMode::None;
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    let warnings = node.receipts().remove(0).warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains(API_SERVER), "{warnings:?}");
}

#[tokio::test]
async fn an_installation_that_fails_has_a_receipt() {
    let mut node = Node::start(FRESH).await;
    let (certificate, key) = node.tree.pair("front-proxy-client");
    let began = Arc::new(AtomicBool::new(false));
    let before = fs::read(&certificate).unwrap();
    let mut on = |event: &Event| {
        if let Event::Begun { .. } = event {
            // Two paths that lead to one file.
            fs::remove_file(&key).unwrap();
            std::os::unix::fs::symlink("front-proxy-client.crt", &key).unwrap();
            began.store(true, Ordering::Relaxed);
        }
    };
    let error = node
        .renew(&["front-proxy-client"], &never(), &mut on)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Install(_)), "{error}");
    assert!(began.load(Ordering::Relaxed));
    assert_eq!(fs::read(&certificate).unwrap(), before);
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 1);
    assert!(
        matches!(&receipts[0].outcome, Outcome::RolledBack(why) if why.contains("same file")),
        "{receipts:?}"
    );
    assert_eq!(node.in_flight(), 0);
}
