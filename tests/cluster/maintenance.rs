//! Reboots and drains of control planes, at an API of the real one's shape.

use jiff::{SignedDuration, Timestamp};
use kubecertd::checks::{Asked, Check, Intent, Severity};
use kubecertd::cluster::{Maintenance, MaintenanceSeen};
use kubecertd::net::Address;
use kubecertd::operation::look_ahead;
use serde_json::{Value, json};
use testkit::peer::Reply;

use crate::fleet::context_of;
use crate::lease_api::{Api, status};

const KURED: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/kured";
const NODES: &str = "/api/v1/nodes?&labelSelector=node-role.kubernetes.io%2Fcontrol-plane&limit=32";

fn put(api: &Api, path: &str, object: Value) {
    let mut stored = api.stored.lock().unwrap();
    stored.others.insert(path.to_owned(), object);
}

fn lock(api: &Api, node: &str) {
    let lock = json!({"nodeID": node, "metadata": {}, "created": Timestamp::now(), "TTL": 0});
    put_lock(api, &lock.to_string());
}

fn put_lock(api: &Api, lock: &str) {
    let annotations = json!({"weave.works/kured-node-lock": lock});
    let object = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "kured", "namespace": "kube-system", "annotations": annotations},
    });
    put(api, KURED, object);
}

fn drain(api: &Api, node: &str) {
    let since = Timestamp::now() - SignedDuration::from_mins(5);
    let taint = json!({
        "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": since.strftime("%FT%TZ").to_string(),
    });
    let item = json!({
        "metadata": {"name": node, "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true, "taints": [taint]},
        "status": {"images": [{"names": ["registry.example/etcd:3.6.1"], "sizeBytes": 1}]},
    });
    let other = json!({"metadata": {"name": "cp3"}, "spec": {}});
    let list = json!({
        "kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [item, other],
    });
    put(api, NODES, list);
}

/// What is found of the turn, by a node whose first certificate ends in so many hours.
async fn found(api: &Api, asked: Asked, hours: i64) -> Vec<(&'static str, Severity)> {
    let context = context_of(api);
    let inventory = context.observe();
    let ends = Timestamp::now() + SignedDuration::from_hours(hours);
    let intent = Intent {
        manifests: [api.node.path("/etc/kubernetes/manifests/etcd.yaml")].into(),
        first_end: Some((inventory.entries[0].id.clone(), ends)),
        ..Intent::default()
    };
    let findings = look_ahead(&context, &inventory, &intent, asked).await;
    let of_peers = findings
        .iter()
        .filter(|finding| finding.check() == Check::Peers)
        .map(|finding| (finding.cause.code(), finding.severity));
    of_peers
        .filter(|(code, _)| *code != "control-plane-silent")
        .collect()
}

const BY_HAND: Asked = Asked::ByHand { force: false };
const FORCED: Asked = Asked::ByHand { force: true };

#[tokio::test]
async fn a_reboot_or_drain_of_a_control_plane_is_waited_for() {
    let api = Api::start().await;
    assert_eq!(found(&api, Asked::BySchedule, 200).await, []);
    lock(&api, "worker7");
    drain(&api, "cp2");
    for (asked, severity) in [
        (Asked::BySchedule, Severity::Wait),
        (BY_HAND, Severity::Refuse),
        (FORCED, Severity::Warn),
    ] {
        assert_eq!(
            found(&api, asked, 200).await,
            [("reboot-locked", severity), ("node-drained", severity)]
        );
    }
    // In the last day it is not even asked for.
    api.stored.lock().unwrap().asked.clear();
    assert_eq!(found(&api, Asked::BySchedule, 23).await, []);
    let asked = api.stored.lock().unwrap().asked.clone();
    assert!(!asked.iter().any(|line| line.contains("/nodes?")));
    assert!(!asked.iter().any(|line| line.contains("/daemonsets/")));
}

#[tokio::test]
async fn this_nodes_own_drain_is_waited_for_and_whoever_asks_by_hand_knows_of_it() {
    let api = Api::start().await;
    lock(&api, "cp1");
    assert_eq!(found(&api, Asked::BySchedule, 200).await, []);
    drain(&api, "cp1");
    let drained = |severity| [("node-drained", severity)];
    assert_eq!(
        found(&api, Asked::BySchedule, 200).await,
        drained(Severity::Wait)
    );
    assert_eq!(found(&api, BY_HAND, 200).await, drained(Severity::Warn));
}

#[tokio::test]
async fn a_lock_that_cannot_be_read_is_said_and_holds_nothing_up() {
    let api = Api::start().await;
    for lock in ["\u{1b}[2J", "{}", "cp2"] {
        put_lock(&api, lock);
        assert_eq!(
            found(&api, Asked::BySchedule, 200).await,
            [("reboot-lock-unreadable", Severity::Warn)]
        );
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_no_obstacle_and_an_api_in_trouble_is_not_taken_for_quiet() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    let read = || MaintenanceSeen::read(&seat.access, &seat.servers);
    assert_eq!(read().await.unwrap(), MaintenanceSeen::default());
    lock(&api, "cp2");
    drain(&api, "cp3");
    let body = |code| {
        let Reply::Answer(_, body) = status(code, "Why") else {
            unreachable!()
        };
        body
    };
    api.instead(2, 403, body(403));
    assert_eq!(read().await.unwrap(), MaintenanceSeen::default());
    // Only the first of the two.
    api.instead(1, 403, body(403));
    let found = read().await.unwrap().found("cp1", Timestamp::now());
    assert!(
        matches!(&found[..], [Maintenance::Drained { node, .. }] if node == "cp3"),
        "{found:?}"
    );
    api.instead(1, 500, body(500));
    assert_eq!(read().await.unwrap_err().code(), "api-trouble");
    // Another server answers in its place.
    let away = Address {
        host: "127.0.0.1".into(),
        port: 1,
    };
    let servers = [away, seat.servers[0].clone()];
    let seen = MaintenanceSeen::read(&seat.access, &servers).await.unwrap();
    assert_eq!(seen.nodes.len(), 2);
    assert!(seen.lock.is_some());
}
