//! Certificates that are not kubeadm's, on a node that runs: their users are told, asked, and told again where the old files come
//! back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use kubecertd::journal::Outcome;
use kubecertd::operation::{Event, OperationError, roll_back};
use kubecertd::runtime::KubeletService;
use testkit::live::{Live, never};

use crate::whole::nothing;

use crate::served::{Served, TAKES, UNIT, due};
#[tokio::test]
async fn a_service_is_reloaded_and_proved_to_serve_the_new_one() {
    for (action, verb) in [("", "reload"), ("unit-action = \"restart\"\n", "restart")] {
        let mut one = Served::start(&format!("{UNIT}{action}"), TAKES).await;
        let old = one.in_file();
        let report = one
            .node
            .renew(&["haproxy"], &never(), &mut nothing)
            .await
            .unwrap();
        assert_eq!(report.renewed.len(), 1);
        assert_ne!(one.in_file(), old);
        assert_eq!(one.served(), one.in_file());
        assert_eq!(
            one.told(),
            [format!("--no-ask-password {verb} haproxy.service")]
        );
        let receipt = one.last();
        assert_eq!(receipt.outcome, Outcome::Done);
        assert!(receipt.proofs[0].contains(&one.in_file()), "{receipt:?}");
        assert!(receipt.warnings.is_empty(), "{receipt:?}");
        assert_eq!((one.node.restarts(), one.node.in_flight()), (0, 0));

        // And back by hand, with the same user.
        let id = receipt.id.clone();
        roll_back(&one.node.context, &id, false, true, &never(), &mut |_| ())
            .await
            .unwrap();
        assert_eq!((one.in_file(), one.served()), (old.clone(), old));
        assert_eq!(one.told().len(), 2);
    }
}

#[tokio::test]
async fn one_that_does_not_take_it_gets_the_old_files_back_and_kubeadms_stay() {
    for (told, code) in [
        // It serves what it had.
        ("true", "not-in-use"),
        ("echo no such thing >&2; exit 1", "user-not-told"),
    ] {
        let mut one = Served::start_on(Live::start_with(due()).await, UNIT, told).await;
        let old = (one.in_file(), one.node.serial("apiserver"));
        let report = one.node.renew_due().await.unwrap();
        assert!(
            matches!(&report.errors[..], [OperationError::RolledBack { .. }]),
            "{report:?}"
        );
        assert_eq!(report.renewed.len(), 1, "what worked is told nevertheless");
        assert_eq!((one.in_file(), one.served()), (old.0.clone(), old.0));
        assert_eq!(one.told().len(), 2, "told of the new ones and the old ones");
        let receipts = one.node.receipts();
        assert_eq!(receipts.len(), 2);
        assert_eq!(receipts[0].outcome, Outcome::Done);
        assert_ne!(one.node.serial("apiserver"), old.1);
        assert!(matches!(receipts[1].outcome, Outcome::RolledBack(_)));
        assert_eq!(receipts[1].code.as_deref(), Some(code), "{receipts:?}");
        assert_eq!(one.node.in_flight(), 0);
    }
}

#[tokio::test]
async fn one_that_served_before_and_is_silent_afterwards_has_not_taken_it() {
    let mut one = Served::start(UNIT, TAKES).await;
    let old = one.in_file();
    let mut listener = one.listener.take();
    let mut on = |event: &Event| {
        if let Event::UserTold { .. } = event {
            listener.take();
        }
    };
    let error = one
        .node
        .renew(&["haproxy"], &never(), &mut on)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OperationError::RolledBack { .. }),
        "{error}"
    );
    assert_eq!(one.in_file(), old);

    // One that nobody saw serve refuses nothing.
    one.node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_ne!(one.in_file(), old);
    assert_eq!(one.codes(), ["not-proved"]);
}

#[tokio::test]
async fn an_impostor_on_the_port_refuses_nothing() {
    let mut one = Served::start(UNIT, "true").await;
    let foreign = testkit::pair::authority(
        "kubernetes",
        testkit::others::due().not_before,
        testkit::others::due().not_after,
    );
    let pair = testkit::others::due_of(&foreign);
    one.node.tree.write("/haproxy.crt", pair.certificate_pem());
    one.node.tree.write("/haproxy.key", pair.key_pem());
    let old = one.in_file();
    one.node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_ne!(one.in_file(), old);
    assert_eq!(one.codes(), ["not-proved"]);
}

