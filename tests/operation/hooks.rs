//! An administrator's hooks, at their moments of an operation.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use kubecertd::checks::Asked;
use kubecertd::journal::Outcome;
use kubecertd::operation::{Event, OperationError, hooks, preflight, restart, roll_back};
use kubecertd::plan::Request;
use kubecertd::report::{PlanView, Receipt};
use testkit::live::{API_SERVER, Live, never};

use crate::whole::{FRESH, is_proving, nothing};

const MOMENTS: [&str; 4] = ["pre-renew", "pre-restart", "post-restart", "post-renew"];

/// A node with a hook for every moment that writes down that it ran.
async fn node_with_hooks() -> Live {
    let node = Live::start(FRESH).await;
    for moment in MOMENTS {
        hook(&node, moment, "50-note", "exit 0");
    }
    node
}

/// Writes a line into the tree's `/ran` and then does what `text` says.
fn hook(node: &Live, moment: &str, name: &str, text: &str) {
    let path = format!("/etc/kubecertd/hooks.d/{moment}/{name}");
    let ran = node.tree.path("/ran");
    let script = format!(
        "#!/bin/sh\necho \"$KUBECERTD_MOMENT {name} ${{KUBECERTD_RESULT-}} ${{KUBECERTD_ERROR-}}\" >>{}\n{text}\n",
        ran.display()
    );
    let path = node.tree.write(&path, script);
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// What ran, and forgets it.
fn ran(node: &Live) -> Vec<String> {
    let path = node.tree.path("/ran");
    let lines = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    lines
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

fn codes(receipt: &Receipt) -> Vec<&str> {
    receipt
        .remarks
        .iter()
        .map(|one| one.code.as_str())
        .collect()
}

#[tokio::test]
async fn they_run_around_a_renewal_and_know_what_it_is_about() {
    let mut node = node_with_hooks().await;
    let out = node.tree.path("/environment");
    let text = format!(
        "env >{}; pwd >>{0}; cat >>{0}; echo seen; echo 'a\u{1b}b' >&2",
        out.display()
    );
    hook(&node, "post-restart", "60-environment", &text);
    let old = node.serial("apiserver");
    let state = node.tree.path("/state");
    let certificate = node.tree.pair("apiserver").0;
    let look = format!("cat {} >{}", certificate.display(), state.display());
    hook(&node, "pre-restart", "60-look", &look);
    let before = fs::read(&certificate).unwrap();
    let mut told = Vec::new();
    let report = node
        .renew(&["apiserver"], &never(), &mut |event: &Event| {
            told.push((event.code(), event.to_string()));
        })
        .await
        .unwrap();
    assert_ne!(node.serial("apiserver"), old);
    assert_eq!(
        ran(&node),
        [
            "pre-renew 50-note",
            "pre-restart 50-note",
            "pre-restart 60-look",
            "post-restart 50-note done",
            "post-restart 60-environment done",
            "post-renew 50-note done",
        ]
    );
    // Those before the restart run before any file is changed.
    assert_eq!(fs::read(state).unwrap(), before);
    let environment = fs::read_to_string(&out).unwrap();
    let operation = report.operation.unwrap();
    for line in [
        "KUBECERTD_MOMENT=post-restart",
        &format!("KUBECERTD_OPERATION={operation}"),
        "KUBECERTD_KIND=renew",
        "KUBECERTD_TRIGGER=renew",
        "KUBECERTD_NODE=",
        "KUBECERTD_CERTIFICATES=apiserver",
        "KUBECERTD_COMPONENTS=kube-apiserver",
        "KUBECERTD_RESULT=done",
        "KUBECERTD_ERROR=",
        "LANG=C.UTF-8",
        "/",
    ] {
        let is_there = |one: &str| one == line || (line.ends_with('=') && one.starts_with(line));
        assert!(environment.lines().any(is_there), "{line}: {environment}");
    }
    assert!(!environment.contains("CARGO"), "{environment}");
    let said: Vec<&str> = told
        .iter()
        .filter(|(code, _)| code.starts_with("hook-"))
        .map(|(_, text)| text.as_str())
        .collect();
    let expected = [
        "hook pre-renew/50-note: runs",
        "hook post-restart/60-environment: seen",
        "hook post-restart/60-environment: a\\u001bb",
    ];
    for line in expected {
        assert!(said.contains(&line), "{line}: {said:?}");
    }
    let receipts = node.receipts();
    assert_eq!(receipts[0].outcome, Outcome::Done);
    assert!(receipts[0].warnings.is_empty(), "{receipts:?}");
}

#[tokio::test]
async fn one_that_fails_before_stops_it_before_anything_was_changed() {
    for (moment, rest) in [
        (
            "pre-renew",
            &["post-renew 50-note rolled-back hook-failed"][..],
        ),
        (
            "pre-restart",
            &[
                "post-restart 50-note rolled-back hook-failed",
                "post-renew 50-note rolled-back hook-failed",
            ],
        ),
    ] {
        let mut node = node_with_hooks().await;
        hook(&node, moment, "40-refuses", "echo 'not now' >&2; exit 3");
        let old = node.serial("apiserver");
        let certificate = node.tree.pair("apiserver").0;
        let changed = fs::metadata(&certificate).unwrap().modified().unwrap();
        let error = node.renew(&["apiserver"], &never(), &mut nothing).await;
        let error = error.unwrap_err();
        assert!(matches!(error, OperationError::HookFailed(_)), "{error}");
        let said = error.to_string();
        assert!(
            said.contains(&format!(
                "{moment}/40-refuses failed: it ended with exit status: 3"
            )),
            "{said}"
        );
        assert!(said.ends_with("nothing was changed"), "{said}");
        assert!(!error.disturbed_the_node() && !error.halts_others());
        let lines = ran(&node);
        assert!(!lines.contains(&format!("{moment} 50-note")), "{lines:?}");
        assert_eq!(lines[lines.len() - rest.len()..], *rest, "{lines:?}");
        assert_eq!(node.serial("apiserver"), old);
        assert_eq!(
            fs::metadata(&certificate).unwrap().modified().unwrap(),
            changed
        );
        assert_eq!((node.restarts(), node.in_flight()), (0, 0));
        let receipts = node.receipts();
        assert_eq!(receipts[0].code.as_deref(), Some("hook-failed"));
        assert!(receipts[0].certificates.is_empty());
    }
}

#[tokio::test]
async fn one_that_hangs_is_ended_after_its_time_and_has_failed() {
    let mut node = node_with_hooks().await;
    node.context.config.hooks.timeout = Duration::from_secs(1);
    hook(&node, "pre-restart", "40-hangs", "sleep 300 & sleep 300");
    let begun = Instant::now();
    let error = node.renew(&["apiserver"], &never(), &mut nothing).await;
    let said = error.unwrap_err().to_string();
    assert!(
        said.contains("had not ended after 1 s and was killed"),
        "{said}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((node.restarts(), node.in_flight()), (0, 0));
}

#[tokio::test]
async fn a_stop_ends_one_before_and_the_operation_with_it() {
    let mut node = node_with_hooks().await;
    hook(&node, "pre-renew", "40-waits", "sleep 300");
    let (sender, stop) = tokio::sync::watch::channel(false);
    let mut on = |event: &Event| {
        if matches!(event, Event::HookRunning { hook } if hook.ends_with("waits")) {
            sender.send(true).unwrap();
        }
    };
    let error = node
        .renew(&["apiserver"], &stop, &mut on)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("asked to stop"), "{error}");
    assert_eq!((node.restarts(), node.in_flight()), (0, 0));
    // What it began is ended all the same.
    let lines = ran(&node);
    assert_eq!(
        lines.last().unwrap(),
        "post-renew 50-note rolled-back hook-failed"
    );
}

#[tokio::test]
async fn one_that_fails_afterwards_is_said_and_changes_nothing() {
    let mut node = node_with_hooks().await;
    hook(&node, "post-restart", "40-fails", "kill -9 $$");
    hook(&node, "post-renew", "40-open", "exit 0");
    let open = node.tree.path("/etc/kubecertd/hooks.d/post-renew/40-open");
    fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
    let report = node.renew(&["apiserver"], &never(), &mut nothing).await;
    assert_eq!(report.unwrap().proofs.len(), 1);
    assert_eq!(node.served(), node.serial("apiserver"));
    let receipts = node.receipts();
    assert_eq!(receipts[0].outcome, Outcome::Done);
    let mut found = codes(&receipts[0]);
    found.dedup();
    assert_eq!(found, ["hook-failed", "hook-unfit"]);
    assert!(
        receipts[0].warnings[0].contains("post-restart/40-fails"),
        "{receipts:?}"
    );
    let lines = ran(&node);
    assert!(
        !lines.iter().any(|line| line.contains("40-open")),
        "{lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "post-renew 50-note done");
}

#[tokio::test]
async fn what_cannot_be_run_before_is_refused_and_not_passed_over() {
    let mut node = node_with_hooks().await;
    let hook = node.tree.path("/etc/kubecertd/hooks.d/pre-restart/50-note");
    fs::set_permissions(&hook, Permissions::from_mode(0o775)).unwrap();
    let error = node
        .renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    let OperationError::NotNow(findings) = &error else {
        panic!("{error}");
    };
    assert_eq!(findings[0].cause.code(), "hook-unfit");
    assert!(
        error.to_string().contains(&hook.display().to_string()),
        "{error}"
    );
    assert_eq!(ran(&node), Vec::<String>::new());
    assert_eq!((node.restarts(), node.receipts().len()), (0, 0));

    // Where no pod is restarted it has nothing to say.
    let inventory = node.context.observe();
    let plan = node.context.plan(
        &inventory,
        &Request::All { force: true },
        kubecertd::host::now(),
    );
    let asked = Asked::ByHand { force: false };
    let found = preflight(&node.context, &inventory, &plan.unwrap(), false, asked);
    assert!(
        found.iter().all(|one| one.cause.code() != "hook-unfit"),
        "{found:?}"
    );
}

#[tokio::test]
async fn they_see_an_operation_that_is_rolled_back_once_and_to_its_end() {
    let mut node = node_with_hooks().await;
    let only = node.serial("apiserver");
    node.is_well(move |serial| serial == only);
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap_err();
    assert_eq!(node.restarts(), 2);
    assert_eq!(
        ran(&node),
        [
            "pre-renew 50-note",
            "pre-restart 50-note",
            "post-restart 50-note rolled-back timed-out",
            "post-renew 50-note rolled-back timed-out",
        ]
    );
}

#[tokio::test]
async fn restarts_and_roll_backs_by_hand_run_them_too() {
    let mut node = node_with_hooks().await;
    restart(
        &node.context,
        &[API_SERVER.to_owned()],
        &never(),
        &mut |_| (),
    )
    .await
    .unwrap();
    assert_eq!(
        ran(&node),
        ["pre-restart 50-note", "post-restart 50-note done"]
    );
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    ran(&node);
    let back = roll_back(&node.context, "last", true, true, &never(), &mut |_| ()).await;
    assert!(back.unwrap().is_some());
    let lines = ran(&node);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[3], "post-renew 50-note done");

    hook(&node, "pre-restart", "40-refuses", "exit 1");
    let restarts = node.restarts();
    let error = restart(
        &node.context,
        &[API_SERVER.to_owned()],
        &never(),
        &mut |_| (),
    )
    .await;
    assert!(matches!(error, Err(OperationError::HookFailed(_))));
    assert_eq!((node.restarts(), node.in_flight()), (restarts, 0));
}

#[tokio::test]
async fn an_operation_that_was_cut_off_runs_those_that_are_left_and_waits_for_one_that_fails() {
    let mut node = node_with_hooks().await;
    let cut = |event: &Event| matches!(event, Event::Installed { .. });
    node.renew_cut_off(&["apiserver"], cut).await;
    assert_eq!(ran(&node), ["pre-renew 50-note", "pre-restart 50-note"]);
    hook(&node, "pre-restart", "40-refuses", "exit 1");
    let error = node.recover(&mut nothing).await.unwrap_err();
    assert!(
        matches!(error, OperationError::RestartsPending(_)),
        "{error}"
    );
    assert_eq!((node.restarts(), node.in_flight()), (0, 1));
    // No other control plane has to wait for this one.
    assert!(!error.halts_others());
    let lines = ran(&node);
    assert_eq!(
        lines[1], "post-restart 50-note failed hook-failed",
        "{lines:?}"
    );

    fs::remove_file(
        node.tree
            .path("/etc/kubecertd/hooks.d/pre-restart/40-refuses"),
    )
    .unwrap();
    node.recover(&mut nothing).await.unwrap();
    assert_eq!(
        ran(&node),
        [
            "pre-restart 50-note",
            "post-restart 50-note done",
            "post-renew 50-note done"
        ]
    );
    assert_eq!((node.restarts(), node.in_flight()), (1, 0));
    assert_eq!(node.served(), node.serial("apiserver"));
}

/// Whatever those before it did is undone by those after it.
#[tokio::test]
async fn one_that_is_cut_off_while_those_before_run_is_recovered_with_those_after() {
    let mut node = node_with_hooks().await;
    let serial = node.serial("apiserver");
    hook(&node, "pre-renew", "60-hangs", "exec sleep 600");
    let ran_path = node.tree.path("/ran");
    {
        let stop = never();
        let mut on = nothing;
        let renewing = node.renew(&["apiserver"], &stop, &mut on);
        tokio::pin!(renewing);
        // Dropped as a kill would end it.
        tokio::select! {
            _ = &mut renewing => panic!("it ended"),
            () = async {
                while !fs::read_to_string(&ran_path).is_ok_and(|text| text.contains("60-hangs")) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            } => {}
        }
    }
    assert_eq!(node.in_flight(), 1);
    ran(&node);
    node.recover(&mut nothing).await.unwrap();
    // Those before a restart were not begun.
    assert_eq!(ran(&node), ["post-renew 50-note rolled-back interrupted"]);
    assert_eq!((node.restarts(), node.in_flight()), (0, 0));
    assert_eq!(node.serial("apiserver"), serial);
}

#[tokio::test]
async fn those_afterwards_run_where_only_a_proof_was_left() {
    let mut node = node_with_hooks().await;
    node.renew_cut_off(&["apiserver"], is_proving).await;
    ran(&node);
    node.recover(&mut nothing).await.unwrap();
    let lines = ran(&node);
    assert_eq!(
        lines,
        ["post-restart 50-note done", "post-renew 50-note done"]
    );
}

#[tokio::test]
async fn a_plan_shows_them_and_none_is_run_for_another_root() {
    let mut node = node_with_hooks().await;
    let names = |restart| -> Vec<String> {
        let found = hooks(&node.context, restart);
        found.iter().map(kubecertd::runtime::Hook::name).collect()
    };
    assert_eq!(
        names(true),
        MOMENTS.map(|moment| format!("{moment}/50-note"))
    );
    assert_eq!(names(false), ["pre-renew/50-note", "post-renew/50-note"]);
    let inventory = node.context.observe();
    let all = Request::All { force: true };
    let plan = node.context.plan(&inventory, &all, kubecertd::host::now());
    let view = PlanView::from(&plan.unwrap()).with_hooks(&hooks(&node.context, true));
    let table = view.to_table();
    assert!(
        table.contains("\nHooks: pre-renew/50-note\n       pre-restart/50-note\n"),
        "{table}"
    );
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!(json["hooks"][3]["moment"], "post-renew");
    node.context.machine = None;
    assert_eq!(hooks(&node.context, true), []);
    node.renew(&["apiserver"], &never(), &mut nothing)
        .await
        .unwrap();
    assert_eq!(ran(&node), Vec::<String>::new());
}
