//! The approver's duty: what it decides, says and leaves alone, at an API of the real one's shape.

use std::collections::BTreeSet;

use kubecertd::config::ApproverMode;
use kubecertd::operation::{ApproverDuty, Context};
use serde_json::{Value, json};
use testkit::peer::Reply;

use crate::lease_api::{Api, status};
use crate::request_api::{conditions, dns, ip};
use crate::requests::context;

/// The only control plane, which needs no Lease.
fn alone(api: &Api) -> Context {
    let context = context(api);
    let command = [
        "etcd",
        "--name=cp1",
        "--initial-cluster=cp1=https://127.0.0.1:1",
    ];
    api.node.manifest("etcd", &command.map(str::to_owned));
    context
}

fn put(api: &Api) {
    let mut stored = api.stored.lock().unwrap();
    let requests = &mut stored.requests;
    requests.put_node("worker-3", "10.0.1.3");
    requests.put("good", "worker-1", &[dns("worker-1"), ip("10.0.1.1")]);
    requests.put("doubtful", "worker-2", &[ip("10.0.1.1")]);
    let abuse = [dns("worker-3"), dns("kubernetes.default.svc")];
    requests.put("abuse", "worker-3", &abuse);
    requests.put("other", "worker-3", &[]);
    requests.requests.get_mut("other").unwrap()["spec"]["signerName"] = json!("example.com/mine");
}

/// Reason, name of what it is about, and message of each Event.
fn events(api: &Api) -> BTreeSet<(String, String)> {
    let stored = api.stored.lock().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    stored
        .events
        .values()
        .map(|event| {
            assert_eq!(event["involvedObject"]["kind"], "CertificateSigningRequest");
            (
                text(&event["reason"]),
                text(&event["involvedObject"]["name"]),
            )
        })
        .collect()
}

fn pairs(all: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    all.iter()
        .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
        .collect()
}

#[tokio::test]
async fn what_passes_is_approved_abuse_is_denied_and_doubt_is_left_with_its_reason() {
    let api = Api::start().await;
    let context = alone(&api);
    put(&api);
    let mut duty = ApproverDuty::default();
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!(seen.failure, None);
    assert!(seen.active, "{seen:?}");
    assert_eq!(
        (seen.pending, seen.left, seen.approved, seen.denied),
        (3, 1, 1, 1)
    );
    let one = |kind: &str, reason: &str| vec![(kind.to_owned(), reason.to_owned())];
    assert_eq!(
        conditions(&api, "good"),
        one("Approved", "KubecertdAutoApproved")
    );
    assert_eq!(
        conditions(&api, "abuse"),
        one("Denied", "KubecertdAutoDenied")
    );
    assert!(conditions(&api, "doubtful").is_empty() && conditions(&api, "other").is_empty());
    let said = pairs(&[
        ("KubeletRequestApproved", "good"),
        ("KubeletRequestDenied", "abuse"),
        ("KubeletRequestLeft", "doubtful"),
    ]);
    assert_eq!(events(&api), said);
    // Said once, and the same by a daemon that was restarted.
    let before = api.stored.lock().unwrap().events.len();
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!((seen.pending, seen.left, seen.approved), (1, 1, 1));
    ApproverDuty::default()
        .look(&context, &context.observe())
        .await;
    assert_eq!(api.stored.lock().unwrap().events.len(), before);
    assert!(api.stored.lock().unwrap().lease.is_none());
}

