//! What each control plane says of itself, in annotations of the turn's Lease.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kubecertd::cluster::{Fleet, Mark, NodeReport, look, make_lease, publish};
use kubecertd::config::{Config, TurnMode};
use kubecertd::operation::{Context, Machine, Neighbours, look_at_fleet, own_report};
use serde_json::{Value, json};

use crate::lease_api::Api;
use crate::turn::taken;

fn report(node: &str) -> NodeReport {
    NodeReport {
        node: node.to_owned(),
        version: "1.0.0".to_owned(),
        next_due: Some(at("2027-10-27T03:12:00Z")),
        first_end: Some(at("2027-11-26T03:12:00Z")),
        last_result: Some("done".to_owned()),
        code: None,
        last_finished: Some(at("2026-11-26T03:00:00Z")),
        written: Timestamp::now(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn annotations(api: &Api) -> Value {
    api.lease()["metadata"]["annotations"].clone()
}

fn annotate(api: &Api, key: &str, text: &str) {
    let mut stored = api.stored.lock().unwrap();
    stored.version += 1;
    let version = stored.version.to_string();
    let lease = stored.lease.as_mut().unwrap();
    lease["metadata"]["annotations"][key] = json!(text);
    lease["metadata"]["resourceVersion"] = json!(version);
}

#[tokio::test]
async fn a_holder_and_the_others_lose_nothing_of_each_other() {
    let api = Api::start().await;
    let (one, other) = (api.seat("cp1"), api.seat("cp2"));
    let held = taken(&one).await.unwrap();
    let before = api.lease()["spec"].clone();
    let sight = look(&other).await.unwrap();
    publish(&other, &report("cp2"), &sight).await.unwrap();
    assert_eq!(api.lease()["spec"], before, "the turn is as it was");
    // The holder's version is not the newest any more; it goes on all the same, and loses nothing of the other's.
    held.confirm(Duration::from_secs(40)).await.unwrap();
    publish(&one, &report("cp1"), &sight).await.unwrap();
    held.release(Mark::Keep).await.unwrap();
    let seen = look(&other).await.unwrap();
    assert_eq!(seen.holder, None);
    assert_eq!(seen.fleet.nodes.len(), 2);
    assert!(!report("cp2").is_news(seen.fleet.node("cp2")));
    let earlier = NodeReport {
        written: Timestamp::now() - SignedDuration::from_hours(25),
        ..report("cp2")
    };
    assert!(report("cp2").is_news(Some(&earlier)), "a sign of life");
    let changed = NodeReport {
        next_due: None,
        ..report("cp2")
    };
    assert!(changed.is_news(seen.fleet.node("cp2")));
}

#[tokio::test]
async fn a_lease_that_is_made_for_it_is_nobodys() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    let nothing = look(&seat).await.unwrap();
    let written = publish(&seat, &report("cp1"), &nothing).await;
    assert_eq!(written.unwrap_err().code(), "api-not-found");
    let uid = make_lease(&seat).await.unwrap();
    assert_eq!(make_lease(&seat).await.unwrap_err().code(), "api-conflict");
    publish(&seat, &report("cp1"), &nothing).await.unwrap();
    let seen = look(&seat).await.unwrap();
    assert_eq!((seen.lease, seen.holder), (Some(uid), None));
    let held = taken(&seat).await.unwrap();
    held.release(Mark::Keep).await.unwrap();
    assert_eq!(look(&seat).await.unwrap().fleet, seen.fleet);
}

#[tokio::test]
async fn only_a_node_that_the_cluster_has_no_more_goes_out() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    make_lease(&seat).await.unwrap();
    api.stored.lock().unwrap().nodes = vec!["cp1".into(), "cp2".into()];
    let old = Timestamp::now() - SignedDuration::from_hours(72);
    for node in ["cp2", "cp3", "cp4"] {
        let written = if node == "cp4" { Timestamp::now() } else { old };
        let report = NodeReport {
            written,
            ..report(node)
        };
        let text = serde_json::to_string(&report).unwrap();
        annotate(&api, &format!("node.kubecertd.io/{node}"), &text);
    }
    let sight = look(&seat).await.unwrap();
    publish(&seat, &report("cp1"), &sight).await.unwrap();
    let names = |fleet: Fleet| -> Vec<String> {
        fleet.nodes.into_iter().map(|report| report.node).collect()
    };
    // cp2 is there and silent, cp4 has just said something.
    assert_eq!(
        names(look(&seat).await.unwrap().fleet),
        ["cp1", "cp2", "cp4"]
    );
    let asked = api.stored.lock().unwrap().asked.clone();
    assert!(!asked.iter().any(|line| line.contains("/nodes/cp4")));
}

#[tokio::test]
async fn a_failed_question_takes_nothing_away() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    make_lease(&seat).await.unwrap();
    let old = NodeReport {
        written: Timestamp::now() - SignedDuration::from_hours(72),
        ..report("cp3")
    };
    let text = serde_json::to_string(&old).unwrap();
    annotate(&api, "node.kubecertd.io/cp3", &text);
    let sight = look(&seat).await.unwrap();
    api.instead(1, 403, "{}");
    publish(&seat, &report("cp1"), &sight).await.unwrap();
    assert!(annotations(&api)["node.kubecertd.io/cp3"].is_string());
}

