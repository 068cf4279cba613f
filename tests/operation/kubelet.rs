//! The kubelet's client certificate on a node that runs: made anew, used, and taken back where the kubelet does not come back with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::checks::Asked;
use kubecertd::config::RestartMode;
use kubecertd::journal::Outcome;
use kubecertd::operation::{Event, OperationError, RenewalReport, repair_kubelet};
use kubecertd::pki::{NewLeaf, SubjectAltName, Validity, certificates_to_pem};
use kubecertd::runtime::KubeletService;
use testkit::kubeadm::kubeconfig_with;
use testkit::live::{Live, never, valid};
use testkit::loopback::serial_in;
use testkit::pair::Pair;
use testkit::peer::{Clients, listen};

use crate::whole::{FRESH, nothing};

const PKI: &str = "/var/lib/kubelet/pki";
const CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const BY_HAND: Asked = Asked::ByHand { force: false };

/// Nine tenths of its certificate's life are over, and this is what systemctl does when the kubelet is restarted.
async fn overdue(restart: &str) -> Live {
    let now = Timestamp::now();
    with_client(valid(now - days(28), now + days(2)), restart).await
}

fn fresh() -> Validity {
    let now = Timestamp::now();
    valid(now - days(1), now + days(30))
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

async fn with_client(validity: Validity, restart: &str) -> Live {
    let mut node = Live::start(FRESH).await;
    let leaf = NewLeaf {
        common_name: "system:node:cp1".to_owned(),
        organizations: vec!["system:nodes".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let client = Pair::sign(&leaf, &node.tree.ca, validity);
    let dated = format!("{PKI}/kubelet-client-2026-01-01-00-00-00.pem");
    let file = node
        .tree
        .write(&dated, client.certificate_pem() + &client.key_pem());
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    node.tree.link(CURRENT, &dated);
    let config = kubeconfig_with(
        &certificates_to_pem([node.tree.ca.certificate()]),
        &format!("client-certificate: {CURRENT}\n    client-key: {CURRENT}"),
    );
    let config = config.replace("192.0.2.10:6443", &format!("127.0.0.1:{}", node.api_port()));
    node.tree.write("/etc/kubernetes/kubelet.conf", config);
    node.tree
        .write_kubelet_settings("rotateCertificates: true\n");
    let told = node.tree.path("/told");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = restart ] || exit 0\necho \"$@\" >>{}\n{restart}\n",
        told.display()
    );
    let systemctl = node.tree.write("/systemctl", script);
    fs::set_permissions(&systemctl, Permissions::from_mode(0o755)).unwrap();
    node.context.machine.as_mut().unwrap().kubelet = KubeletService::through(systemctl);
    node
}

async fn repair(node: &Live) -> Result<Option<RenewalReport>, OperationError> {
    repair_kubelet(&node.context, BY_HAND, &never(), &mut |_| ()).await
}

fn current(node: &Live) -> PathBuf {
    fs::read_link(node.tree.path(CURRENT)).unwrap()
}

fn told(node: &Live) -> usize {
    let text = fs::read_to_string(node.tree.path("/told")).unwrap_or_default();
    text.lines().count()
}

#[tokio::test]
async fn it_is_made_anew_and_the_kubelet_restarted_and_no_pod() {
    let node = overdue("").await;
    let old = current(&node);
    let report = repair(&node).await.unwrap().unwrap();
    assert_eq!(report.renewed.len(), 1, "{report:?}");
    assert_ne!(current(&node), old);
    assert_eq!((told(&node), node.restarts()), (1, 0));
    let receipts = node.receipts();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].outcome, Outcome::Done);
    assert!(repair(&node).await.unwrap().is_none());
    assert_eq!(told(&node), 1);
}

/// It may be the certificate that it does not come back with, and the old one is still valid.
#[tokio::test]
async fn a_kubelet_that_does_not_come_back_gets_the_old_one_and_is_restarted_with_it() {
    let node = overdue("[ $(wc -l <$(dirname $0)/told) -gt 1 ] || exit 1").await;
    let old = current(&node);
    let before = testkit::contents(&node.tree.path(PKI));
    let error = repair(&node).await.unwrap_err();
    assert!(
        matches!(error, OperationError::RolledBack { .. }),
        "{error}"
    );
    assert_eq!(current(&node), old);
    assert_eq!(testkit::contents(&node.tree.path(PKI)), before);
    assert_eq!((told(&node), node.restarts()), (2, 0));
    assert_eq!(node.in_flight(), 0);
    assert!(matches!(node.receipts()[0].outcome, Outcome::RolledBack(_)));
}

/// A kubelet that starts while the API server is away acts on no manifest that goes away.
#[tokio::test]
async fn beside_an_api_server_that_is_silent_the_kubelet_is_left_alone() {
    let mut node = overdue("").await;
    let old = current(&node);
    node.go_silent();
    let error = repair(&node).await.unwrap_err();
    assert!(matches!(error, OperationError::NotNow(_)), "{error}");
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert_eq!((current(&node), told(&node)), (old, 0));
    assert!(node.receipts().is_empty());
}

#[tokio::test]
async fn what_was_cut_off_before_the_kubelet_was_restarted_is_finished() {
    let mut node = overdue("").await;
    let old = current(&node);
    let (sender, stop) = tokio::sync::watch::channel(false);
    let mut on = |event: Event| {
        if let Event::Installed { .. } = event {
            sender.send(true).unwrap();
        }
    };
    let error = repair_kubelet(&node.context, BY_HAND, &stop, &mut on)
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Stopped), "{error}");
    assert_eq!((told(&node), node.in_flight()), (0, 1));
    node.recover(&mut nothing).await.unwrap();
    assert_ne!(current(&node), old);
    assert_eq!((told(&node), node.restarts()), (1, 0));
    assert_eq!(node.receipts()[0].outcome, Outcome::Done);
    assert_eq!(node.in_flight(), 0);
}