#[tokio::test]
async fn an_observer_only_says_what_it_would_do() {
    let api = Api::start().await;
    let mut context = alone(&api);
    context.config.approver.mode = ApproverMode::Observe;
    put(&api);
    let seen = ApproverDuty::default()
        .look(&context, &context.observe())
        .await;
    assert_eq!((seen.left, seen.approved, seen.denied), (1, 0, 0));
    for name in ["good", "abuse", "doubtful"] {
        assert!(conditions(&api, name).is_empty(), "{name}");
    }
    let said = pairs(&[
        ("KubeletRequestObserved", "good"),
        ("KubeletRequestObserved", "abuse"),
        ("KubeletRequestLeft", "doubtful"),
    ]);
    assert_eq!(events(&api), said);
    let asked = api.stored.lock().unwrap().asked.clone();
    assert!(
        !asked.iter().any(|line| line.starts_with("PUT")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn what_is_to_be_said_of_many_is_said_of_all_in_time() {
    let api = Api::start().await;
    let context = alone(&api);
    {
        let mut stored = api.stored.lock().unwrap();
        for number in 10..80 {
            let name = format!("worker-{number}");
            stored.requests.put(&name, &name, &[dns("database")]);
        }
    }
    let mut duty = ApproverDuty::default();
    let mut written = Vec::new();
    for _ in 0..3 {
        duty.look(&context, &context.observe()).await;
        written.push(events(&api).len());
    }
    assert_eq!(written, [50, 70, 70]);
}

#[tokio::test]
async fn no_more_are_approved_within_a_minute_than_may_be() {
    let api = Api::start().await;
    let mut context = alone(&api);
    context.config.approver.rate = 3;
    {
        let mut stored = api.stored.lock().unwrap();
        for number in 10..17 {
            let name = format!("worker-{number}");
            let address = format!("10.0.2.{number}");
            stored.requests.put_node(&name, &address);
            stored.requests.put(&name, &name, &[ip(&address)]);
        }
    }
    let mut duty = ApproverDuty::default();
    for _ in 0..2 {
        let seen = duty.look(&context, &context.observe()).await;
        assert_eq!((seen.approved, seen.left), (3, 4));
    }
    // Another daemon counts what this one approved.
    let seen = ApproverDuty::default()
        .look(&context, &context.observe())
        .await;
    assert_eq!((seen.approved, seen.left), (0, 4));
}

#[tokio::test]
async fn an_api_that_has_too_much_to_do_or_refuses_is_asked_less_often() {
    let api = Api::start().await;
    let context = alone(&api);
    put(&api);
    api.stored.lock().unwrap().requests.throttled = 1000;
    let mut duty = ApproverDuty::default();
    let first = duty.pause();
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!(seen.code.as_deref(), Some("api-trouble"));
    for _ in 0..10 {
        duty.look(&context, &context.observe()).await;
    }
    assert!(duty.pause() > first && duty.pause().as_secs() <= 300);
    assert!(conditions(&api, "good").is_empty());

    api.stored.lock().unwrap().requests.throttled = 0;
    let Reply::Answer(_, forbidden) = status(403, "Forbidden") else {
        unreachable!()
    };
    api.stored.lock().unwrap().requests.no_decision = Some((403, forbidden));
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!(seen.code.as_deref(), Some("api-forbidden"));
    assert_eq!(seen.approved, 0);
    api.stored.lock().unwrap().requests.no_decision = None;
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!((seen.code, seen.approved), (None, 1));
    assert_eq!(duty.pause(), first);
}

#[tokio::test]
async fn a_request_that_is_gone_or_changed_when_it_is_to_be_decided_is_left_alone() {
    let api = Api::start().await;
    let context = alone(&api);
    put(&api);
    api.stored.lock().unwrap().requests.conflicts = 1;
    let mut duty = ApproverDuty::default();
    duty.look(&context, &context.observe()).await;
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!((seen.failure, seen.approved, seen.denied), (None, 1, 1));
    api.stored
        .lock()
        .unwrap()
        .requests
        .put("again", "worker-3", &[dns("worker-3")]);
    api.stored.lock().unwrap().requests.vanishes = true;
    let seen = duty.look(&context, &context.observe()).await;
    assert_eq!((seen.failure, seen.approved), (None, 1));
}

#[tokio::test]
async fn of_several_control_planes_one_judges_by_a_lease_of_its_own() {
    let api = Api::start().await;
    let context = context(&api);
    put(&api);
    let mut first = ApproverDuty::default();
    let seen = first.look(&context, &context.observe()).await;
    assert!(seen.active && seen.approved == 1, "{seen:?}");
    let lease = api.lease();
    assert_eq!(lease["metadata"]["name"], "kubecertd-approver");
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap().to_owned();
    assert!(holder.starts_with("cp1"), "{holder}");

    // Another one has it now.
    {
        let mut stored = api.stored.lock().unwrap();
        let mut other = stored.lease.clone().unwrap();
        other["spec"]["holderIdentity"] = json!("cp2/boot");
        other["spec"]["leaseTransitions"] = json!(7);
        stored.store(&other.to_string(), 1);
        stored.requests.put("late", "worker-1", &[dns("worker-1")]);
        stored.asked.clear();
    }
    for duty in [&mut first, &mut ApproverDuty::default()] {
        let seen = duty.look(&context, &context.observe()).await;
        assert!(!seen.active && seen.failure.is_none(), "{seen:?}");
        assert_eq!(seen.holder.as_deref(), Some("cp2"));
    }
    assert!(conditions(&api, "late").is_empty());
    let asked = api.stored.lock().unwrap().asked.clone();
    assert!(
        !asked
            .iter()
            .any(|line| line.contains("certificates.k8s.io")),
        "{asked:?}"
    );

    // It is given back, and whoever looks next has it.
    {
        let mut stored = api.stored.lock().unwrap();
        let mut free = stored.lease.clone().unwrap();
        free["spec"]["holderIdentity"] = json!("");
        stored.store(&free.to_string(), 1);
    }
    let seen = first.look(&context, &context.observe()).await;
    assert!(seen.active && seen.approved == 2, "{seen:?}");
    first.end().await;
    assert_eq!(api.lease()["spec"]["holderIdentity"], "");
}
