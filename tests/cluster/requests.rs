//! Kubelets' requests by hand: listed, judged, approved and denied at an API of the real one's shape.

use std::path::Path;

use kubecertd::api::ApiError;
use kubecertd::cluster::Verdict;
use kubecertd::config::parse;
use kubecertd::operation::{
    Context, Decided, Wanted, decide_request, list_requests, review_request,
};
use kubecertd::report::{RequestsView, ReviewView};
use serde_json::json;

use crate::fleet::context_of;
use crate::lease_api::Api;
use crate::request_api::{conditions, dns, ip};

/// Two workers, and a control plane that knows its services' network.
pub(crate) fn context(api: &Api) -> Context {
    let mut context = context_of(api);
    let manifest = [
        "kube-apiserver".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", api.listener.port),
        "--service-cluster-ip-range=10.96.0.0/12".to_owned(),
    ];
    api.node.manifest("kube-apiserver", &manifest);
    let text =
        "[approver]\nmode = \"approve\"\ncidrs = [\"10.0.0.0/16\"]\nnames = [\"worker-*\"]\n";
    context.config.approver = parse(Path::new("k.toml"), text).unwrap().approver;
    let mut stored = api.stored.lock().unwrap();
    stored.requests.put_node("worker-1", "10.0.1.1");
    stored.requests.put_node("worker-2", "10.0.1.2");
    drop(stored);
    context
}

async fn decided(api: &Api, name: &str, wanted: Wanted<'_>) -> Decided {
    let context = context(api);
    let inventory = context.observe();
    decide_request(&context, &inventory, name, wanted)
        .await
        .unwrap()
}

const APPROVE: Wanted<'static> = Wanted::Approve { force: false };

#[tokio::test]
async fn a_request_that_passes_is_approved_and_any_other_only_by_force() {
    let api = Api::start().await;
    {
        let mut stored = api.stored.lock().unwrap();
        let requests = &mut stored.requests;
        requests.put("good", "worker-1", &[dns("worker-1"), ip("10.0.1.1")]);
        requests.put("foreign", "worker-2", &[ip("10.0.1.1")]);
    }
    let done = decided(&api, "good", APPROVE).await;
    assert!(matches!(done, Decided::Done(_)), "{done:?}");
    let expected = ("Approved".to_owned(), "KubecertdApprove".to_owned());
    assert_eq!(conditions(&api, "good"), [expected]);

    let refused = decided(&api, "foreign", APPROVE).await;
    let Decided::Refused(reviewed) = refused else {
        panic!("{refused:?}");
    };
    let view = ReviewView::new(&reviewed.request, &reviewed.judgement);
    let doubts = view.doubts();
    assert_eq!(
        doubts,
        [
            "10.0.1.1 is not in the Node's list of addresses (not-of-node)",
            "10.0.1.1 is the Node worker-1's as well (also-of-node)"
        ]
    );
    assert!(conditions(&api, "foreign").is_empty());
    let forced = decided(&api, "foreign", Wanted::Approve { force: true }).await;
    assert!(matches!(forced, Decided::Done(_)), "{forced:?}");
    let stored = api.stored.lock().unwrap();
    let message = &stored.requests.requests["foreign"]["status"]["conditions"][0]["message"];
    assert_eq!(
        message,
        "approved by hand with kubecertd on cp1 in spite of not-of-node, also-of-node"
    );
}

#[tokio::test]
async fn a_decision_stands_and_one_that_others_were_before_is_judged_again() {
    let api = Api::start().await;
    api.stored
        .lock()
        .unwrap()
        .requests
        .put("one", "worker-1", &[dns("worker-1")]);
    api.stored.lock().unwrap().requests.conflicts = 2;
    let denied = decided(&api, "one", Wanted::Deny { reason: "not ours" }).await;
    assert!(matches!(denied, Decided::Done(_)), "{denied:?}");
    let expected = ("Denied".to_owned(), "KubecertdDeny".to_owned());
    assert_eq!(conditions(&api, "one"), [expected]);
    for wanted in [APPROVE, Wanted::Approve { force: true }] {
        let again = decided(&api, "one", wanted).await;
        assert!(matches!(again, Decided::Already(_)), "{again:?}");
    }
    api.stored
        .lock()
        .unwrap()
        .requests
        .put("two", "worker-1", &[dns("worker-1")]);
    api.stored.lock().unwrap().requests.conflicts = 100;
    let context = context(&api);
    let inventory = context.observe();
    let never = decide_request(&context, &inventory, "two", APPROVE).await;
    assert!(
        matches!(never, Err(ApiError::ApiConflict { .. })),
        "{never:?}"
    );
}

