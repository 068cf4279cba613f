//! Operations that were cut off.

use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::RestartMode;
use kubecertd::files::Operation;
use kubecertd::journal::{Lock, Outcome, Trigger};
use kubecertd::operation::{Event, OperationError, Remark, recover_expired};
use testkit::PKI;
use testkit::live::{API_SERVER, Live, never, valid};
use testkit::peer::{rogue, well};

use crate::whole::{EXPIRED, FRESH, is_proving, nothing};

#[tokio::test]
async fn an_operation_cut_off_before_its_restarts_is_restarted_and_proved() {
    let mut node = Live::start(FRESH).await;
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
    let mut node = Live::start(FRESH).await;
    node.renew_cut_off(&["apiserver"], is_proving).await;
    let restarts = node.restarts();
    let reports = node.recover(&mut nothing).await.unwrap();
    assert!(reports[0].restarted.is_empty());
    assert_eq!(node.restarts(), restarts);
    assert_eq!(node.receipts()[0].proofs.len(), 1);
}

#[tokio::test]
async fn proofs_are_owed_also_where_no_pod_needs_a_restart() {
    let mut node = Live::start(FRESH).await;
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
async fn a_recovery_whose_proof_is_refused_is_rolled_back_and_fails() {
    let mut node = Live::start(FRESH).await;
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
    assert!(reason.text.contains("front-proxy-client"), "{reason}");
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
    assert!(matches!(&receipts[0].outcome, Outcome::RolledBack(why) if why.contains(&reason.text)));
    assert_eq!(node.in_flight(), 0);
}

/// After a power cut the API server may be slower than any bound, and any local user may take its port before it does.
#[tokio::test]
async fn what_cannot_be_reached_or_is_another_process_takes_no_renewal_back() {
    for tls13 in [None, Some(false), Some(true)] {
        let mut node = Live::start(FRESH).await;
        node.context.proof_bound = Duration::from_millis(1500);
        node.renew_cut_off(&["apiserver", "front-proxy-client"], is_proving)
            .await;
        let new = node.serial("apiserver");
        let port = node.go_silent();
        let foreign = testkit::loopback::authority("foreign");
        node.tree.leaf("foreign", &foreign, API_SERVER);
        let (shown, key) = node.tree.pair("foreign");
        let pair = (shown.as_path(), key.as_path());
        let _rogue = match tls13 {
            Some(tls13) => Some(rogue(("127.0.0.1", port), pair, tls13, well()).await),
            None => None,
        };
        let reports = node.recover(&mut nothing).await.unwrap();
        assert!(reports[0].forward, "{tls13:?}");
        assert_eq!(reports[0].left.len(), 1, "{reports:?}");
        assert!(reports[0].left[0].starts_with("apiserver: "), "{reports:?}");
        assert_eq!((node.serial("apiserver"), node.in_flight()), (new, 0));
        let receipts = node.receipts();
        assert_eq!(receipts[0].outcome, Outcome::Done);
        assert!(
            receipts[0]
                .proofs
                .iter()
                .all(|one| !one.starts_with("apiserver:"))
        );
        assert!(
            receipts[0]
                .warnings
                .iter()
                .any(|one| one.starts_with("apiserver: "))
        );
    }
}

#[tokio::test]
async fn a_roll_back_that_is_cut_off_is_proved_and_keeps_its_reason() {
    let mut node = Live::start(FRESH).await;
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
    assert_eq!(receipts[0].code.as_deref(), Some("timed-out"));
    assert_eq!(receipts[0].proofs.len(), 1);
}

/// Which says nothing about the certificates, so they stay.
#[tokio::test]
async fn while_the_kubelet_is_down_recovery_owes_and_undoes_nothing() {
    let mut node = Live::start(FRESH).await;
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
    assert!(
        matches!(error, OperationError::RestartsPending(_)),
        "{error}"
    );
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
    let mut node = Live::start(FRESH).await;
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
    let mut node = Live::start(FRESH).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let manifest = node
        .tree
        .path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    fs::write(&manifest, "not a pod").unwrap();
    let reports = node.recover(&mut nothing).await.unwrap();
    let told = reports[0].left.join("\n");
    assert!(told.contains("kube-apiserver: not restarted"), "{told}");
    let receipts = node.receipts();
    assert!(
        receipts[0]
            .warnings
            .iter()
            .any(|one| one.contains("not restarted")),
        "{receipts:?}"
    );
}

#[tokio::test]
async fn what_was_not_valid_yet_is_not_put_back_by_recovery_either() {
    let soon = Timestamp::now() + SignedDuration::from_mins(3);
    let validity = valid(soon, soon + SignedDuration::from_mins(60));
    let mut node = Live::start_with(validity).await;
    node.is_well(|_| false);
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    let new = node.serial("apiserver");
    let error = node.recover(&mut nothing).await.unwrap_err();
    assert!(matches!(error, OperationError::NewFilesStay(_)), "{error}");
    assert_eq!((node.serial("apiserver"), node.in_flight()), (new, 1));
}

#[tokio::test]
async fn beside_a_running_kubeadm_recovery_restarts_nothing() {
    let mut node = Live::start(FRESH).await;
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
async fn in_the_last_third_of_a_life_recovery_restarts_beside_what_looks_like_kubeadm() {
    let mut node = Live::start(SignedDuration::from_mins(20)).await;
    let cut_off = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut_off).await;
    node.tree
        .write("/proc/4711/cmdline", "kubeadm\0upgrade\0apply\0v1.35.0\0");
    std::os::unix::fs::symlink(node.tree.path("/"), node.tree.path("/proc/4711/root")).unwrap();
    let warned = std::sync::atomic::AtomicBool::new(false);
    let mut on = |event: &Event| {
        if let Event::Remark(Remark::RestartedNevertheless {
            finding,
            certificate,
            ..
        }) = event
            && finding.to_string().contains("4711")
            && certificate.as_str() == "apiserver"
        {
            warned.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    node.recover(&mut on).await.unwrap();
    assert!(warned.into_inner());
    assert_eq!(node.served(), node.serial("apiserver"));
}

#[tokio::test]
async fn the_receipt_of_a_recovered_operation_needs_no_backup() {
    let mut node = Live::start(FRESH).await;
    let old = node.serial("apiserver");
    node.renew_cut_off(&["apiserver"], is_proving).await;
    let new = node.serial("apiserver");
    for generation in fs::read_dir(node.context.store().backups()).unwrap() {
        fs::remove_dir_all(generation.unwrap().path()).unwrap();
    }
    node.recover(&mut nothing).await.unwrap();
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 1);
    let lines: Vec<_> = receipts[0].certificates.iter().collect();
    assert_eq!(lines.len(), 1, "{receipts:?}");
    assert_eq!((&lines[0].old_serial, &lines[0].new_serial), (&old, &new));
    assert!(lines[0].old.is_some() && lines[0].new.is_some());
}

#[tokio::test]
async fn what_recovery_returned_is_said_when_expired_certificates_are_recovered_as_well() {
    let node = Live::start(EXPIRED).await;
    let store = node.context.store();
    let manifest = node
        .tree
        .path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    {
        let lock = Lock::take(&store).unwrap();
        let trigger = Trigger::Command("restart".to_owned());
        let mut operation = Operation::begin(&store, &lock, trigger).unwrap();
        operation.park(&manifest).unwrap();
        assert!(!manifest.exists());
    }
    let mut returned = Vec::new();
    let mut events = |event: Event| {
        if let Event::Recovered { returned: some, .. } = event {
            returned.push(some);
        }
    };
    recover_expired(&node.context, false, &never(), &mut events)
        .await
        .unwrap();
    assert_eq!(returned, [1], "once, with what was returned");
    assert!(manifest.exists());
}
