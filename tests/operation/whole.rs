//! Operations from issuing to the receipt, on a node that runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kubecertd::config::RestartMode;
use kubecertd::host::Journald;
use kubecertd::journal::Outcome;
use kubecertd::operation::{Event, OperationError, roll_back, witnesses};
use kubecertd::probe::look_at_use;
use kubecertd::report::{History, Receipt, UseState, in_use};
use testkit::live::{API_SERVER, Live, leaf, never, valid};

pub(crate) fn nothing(_: &Event) {}

pub(crate) fn is_proving(event: &Event) -> bool {
    matches!(event, Event::Proving { .. })
}

pub(crate) const FRESH: SignedDuration = SignedDuration::from_mins(60);
pub(crate) const EXPIRED: SignedDuration = SignedDuration::from_mins(-10);

#[tokio::test]
async fn a_renewal_is_carried_out_and_proved() {
    let mut node = Live::start(FRESH).await;
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
    // Once to plan, and once more for the proof.
    println!("the node was read {} times", report.observations);
    assert_eq!(report.observations, 2);
}

#[tokio::test]
async fn a_component_that_is_not_well_with_the_new_files_gets_the_old_ones_back() {
    let mut node = Live::start(FRESH).await;
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
    assert!(reason.text.contains("not well"), "{reason}");
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
    let mut node = Live::start(FRESH).await;
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
async fn a_stop_is_heard_while_a_pod_is_waited_for_to_take_up_its_certificate() {
    let mut node = Live::start(FRESH).await;
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
async fn a_roll_back_by_hand_does_not_go_back_to_what_is_not_valid_yet() {
    let mut node = Live::start(FRESH).await;
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
    assert!(matches!(error, OperationError::NewFilesStay(_)), "{error}");
    assert_eq!(node.in_flight(), 1);
}

#[tokio::test]
async fn a_roll_back_by_hand_owes_no_restart_where_others_restart_the_pods() {
    let mut node = Live::start(FRESH).await;
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
async fn a_pod_whose_manifest_cannot_be_read_when_it_is_to_be_restarted_is_told() {
    let mut node = Live::start(FRESH).await;
    let manifest = node
        .tree
        .path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    let mut on = |event: &Event| {
        if let Event::Installed { .. } = event {
            fs::write(&manifest, "not a pod").unwrap();
        }
    };
    let report = node.renew(&["apiserver"], &never(), &mut on).await.unwrap();
    let told: Vec<String> = report.unproved.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    assert!(told.contains("kube-apiserver: not restarted"), "{told}");
    assert!(told.contains("kubecertd restart kube-apiserver"), "{told}");
    let warnings = node.receipts().remove(0).warnings;
    assert!(warnings.iter().any(|one| one.contains("not restarted")));
}

#[tokio::test]
async fn pods_that_are_left_with_old_files_stand_in_the_receipt() {
    let mut node = Live::start(FRESH).await;
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
    let mut node = Live::start(FRESH).await;
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

/// What a component goes on with is what counts, and it is said until when that lasts.
#[tokio::test]
async fn what_is_in_place_but_not_restarted_is_not_in_use() {
    let mut node = Live::start(FRESH).await;
    node.context.config.restart.mode = RestartMode::None;
    let old_end = node
        .context
        .observe()
        .find("apiserver")
        .unwrap()
        .present()
        .unwrap()
        .leaf
        .not_after;
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    let look = async |node: &Live| {
        let inventory = node.context.observe();
        let seen = look_at_use(&inventory, &node.context.config.restart).await;
        let known = in_use(&inventory, &seen, &node.receipts(), Timestamp::now());
        let (_, known) = known
            .into_iter()
            .find(|(name, _)| name.as_str() == "apiserver")
            .unwrap();
        known
    };
    let known = look(&node).await;
    assert_eq!(
        (known.state, known.used_until),
        (UseState::NotYet, Some(old_end))
    );
    assert!(
        known
            .note(&"apiserver".into())
            .unwrap()
            .contains("kubecertd restart kube-apiserver")
    );
    testkit::live::serve_what_is_there(&node.tree);
    assert_eq!(look(&node).await.state, UseState::Proved);
    node.go_silent();
    assert_eq!(look(&node).await.state, UseState::Unknown);
}

/// The fields of an entry as they came to a journald's socket.
fn entry(journal: &std::os::unix::net::UnixDatagram) -> std::collections::BTreeMap<String, String> {
    let mut bytes = [0; 4096];
    let length = journal.recv(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..length]).unwrap();
    let fields = text.lines().map(|line| line.split_once('=').unwrap());
    fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn the_journal_hears_where_the_history_ends_and_shows_what_is_missing_from_it() {
    let mut node = Live::start(FRESH).await;
    let history = History::new(&node.context.store());
    let journald = Journald {
        socket: node.tree.path("/journal"),
        readers: vec![node.tree.path("/journalctl")],
    };
    let journal = std::os::unix::net::UnixDatagram::bind(&journald.socket).unwrap();
    node.context.journald = Some(journald.clone());
    let mut entries = Vec::new();
    let mut heads = Vec::new();
    for count in ["1", "2"] {
        let report = node
            .renew(&["apiserver"], &never(), &mut nothing)
            .await
            .unwrap();
        let mut fields = entry(&journal);
        let head = history.head().unwrap();
        assert_eq!(fields["HISTORY_COUNT"], count);
        assert_eq!(fields["HISTORY_HEAD"], head.last);
        assert_eq!(fields["OPERATION_ID"], report.operation.unwrap());
        assert_eq!(fields["SYSLOG_IDENTIFIER"], "kubecertd");
        assert!(fields["MESSAGE"].contains(&head.last), "{fields:?}");
        heads.push(head);
        // What journald adds.
        fields.insert("_UID".to_owned(), "0".to_owned());
        fields.insert(
            "__REALTIME_TIMESTAMP".to_owned(),
            "1790000000000000".to_owned(),
        );
        entries.push(fields);
    }
    let receipts = node.receipts();
    assert_eq!(receipts[1].history_before.as_ref(), Some(&heads[0]));
    let by = receipts[1].by.as_ref().unwrap();
    assert_eq!(by.uid, nix::unistd::getuid().as_raw());
    let renewed = &receipts[1].certificates[0];
    let (old, new) = (renewed.old.as_ref().unwrap(), renewed.new.as_ref().unwrap());
    let there = fs::read(node.tree.pair("apiserver").0).unwrap();
    let there = kubecertd::pki::certificates_from_pem(&there)
        .unwrap()
        .remove(0);
    assert_eq!(new.fingerprint, there.fingerprint());
    assert_eq!(new.subject, there.subject);
    assert_eq!(new.issuer, there.issuer);
    let first = receipts[0].certificates[0].new.as_ref().unwrap();
    assert_eq!(old, first);

    // A user's entry and that of a pod's root say nothing, whatever they say.
    let mut forged = entries[1].clone();
    forged.insert("HISTORY_COUNT".to_owned(), "9".to_owned());
    forged.insert("_UID".to_owned(), "1000".to_owned());
    let mut pods = forged.clone();
    pods.insert("_UID".to_owned(), "0".to_owned());
    let group = "/kubepods.slice/kubepods-burstable.slice/cri-1".to_owned();
    pods.insert("_SYSTEMD_CGROUP".to_owned(), group);
    entries.extend([forged, pods]);
    let lines: Vec<String> = entries
        .iter()
        .map(|fields| serde_json::to_string(fields).unwrap())
        .collect();
    let script = format!("#!/bin/sh\ncat <<'END'\n{}\nEND\n", lines.join("\n"));
    fs::write(&journald.readers[0], script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&journald.readers[0], executable).unwrap();
    let all = witnesses(&journald).unwrap();
    assert_eq!(all.len(), 2);
    let comparison = history.compare(&all).unwrap();
    assert_eq!((comparison.receipts, comparison.confirmed), (2, 2));
    assert!(comparison.contradictions.is_empty(), "{comparison:?}");

    // Written anew by somebody who knows how.
    let state = node.context.store().directory().to_path_buf();
    for name in ["history.jsonl", "history.end"] {
        fs::remove_file(state.join(name)).unwrap();
    }
    assert_eq!(history.verify().unwrap(), 0);
    assert_eq!(history.compare(&all).unwrap().contradictions.len(), 2);
    let mut altered = receipts[0].clone();
    altered.warnings = vec!["altered".to_owned()];
    history.append(&altered).unwrap();
    history
        .append(&Receipt {
            kind: None,
            history_before: Some(history.head().unwrap()),
            ..receipts[1].clone()
        })
        .unwrap();
    assert_eq!(history.verify().unwrap(), 2);
    let comparison = history.compare(&all).unwrap();
    assert_eq!(comparison.contradictions.len(), 2, "{comparison:?}");
    // And one whose operation had found others.
    for name in ["history.jsonl", "history.end"] {
        fs::remove_file(state.join(name)).unwrap();
    }
    history.append(&receipts[1]).unwrap();
    let error = history.verify().unwrap_err().to_string();
    assert!(
        error.contains("began behind receipt 1, which is missing"),
        "{error}"
    );
}