#[tokio::test]
async fn whoever_may_write_the_lease_can_only_lie_in_the_table() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    make_lease(&seat).await.unwrap();
    let said = |report: &NodeReport| serde_json::to_string(report).unwrap();
    let hostile = NodeReport {
        version: "\u{1b}[2J\n".repeat(30),
        code: Some("x\u{202e}".into()),
        ..report("cp2")
    };
    annotate(&api, "node.kubecertd.io/cp2", &said(&hostile));
    for (key, text) in [
        ("cp3", "no JSON".to_owned()),
        ("cp4", said(&report("cp5"))),
        ("cp6", "[]".to_owned()),
        (
            "cp7",
            format!("{}{}", said(&report("cp7")), " ".repeat(2000)),
        ),
        ("..", said(&report(".."))),
        ("cp8%2f..", said(&report("cp8/.."))),
    ] {
        annotate(&api, &format!("node.kubecertd.io/{key}"), &text);
    }
    for number in 100..200 {
        let node = format!("cp{number}");
        annotate(
            &api,
            &format!("node.kubecertd.io/{node}"),
            &said(&report(&node)),
        );
    }
    let seen = look(&seat).await.unwrap().fleet;
    assert_eq!(seen.nodes.len(), 32);
    assert_eq!(seen.unread, 6 + 1 + 100 - 32);
    for report in &seen.nodes {
        assert!(!report.node.contains(['/', '\u{1b}', '\n']));
        assert!(!report.version.contains(['\u{1b}', '\n']) && report.version.len() < 700);
    }
    // They change nothing of whose turn it is.
    let held = taken(&seat).await.unwrap();
    held.release(Mark::Keep).await.unwrap();
}

/// This node, of two control planes by etcd's manifest.
pub(crate) fn context_of(api: &Api) -> Context {
    api.kubeconfig();
    let command = [
        "etcd",
        "--name=cp1",
        "--initial-cluster=cp1=https://127.0.0.1:1,cp2=https://127.0.0.1:1",
    ];
    let command: Vec<String> = command.map(str::to_owned).to_vec();
    api.node.manifest("etcd", &command);
    api.node.write("/etc/hostname", "cp1\n");
    std::fs::create_dir_all(api.node.path("/var/lib/kubecertd")).unwrap();
    std::fs::create_dir_all(api.node.path("/proc")).unwrap();
    let machine = Machine {
        processes: api.node.path("/proc"),
        ..Machine::default()
    };
    Context {
        machine: Some(machine),
        ..Context::new(api.node.root.clone(), Config::default(), None)
    }
}

fn writes(api: &Api) -> usize {
    let asked = api.stored.lock().unwrap().asked.clone();
    asked.iter().filter(|line| !line.starts_with("GET")).count()
}

#[tokio::test]
async fn a_node_writes_what_is_news_and_shows_what_it_kept_while_the_api_is_away() {
    let api = Api::start().await;
    let context = context_of(&api);
    let inventory = context.observe();
    let now = Timestamp::now();
    let plan = context.plan_due(&inventory, now);
    let report = own_report(&context, &inventory, &plan, now);
    assert!(report.first_end.is_some(), "{report:?}");
    api.instead(2, 503, "not json");
    let error = look_at_fleet(&context, &inventory).await.unwrap_err();
    assert_eq!(error.code(), "api-trouble", "and nothing was kept");

    let mut neighbours = Neighbours::default();
    let look = neighbours.look(&context, &inventory, &report, false);
    let seen = look.await.unwrap().unwrap();
    assert_eq!(seen.fleet.nodes, std::slice::from_ref(&report));
    assert_eq!(writes(&api), 2, "the Lease was made, and annotated");
    let changed = NodeReport {
        last_result: Some("failed".into()),
        ..report.clone()
    };
    for (report, at_once, expected) in [
        (&report, false, 2),
        (&changed, false, 2),
        (&changed, true, 3),
        (&changed, true, 3),
    ] {
        let look = neighbours.look(&context, &inventory, report, at_once);
        look.await.unwrap().unwrap();
        assert_eq!(writes(&api), expected, "{at_once}");
    }
    // One that is gone may still have a holder that acts.
    api.stored.lock().unwrap().lease = None;
    let look = neighbours.look(&context, &inventory, &report, true);
    assert_eq!(look.await.unwrap().unwrap().lease, None);
    assert_eq!(writes(&api), 3);
    let uid = kept(&api)["lease"].clone();
    assert_eq!(uid, "uid-1");
    // Nor is another one taken for it because it was seen.
    make_lease(&api.seat("cp2")).await.unwrap();
    let look = neighbours.look(&context, &inventory, &report, false);
    look.await.unwrap().unwrap();
    assert_eq!(kept(&api)["lease"], uid);

    api.instead(9, 503, "not json");
    let away = look_at_fleet(&context, &inventory).await.unwrap().unwrap();
    assert_eq!(away.failure.map(|error| error.code()), Some("api-trouble"));
    assert_eq!(away.others, ["cp2"]);
    assert!(away.seen <= Timestamp::now() && away.seen >= now);
}

fn kept(api: &Api) -> Value {
    let path = api.node.path("/var/lib/kubecertd/cluster.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_control_plane_that_is_alone_asks_the_api_nothing() {
    let api = Api::start().await;
    let mut context = context_of(&api);
    context.config.turn.mode = TurnMode::Off;
    let inventory = context.observe();
    let plan = context.plan_due(&inventory, Timestamp::now());
    let report = own_report(&context, &inventory, &plan, Timestamp::now());
    let mut neighbours = Neighbours::default();
    let look = neighbours.look(&context, &inventory, &report, true);
    assert_eq!(look.await.unwrap(), None);
    context.config.turn.mode = TurnMode::Auto;
    std::fs::remove_file(api.node.path("/etc/kubernetes/manifests/etcd.yaml")).unwrap();
    let inventory = context.observe();
    let look = neighbours.look(&context, &inventory, &report, true);
    assert_eq!(look.await.unwrap(), None);
    assert_eq!(look_at_fleet(&context, &inventory).await.unwrap(), None);
    let asked = api.stored.lock().unwrap().asked.clone();
    assert!(!asked.iter().any(|line| line.contains("/leases")));
}