#[tokio::test]
async fn what_is_gone_or_goes_meanwhile_is_said() {
    let api = Api::start().await;
    let none = decided(&api, "none", APPROVE).await;
    assert!(matches!(none, Decided::Gone), "{none:?}");
    api.stored
        .lock()
        .unwrap()
        .requests
        .put("one", "worker-1", &[dns("worker-1")]);
    api.stored.lock().unwrap().requests.vanishes = true;
    let gone = decided(&api, "one", APPROVE).await;
    assert!(matches!(gone, Decided::Gone), "{gone:?}");
}

#[tokio::test]
async fn an_api_that_has_too_much_to_do_is_told_and_nothing_is_decided() {
    let api = Api::start().await;
    api.stored
        .lock()
        .unwrap()
        .requests
        .put("one", "worker-1", &[dns("worker-1")]);
    let context = context(&api);
    let inventory = context.observe();
    api.stored.lock().unwrap().requests.throttled = 100;
    let answer = decide_request(&context, &inventory, "one", APPROVE).await;
    assert!(
        matches!(answer, Err(ApiError::ApiTrouble { .. })),
        "{answer:?}"
    );
    assert!(conditions(&api, "one").is_empty());
}

#[tokio::test]
async fn all_signers_requests_are_listed_with_what_a_terminal_obeys_escaped() {
    let api = Api::start().await;
    {
        let mut stored = api.stored.lock().unwrap();
        let requests = &mut stored.requests;
        requests.put("csr-1", "worker-1", &[dns("worker-1")]);
        requests.put("csr-2", "x\u{1b}[2J\nnode", &[]);
        let other = requests.requests.get_mut("csr-2").unwrap();
        other["spec"]["signerName"] = json!("example.com/mine");
        other["spec"]["expirationSeconds"] = json!(86_400);
        other["status"] = json!({"conditions": [{"type": "Denied", "status": "True"}]});
    }
    let context = context(&api);
    let inventory = context.observe();
    let requests = list_requests(&context, &inventory).await.unwrap();
    let now = "2026-06-01T00:05:00Z".parse().unwrap();
    assert_eq!(
        RequestsView::new(&requests).to_table(now),
        "NAME    AGE   SIGNERNAME                      REQUESTOR                      REQUESTEDDURATION   CONDITION\n\
         csr-1   5m    kubernetes.io/kubelet-serving   system:node:worker-1           <none>              Pending\n\
         csr-2   5m    example.com/mine                system:node:x\\u001b[2J\\nnode   24h                 Denied\n"
    );
}

#[tokio::test]
async fn a_review_says_every_check() {
    let api = Api::start().await;
    api.stored
        .lock()
        .unwrap()
        .requests
        .put("one", "worker-1", &[dns("worker-1"), ip("10.96.0.1")]);
    let context = context(&api);
    let inventory = context.observe();
    let reviewed = review_request(&context, &inventory, "one").await.unwrap();
    let reviewed = reviewed.unwrap();
    assert!(matches!(reviewed.judgement.verdict(), Verdict::Leave(_)));
    let view = ReviewView::new(&reviewed.request, &reviewed.judgement);
    let text = view.to_text("2026-06-01T00:05:00Z".parse().unwrap());
    for line in [
        "request     one, Pending, 5m old\n",
        "asks for    DNS:worker-1, IP:10.96.0.1\n",
        "passed          signature        its signature is by its own key\n",
        "doubt           forbidden        10.96.0.1 is a service's address (10.96.0.0/12) (service-address)\n",
        "not-asked-for   dns\n",
        "It does not pass every check.\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let document = serde_json::to_value(&view).unwrap();
    assert_eq!(document["verdict"], "leave");
    let forbidden = &document["checks"][11];
    assert_eq!(forbidden["check"], "forbidden");
    assert_eq!(forbidden["result"], "doubt");
    assert_eq!(
        forbidden["reasons"][0]["fields"],
        json!({"address": "10.96.0.1", "network": "10.96.0.0/12"})
    );
}

#[tokio::test]
async fn long_lists_come_in_pages_and_large_objects_in_smaller_ones() {
    let api = Api::start().await;
    {
        let mut stored = api.stored.lock().unwrap();
        let requests = &mut stored.requests;
        for number in 0..250 {
            requests.put_node(&format!("worker-x{number}"), "10.0.9.9");
        }
        requests.put("one", "worker-1", &[dns("worker-1")]);
        let huge = requests.requests["one"].clone();
        for number in 0..6 {
            let name = format!("huge-{number}");
            let mut huge = huge.clone();
            huge["metadata"]["name"] = json!(name);
            huge["spec"]["request"] = json!("A".repeat(1_600_000));
            huge["spec"]["username"] = json!("system:node:worker-2");
            requests.requests.insert(name, huge);
        }
    }
    let done = decided(&api, "one", APPROVE).await;
    assert!(matches!(done, Decided::Done(_)), "{done:?}");
    let stored = api.stored.lock().unwrap();
    let pages = &stored.requests.pages;
    assert!(pages.iter().all(|page| *page <= 100), "{pages:?}");
    assert!(pages.contains(&2), "{pages:?}");
}