/// The one that it serves is due, on a kubelet that serves what lay in its files when it was last started.
#[tokio::test]
async fn a_kubelet_that_does_not_read_its_serving_certificate_by_itself_is_restarted() {
    let takes = "cd $(dirname $0); cp var/lib/kubelet/pki/kubelet.crt kubelet.crt; cp var/lib/kubelet/pki/kubelet.key kubelet.key";
    for (restart, is_taken) in [(takes, true), ("true", false)] {
        let mut node = with_client(fresh(), restart).await;
        let leaf = NewLeaf {
            common_name: "system:node:cp1".to_owned(),
            organizations: vec!["system:nodes".to_owned()],
            subject_alt_names: vec![SubjectAltName::Dns("cp1".to_owned())],
            server_auth: true,
            client_auth: false,
        };
        let now = Timestamp::now();
        let old = Pair::sign(&leaf, &node.tree.ca, valid(now - days(28), now + days(2)));
        for (name, contents) in [
            ("kubelet.crt", old.certificate_pem()),
            ("kubelet.key", old.key_pem()),
        ] {
            let path = node.tree.write(&format!("{PKI}/{name}"), contents);
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            fs::copy(path, node.tree.path(&format!("/{name}"))).unwrap();
        }
        let pair = ["crt", "key"].map(|end| node.tree.path(&format!("/kubelet.{end}")));
        let answer = Arc::new(|_: &str, _: Option<&str>| (200, String::new()));
        let listener = listen(
            ("127.0.0.1", 0),
            pair.into(),
            Clients::Anybody,
            true,
            answer,
        )
        .await;
        node.tree.write_kubelet_settings(&format!(
            "rotateCertificates: true\naddress: 127.0.0.1\nport: {}\n",
            listener.port
        ));
        node.context.proof_bound = Duration::from_secs(2);
        let result = repair(&node).await;
        let serial = serial_in(&node.tree.path(&format!("{PKI}/kubelet.crt")));
        assert_eq!(serial != old.certificate.serial, is_taken, "{result:?}");
        assert_eq!(serial_in(&node.tree.path("/kubelet.crt")), serial);
        if is_taken {
            assert_eq!(result.unwrap().unwrap().proofs.len(), 1);
            assert_eq!(told(&node), 1);
        } else {
            // It serves what it had, so the old one is back, and the kubelet was restarted with that.
            let error = result.unwrap_err();
            assert!(
                matches!(error, OperationError::RolledBack { .. }),
                "{error}"
            );
            assert_eq!(told(&node), 2);
        }
        assert_eq!(node.restarts(), 0);
    }
}

#[tokio::test]
async fn where_restarts_are_left_to_others_the_kubelets_is_as_well() {
    let mut node = overdue("").await;
    node.context.config.restart.mode = RestartMode::None;
    let old = current(&node);
    let report = repair(&node).await.unwrap().unwrap();
    assert_ne!(current(&node), old);
    assert_eq!(told(&node), 0);
    assert_eq!(report.not_told, ["kubelet.service"]);
    assert_eq!(node.receipts()[0].remarks[0].code, "users-not-told");
}

/// An administrator may have stopped it.
#[tokio::test]
async fn a_kubelet_that_does_not_run_is_not_started() {
    let mut node = overdue("").await;
    let script = "#!/bin/sh\n[ \"$1\" != show ] || printf 'LoadState=loaded\\nActiveState=inactive\\nSubState=dead\\n'\n";
    let systemctl = node.tree.write("/systemctl", script);
    node.context.machine.as_mut().unwrap().kubelet = KubeletService::through(systemctl);
    let old = current(&node);
    let error = repair(&node).await.unwrap_err();
    assert!(matches!(error, OperationError::NotNow(_)), "{error}");
    assert!(
        error.to_string().contains("kubelet.service is inactive"),
        "{error}"
    );
    assert_eq!(current(&node), old);
}

/// Its restarts fail, and the way back is open all the same, since the old one is still valid.
#[tokio::test]
async fn a_node_that_runs_is_not_taken_for_one_that_is_down() {
    let mut node = overdue("").await;
    let (sender, stop) = tokio::sync::watch::channel(false);
    let mut on = |event: Event| {
        if let Event::Installed { .. } = event {
            sender.send(true).unwrap();
        }
    };
    repair_kubelet(&node.context, BY_HAND, &stop, &mut on)
        .await
        .unwrap_err();
    let journal = node.tree.path("/var/lib/kubecertd/journal");
    let kept = testkit::contents(&journal);
    let text = String::from_utf8(kept.into_values().next().unwrap()).unwrap();
    assert!(
        text.contains("kubelet-planned") && !text.contains("\"stopped\""),
        "{text}"
    );

    // A renewal beside it restarts the API server by its manifest, as on any node that runs.
    let broken = node.tree.write("/systemctl", "#!/bin/sh\nexit 1\n");
    node.context.machine.as_mut().unwrap().kubelet = KubeletService::through(broken);
    let old = node.serial("apiserver");
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_ne!(node.serial("apiserver"), old);
    assert_eq!((node.restarts(), node.in_flight()), (1, 1));
}
