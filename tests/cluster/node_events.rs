//! Kubernetes Events on the node, at an API of the real one's shape.

use jiff::Timestamp;
use kubecertd::cluster::{EventReason, Halt, NodeEvent, Subject};
use kubecertd::operation::{Fault, Happened, NodeEvents};
use serde_json::Value;

use crate::fleet::context_of;
use crate::lease_api::Api;

fn event(reason: EventReason, key: &str, message: &str) -> NodeEvent {
    NodeEvent {
        reason,
        key: key.to_owned(),
        message: message.to_owned(),
        at: Timestamp::now(),
        about: Subject::Node,
    }
}

fn events(api: &Api) -> Vec<Value> {
    let stored = api.stored.lock().unwrap();
    stored.events.values().cloned().collect()
}

#[tokio::test]
async fn an_event_is_about_the_node_as_kubectl_looks_for_it() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    let hostile = format!("refused \u{1b}[2J\n{}", "x".repeat(5000));
    let failed = event(EventReason::OperationFailed, "id", &hostile);
    failed
        .write("cp1", &seat.access, &seat.servers)
        .await
        .unwrap();
    let stored = events(&api);
    let [only] = &stored[..] else {
        panic!("{stored:?}")
    };
    let involved = &only["involvedObject"];
    assert_eq!(
        (&involved["kind"], &involved["name"], &involved["uid"]),
        (&"Node".into(), &"cp1".into(), &"cp1".into())
    );
    assert_eq!(only["metadata"]["namespace"], "default");
    assert_eq!(only["type"], "Warning");
    assert_eq!(only["reason"], "OperationFailed");
    assert_eq!(only["source"]["component"], "kubecertd");
    assert!(only["firstTimestamp"].is_string() && only["lastTimestamp"].is_string());
    let message = only["message"].as_str().unwrap();
    assert!(message.len() < 1100 && !message.contains(['\u{1b}', '\n']));
    let name = only["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("cp1.kubecertd."), "{name}");
}

#[tokio::test]
async fn what_has_happened_is_one_event_and_what_goes_on_is_counted() {
    let api = Api::start().await;
    let seat = api.seat("cp1");
    for (reason, key, count) in [
        (EventReason::CertificatesRenewed, "id", 1),
        (EventReason::RenewalsHalted, "cp2 id", 3),
    ] {
        api.stored.lock().unwrap().events.clear();
        for round in 1..=3 {
            let event = event(reason, key, &format!("round {round}"));
            let written = event.write("cp1", &seat.access, &seat.servers);
            written.await.unwrap();
        }
        let stored = events(&api);
        assert_eq!(stored.len(), 1, "{stored:?}");
        assert_eq!(stored[0]["count"], count);
        assert_eq!(stored[0]["message"], format!("round {count}"));
    }
    // Another operation, and another node, have their own.
    for (node, key) in [("cp1", "other"), ("cp2", "id"), (&"n".repeat(253), "id")] {
        let event = event(EventReason::CertificatesRenewed, key, "x");
        let written = event.write(node, &seat.access, &seat.servers);
        written.await.unwrap();
    }
    let stored = api.stored.lock().unwrap();
    assert_eq!(stored.events.len(), 4);
    assert!(stored.events.keys().all(|name| name.len() <= 253));
}

#[tokio::test]
async fn an_api_that_is_away_or_refuses_is_asked_once_and_again_later() {
    let api = Api::start().await;
    let mut context = context_of(&api);
    let inventory = context.observe();
    let plan = context.plan_due(&inventory, Timestamp::now());
    let halt = Halt {
        node: "cp2".into(),
        operation: "id".into(),
        code: "not-in-use".into(),
        reason: "refused".into(),
        since: Timestamp::UNIX_EPOCH,
    };
    let fault = Fault {
        code: "timed-out",
        text: "x".to_owned(),
    };
    let happened = Happened {
        receipts: &[],
        plan: &plan,
        failure: Some(&fault),
        halt: Some(&halt),
    };
    let asked = || {
        let stored = api.stored.lock().unwrap();
        let lines = stored.asked.iter();
        lines.filter(|line| line.contains("/events")).count()
    };
    let mut node_events = NodeEvents::default();
    context.config.events.enabled = false;
    let written = node_events.write(&context, &inventory, &happened);
    written.await.unwrap();
    assert_eq!(asked(), 0);
    context.config.events.enabled = true;
    api.instead(1, 503, "not json");
    let error = node_events.write(&context, &inventory, &happened).await;
    assert_eq!(error.unwrap_err().code(), "api-trouble");
    assert_eq!(asked(), 1, "the rest waits as well");
    for _ in 0..5 {
        let written = node_events.write(&context, &inventory, &happened);
        written.await.unwrap();
    }
    assert_eq!(asked(), 3, "each was written once");
    assert_eq!(events(&api).len(), 2);
}