#[tokio::test]
async fn one_that_does_not_run_is_not_started() {
    let mut one = Served::start("unit = \"haproxy.service\"\n", TAKES).await;
    let old = one.in_file();
    let systemctl = one.systemctl("inactive", TAKES);
    one.node.context.machine.as_mut().unwrap().kubelet = KubeletService::through(systemctl);
    one.node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_ne!(one.in_file(), old);
    assert!(one.told().is_empty(), "{:?}", one.told());
    let receipt = one.last();
    assert_eq!(receipt.outcome, Outcome::Done);
    assert!(
        receipt
            .warnings
            .iter()
            .any(|one| one.contains("nobody showed")),
        "{receipt:?}"
    );
}

#[tokio::test]
async fn a_command_tells_whom_it_likes_within_bounds() {
    let table = "command = [\"$ROOT/tell\", \"a b\"]\naddress = \"ADDRESS\"\n";
    let mut one = Served::start(table, "").await;
    let text = format!("echo \"$1 $KUBECERTD_CERTIFICATES\" >>$ROOT/told; echo hello; {TAKES}");
    let script = one.script("/tell", &text);
    let mut said = Vec::new();
    let mut on = |event: &Event| {
        if let Event::UserSaid { line, .. } = event {
            said.push(line.clone());
        }
    };
    one.node
        .renew(&["haproxy"], &never(), &mut on)
        .await
        .unwrap();
    assert_eq!(said, ["hello"]);
    assert_eq!(one.told(), ["a b haproxy"]);
    assert_eq!(one.served(), one.in_file());

    // What others could have written is not run, and nothing of a renewal stays.
    let old = one.in_file();
    fs::set_permissions(&script, Permissions::from_mode(0o777)).unwrap();
    let report = one
        .node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap();
    let failed = &report.failed[0].fault.text;
    assert!(failed.contains("written by others"), "{failed}");
    assert_eq!((one.in_file(), one.told().len()), (old.clone(), 1));
    // One that hangs is ended.
    one.script("/tell", "sleep 60");
    one.node.context.config.hooks.timeout = Duration::from_secs(1);
    let error = one
        .node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("had not ended"), "{error}");
    assert_eq!(one.in_file(), old);
}

#[tokio::test]
async fn a_static_pod_that_is_named_is_restarted() {
    let mut one = Served::start("static-pod = \"kube-apiserver\"\n", "").await;
    let old = one.node.serial("apiserver");
    let report = one
        .node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_eq!(report.restarts.len(), 1);
    assert_eq!(one.node.restarts(), 1);
    assert_eq!(one.node.serial("apiserver"), old);
    // One that the node has not is said, and none restarted.
    let described = one
        .node
        .context
        .config
        .locations
        .described
        .get_mut("haproxy");
    described.unwrap().user = kubecertd::config::CertificateUser::StaticPod("haprxy".to_owned());
    one.node
        .renew(&["haproxy"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_eq!(one.node.restarts(), 1);
    assert!(
        one.codes().contains(&"no-such-pod".to_owned()),
        "{:?}",
        one.codes()
    );
}

#[tokio::test]
async fn what_was_cut_off_before_its_user_was_told_is_finished() {
    let mut one = Served::start(UNIT, TAKES).await;
    let old = one.in_file();
    one.node
        .renew_cut_off(&["haproxy"], |event| {
            matches!(event, Event::Installed { .. })
        })
        .await;
    assert_ne!(one.in_file(), old);
    assert!(one.told().is_empty());
    let recovered = one.node.recover(&mut nothing).await.unwrap();
    assert_eq!(recovered.len(), 1);
    assert_eq!(one.told().len(), 1);
    assert_eq!(one.served(), one.in_file());
    assert_eq!(one.last().outcome, Outcome::Done);
    assert!(!one.last().proofs.is_empty());
}

#[tokio::test]
async fn what_the_configuration_does_not_say_any_more_is_told_to_nobody() {
    let mut one = Served::start(UNIT, TAKES).await;
    one.node
        .renew_cut_off(&["haproxy"], |event| {
            matches!(event, Event::Installed { .. })
        })
        .await;
    one.node.context.config.locations.described.clear();
    let _ended = one.node.recover(&mut nothing).await;
    assert!(one.told().is_empty());
    assert!(
        one.codes().contains(&"users-unknown".to_owned()),
        "{:?}",
        one.codes()
    );
    assert_eq!(one.node.in_flight(), 0);
}
