//! Certificates that are not kubeadm's beside kubeadm's: neither holds the other up, and nothing of what happened is lost.

use std::fs::{self};

use kubecertd::config::RestartMode;
use kubecertd::journal::Outcome;
use kubecertd::operation::{Event, OperationError};
use kubecertd::runtime::KubeletService;
use testkit::PKI;
use testkit::live::{Live, never};
use testkit::others::HAPROXY;

use crate::whole::{EXPIRED, FRESH, nothing};

use crate::served::{Served, TAKES, UNIT, due, ended, used_by_the_api_server};
/// A mounted disk's units are not this machine's.
#[tokio::test]
async fn another_root_and_a_mode_without_restarts_tell_nobody_and_ask_nobody() {
    for of_another_root in [true, false] {
        let mut one = Served::start(UNIT, TAKES).await;
        let old = one.in_file();
        one.node
            .renew_cut_off(&["haproxy"], |event| {
                matches!(event, Event::Installed { .. })
            })
            .await;
        if of_another_root {
            one.node.context.machine = None;
        } else {
            one.node.context.config.restart.mode = RestartMode::None;
        }
        one.node.recover(&mut nothing).await.unwrap();
        assert!(one.told().is_empty(), "{:?}", one.told());
        assert_ne!(one.in_file(), old, "nothing speaks against the new one");
        let receipt = one.last();
        assert_eq!(receipt.outcome, Outcome::Done);
        assert!(receipt.proofs.is_empty(), "{receipt:?}");
        assert_eq!(one.codes(), ["users-not-told"]);
        assert!(receipt.warnings[0].contains("haproxy.service"));
        assert_eq!(one.node.in_flight(), 0);
    }
}

/// What had expired is not put back; and its journal would keep kubeadm's certificates from going back.
#[tokio::test]
async fn an_expired_one_that_its_service_does_not_take_stays_and_is_at_an_end() {
    let mut one = Served::start_of(Live::start(FRESH).await, ended(), UNIT, "true").await;
    let old = one.in_file();
    let error = one.node.renew_due().await.unwrap_err();
    assert!(matches!(error, OperationError::Failed(_)), "{error}");
    assert_ne!(one.in_file(), old);
    assert_eq!(one.told().len(), 1);
    assert!(matches!(one.last().outcome, Outcome::Failed(_)));
    assert_eq!(one.node.in_flight(), 0);
}

#[tokio::test]
async fn an_operation_that_adopts_what_another_left_tells_its_users() {
    let node = Live::start(FRESH).await;
    let mut one = Served::start_of(node, ended(), "unit = \"haproxy.service\"\n", TAKES).await;
    used_by_the_api_server(&one.node, &[HAPROXY.0]);
    one.node.is_well(|_| false);
    let error = one.node.renew_due().await.unwrap_err();
    assert!(matches!(error, OperationError::NewFilesStay(_)), "{error}");
    assert!(one.told().is_empty());
    assert_eq!(one.node.in_flight(), 1);

    let old = one.node.serial("apiserver");
    one.node.is_well(move |serial| serial != old);
    one.node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_eq!(one.told().len(), 1, "{:?}", one.told());
    assert_eq!(one.served(), one.in_file());
    assert_eq!(one.node.in_flight(), 0);
}

#[tokio::test]
async fn kubeadms_failing_restarts_hold_up_no_service() {
    let expired = Live::start(EXPIRED).await;
    let mut one = Served::start_on(expired, UNIT, TAKES).await;
    let old = one.in_file();
    one.node.is_well(|_| false);
    let report = one.node.renew_due().await.unwrap();
    assert!(
        matches!(&report.errors[..], [OperationError::NewFilesStay(_)]),
        "{report:?}"
    );
    assert_ne!(one.in_file(), old);
    assert_eq!(one.served(), one.in_file());
    assert_eq!(one.node.in_flight(), 1, "the restarts are tried again");

    // One that a pod uses waits for that, and says so.
    let old = one.in_file();
    used_by_the_api_server(&one.node, &[HAPROXY.0]);
    let mut codes = Vec::new();
    let mut on = |event: &Event| {
        if let Event::IssueFailed { fault, .. } = event {
            codes.push(fault.code);
        }
    };
    let error = one
        .node
        .renew(&["haproxy"], &never(), &mut on)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::NewFilesStay(_)), "{error}");
    assert_eq!(codes, ["unfinished-before"]);
    assert_eq!(one.in_file(), old);
}

#[tokio::test]
async fn two_that_one_pod_uses_restart_it_once() {
    let second = ("/etc/second/tls.crt", "/etc/second/tls.key");
    let table = "[certificate.second]\nfile = \"/etc/second/tls.crt\"\nkey = \"/etc/second/tls.key\"\nissuer = \"ca\"\n";
    let mut one = Served::start(table, TAKES).await;
    testkit::others::put(
        &one.node.tree,
        second,
        &testkit::pair::Pair::sign(&testkit::others::server_leaf(), &one.node.tree.ca, due()),
    );
    used_by_the_api_server(&one.node, &[HAPROXY.0, second.0]);
    let report = one.node.renew_due().await.unwrap();
    assert_eq!(report.renewed.len(), 2, "{report:?}");
    assert_eq!(one.node.receipts().len(), 1, "{:?}", one.node.receipts());
    assert_eq!(report.restarts.len(), 1);
}

#[tokio::test]
async fn a_user_who_cannot_be_told_is_found_out_before_files_are_replaced() {
    let missing =
        "if [ \"$1\" = show ]; then echo LoadState=not-found; echo ActiveState=inactive; exit; fi";
    for (validity, is_replaced) in [(due(), false), (ended(), true)] {
        let node = Live::start(FRESH).await;
        let mut one = Served::start_of(node, validity, UNIT, TAKES).await;
        let old = one.in_file();
        let systemctl = one.script("/systemctl", missing);
        one.node.context.machine.as_mut().unwrap().kubelet = KubeletService::through(systemctl);
        let result = one.node.renew_due().await;
        assert_eq!(one.in_file() != old, is_replaced, "{result:?}");
        if !is_replaced {
            let failed = &result.unwrap().failed[0].fault;
            assert_eq!(failed.code, "user-unfit");
            assert!(failed.text.contains("there is no haproxy.service"));
            assert!(one.node.receipts().is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_left_alone_of_kubeadms_is_said_although_only_others_are_renewed() {
    let mut one = Served::start_on(Live::start_with(due()).await, UNIT, TAKES).await;
    fs::remove_file(one.node.tree.path(&format!("{PKI}/ca.key"))).unwrap();
    let report = one.node.renew_due().await.unwrap();
    let left: Vec<&str> = report.left.iter().map(|(id, _)| id.as_str()).collect();
    assert!(left.contains(&"apiserver"), "{report:?}");
}

#[tokio::test]
async fn a_stop_between_two_operations_is_a_stop() {
    let mut one = Served::start_on(Live::start_with(due()).await, UNIT, TAKES).await;
    let old = one.in_file();
    let (sender, stop) = tokio::sync::watch::channel(false);
    let mut on = |event: &Event| {
        if matches!(event, Event::NodeReady { .. } | Event::Proved { .. }) {
            sender.send(true).unwrap();
        }
    };
    let error = one
        .node
        .renew(&["apiserver", "haproxy"], &stop, &mut on)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Stopped), "{error}");
    assert_eq!(one.in_file(), old);
    assert_eq!(one.node.receipts().len(), 1);
}
