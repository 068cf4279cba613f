//! What restarting and proving need is looked at before anything is touched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kubecertd::checks::Check;
use kubecertd::journal::{Lock, TransactionError, Trigger};
use kubecertd::operation::{
    Context, Event, MoreNames, OperationError, Options, look_at_addresses, needed_addresses,
    recover_expired, renew,
};
use kubecertd::plan::Request;
use kubecertd::report::address_filter;
use testkit::PKI;
use testkit::live::{Live, never, valid};
use testkit::loopback::{NODE_ADDRESS, words};
use testkit::peer::{Clients, Handler, Listener, listen, well};

use crate::whole::EXPIRED;

/// Due since yesterday, and far from its end.
async fn due() -> Live {
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    let node = Live::start_with(valid(now - hours(2000), now + hours(700))).await;
    // Made when it begins: a younger file would make its life a shorter one.
    let made = std::time::SystemTime::now() - Duration::from_secs(2000 * 3600);
    std::fs::File::open(node.tree.pair("apiserver").0)
        .and_then(|file| file.set_modified(made))
        .unwrap();
    node
}

fn files(node: &Live) -> BTreeMap<PathBuf, Vec<u8>> {
    ["apiserver.crt", "apiserver.key"]
        .map(|name| node.tree.path(&format!("{PKI}/{name}")))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

async fn ask(node: &Live, trigger: Trigger, force: bool) -> Result<usize, OperationError> {
    let request = match trigger {
        Trigger::Schedule => Request::Due,
        Trigger::Command(_) => Request::Named {
            for_names: Vec::new(),
            names: words(&["apiserver"]),
            force,
        },
    };
    let options = Options {
        more_names: MoreNames::default(),
        trigger,
        restart: true,
        node_down: false,
    };
    let report = renew(&node.context, &request, &options, &never(), &mut |_| ()).await?;
    Ok(report.renewed.len())
}

fn by_hand() -> Trigger {
    Trigger::Command("renew".to_owned())
}

/// Nothing is touched, and the answer comes at once.
async fn refused(node: &Live, check: Check, part: &str) {
    for trigger in [by_hand(), Trigger::Schedule] {
        let before = files(node);
        let begun = Instant::now();
        let error = ask(node, trigger, false).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(6));
        let OperationError::NotNow(findings) = &error else {
            panic!("{error}");
        };
        assert_eq!(findings[0].check(), check, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(files(node), before);
        assert_eq!((node.restarts(), node.in_flight()), (0, 0));
        assert!(node.receipts().is_empty());
    }
}

#[tokio::test]
async fn without_a_kubelet_nothing_is_begun() {
    let node = due().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    node.tree.write(
        "/var/lib/kubelet/config.yaml",
        format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nhealthzPort: {port}\n\
             staticPodPath: /etc/kubernetes/manifests\n"
        ),
    );
    refused(&node, Check::Kubelet, &format!("127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn without_a_container_runtime_nothing_is_begun() {
    let mut node = due().await;
    node.context.config.restart.container_runtime = Some(node.tree.path("/none.sock"));
    refused(&node, Check::Runtime, "/none.sock").await;
}

#[tokio::test]
async fn what_is_not_well_before_is_not_restarted() {
    let node = due().await;
    node.is_well(|_| false);
    refused(&node, Check::Health, "kube-apiserver is not well").await;
    node.is_well(|_| true);
    assert_eq!(ask(&node, by_hand(), false).await.unwrap(), 1);
}

#[tokio::test]
async fn what_has_ended_need_not_be_well() {
    let node = Live::start(EXPIRED).await;
    let old = node.serial("apiserver");
    let only = old.clone();
    node.is_well(move |serial| serial != only);
    assert_eq!(ask(&node, by_hand(), false).await.unwrap(), 1);
    assert_ne!(node.served(), old);
}

#[tokio::test]
async fn manifests_where_the_kubelet_does_not_look_are_not_moved() {
    let node = due().await;
    node.tree.write(
        "/var/lib/kubelet/config.yaml",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nhealthzPort: 0\n\
         staticPodPath: /srv/manifests\n",
    );
    let mut node = node;
    node.context.config.locations.manifests = Some("/etc/kubernetes/manifests".into());
    refused(&node, Check::Manifests, "/srv/manifests").await;
}

/// An etcd on this node that knows two members, of which this one is `own`, and how often it was asked for them.
async fn etcd(node: &Live, own: &str, peer_etcd: u16) -> (Listener, Arc<AtomicUsize>) {
    etcd_beside(node, own, NODE_ADDRESS, peer_etcd).await
}

/// The same with the other one at `address`.
async fn etcd_beside(
    node: &Live,
    own: &str,
    address: &str,
    peer_etcd: u16,
) -> (Listener, Arc<AtomicUsize>) {
    let tree = &node.tree;
    for name in ["server", "healthcheck-client", "peer"] {
        tree.leaf(&format!("etcd/{name}"), &tree.etcd_ca, "etcd");
    }
    let other = if own == "cp1" { "cp2" } else { "cp1" };
    let list = format!(
        r#"{{"header":{{}},"members":[
            {{"ID":"1","name":"{own}","peerURLs":["https://127.0.0.1:2380"],"clientURLs":["https://127.0.0.1:2379"]}},
            {{"ID":"2","name":"{other}","peerURLs":["https://{address}:2380"],"clientURLs":["https://{address}:{peer_etcd}"]}}]}}"#
    );
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let handler: Handler = Arc::new(move |line, _| {
        if line.starts_with("POST /v3/cluster/member/list") {
            count.fetch_add(1, Ordering::Relaxed);
            return (200, list.clone());
        }
        (200, r#"{"health":"true"}"#.to_owned())
    });
    let listener = listen(
        ("127.0.0.1", 0),
        tree.pair("etcd/server"),
        Clients::must(&tree.etcd_ca),
        true,
        handler,
    )
    .await;
    // As the first control plane's: it knows of no other.
    tree.manifest(
        "etcd",
        &words(&[
            "etcd",
            &format!("--name={own}"),
            &format!("--initial-cluster={own}=https://127.0.0.1:2380"),
            &format!("--listen-client-urls=https://127.0.0.1:{}", listener.port),
            &format!("--cert-file={PKI}/etcd/server.crt"),
            &format!("--key-file={PKI}/etcd/server.key"),
            &format!("--trusted-ca-file={PKI}/etcd/ca.crt"),
        ]),
    );
    (listener, asked)
}

#[tokio::test]
async fn no_second_control_plane_is_restarted_while_another_is_away() {
    let node = due().await;
    let tree = Arc::clone(&node.tree);
    tree.leaf("other", &tree.ca, "kube-apiserver");
    tree.leaf("other-etcd", &tree.etcd_ca, "etcd");
    let peer_etcd = listen(
        (NODE_ADDRESS, 0),
        tree.pair("other-etcd"),
        Clients::must(&tree.etcd_ca),
        true,
        well(),
    )
    .await;
    let (_etcd, asked) = etcd(&node, "cp1", peer_etcd.port).await;
    let api = |handler| {
        let pair = tree.pair("other");
        let port = node.api_port();
        async move { listen((NODE_ADDRESS, port), pair, Clients::Anybody, true, handler).await }
    };
    let away = format!("the API server of cp2 ({NODE_ADDRESS}:");
    let expect = async |trigger, part: &str| {
        let error = ask(&node, trigger, false).await.unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains(part) && told.contains("nothing was changed"),
            "{told}"
        );
    };
    expect(by_hand(), &away).await;
    expect(Trigger::Schedule, &away).await;
    assert!(asked.load(Ordering::Relaxed) >= 2);
    // One that is there and has trouble of its own, or that is somebody else.
    let unwell = api(Arc::new(|_: &str, _: Option<&str>| {
        (500, "shutting down".to_owned())
    }))
    .await;
    expect(by_hand(), "shutting down").await;
    drop(unwell);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _api = api(well()).await;
    drop(peer_etcd);
    tokio::time::sleep(Duration::from_millis(50)).await;
    expect(by_hand(), &format!("etcd of cp2 ({NODE_ADDRESS}:")).await;
    // etcd's own, when its manifest came.
    assert_eq!(node.restarts(), 1);
    assert_eq!(ask(&node, by_hand(), true).await.unwrap(), 1);
}

#[tokio::test]
async fn a_filter_is_held_against_the_control_planes_that_etcd_knows_now() {
    let node = due().await;
    let (etcd, asked) = etcd_beside(&node, "cp1", "192.0.2.22", 2379).await;
    let inventory = node.context.observe();
    assert_eq!(look_at_addresses(&node.context, &inventory).await, []);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        0,
        "without a filter nothing is asked"
    );
    let drop_in = node
        .tree
        .path("/etc/systemd/system/kubecertd.service.d/filter.conf");
    std::fs::create_dir_all(drop_in.parent().unwrap()).unwrap();
    let generate = async |context: &Context| {
        let addresses = needed_addresses(context, &inventory).await.unwrap();
        std::fs::write(&drop_in, address_filter(&addresses, None, Timestamp::now())).unwrap();
    };
    // The manifest of the first control plane names no other: on a copy of the node none is known.
    let copy = Context {
        machine: None,
        ..node.context.clone()
    };
    generate(&copy).await;
    assert_eq!(look_at_addresses(&copy, &inventory).await, []);
    let found = look_at_addresses(&node.context, &inventory).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let missing = "does not allow 192.0.2.22 (etcd member cp2)";
    assert!(found[0].to_string().contains(missing), "{found:?}");
    assert!(!found[0].blocks());
    generate(&node.context).await;
    assert_eq!(look_at_addresses(&node.context, &inventory).await, []);
    drop(etcd);
}

#[tokio::test]
async fn of_two_control_planes_one_that_cannot_ask_for_its_turn_waits_until_its_end_is_near() {
    let mut node = due().await;
    let tree = Arc::clone(&node.tree);
    tree.leaf("other", &tree.ca, "kube-apiserver");
    tree.leaf("other-etcd", &tree.etcd_ca, "etcd");
    let peer_etcd = listen(
        (NODE_ADDRESS, 0),
        tree.pair("other-etcd"),
        Clients::must(&tree.etcd_ca),
        true,
        well(),
    )
    .await;
    let (_etcd, _) = etcd(&node, "cp1", peer_etcd.port).await;
    let address = (NODE_ADDRESS, node.api_port());
    let _api = listen(address, tree.pair("other"), Clients::Anybody, true, well()).await;
    // It has no admin.conf.
    let error = ask(&node, Trigger::Schedule, false).await.unwrap_err();
    let OperationError::NotNow(findings) = &error else {
        panic!("{error}");
    };
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].cause.code(), "turn-unreachable");
    let left = findings[0].cause.passes().unwrap() - Timestamp::now();
    let hours = left.total(jiff::Unit::Hour).unwrap();
    assert!((670.0..=676.0).contains(&hours), "{hours}");
    // Near its end it has a slot of its own, the other one being there.
    node.context.config.turn.emergency = Duration::from_secs(365 * 86_400);
    let in_its_slot = match ask(&node, Trigger::Schedule, false).await {
        Ok(renewed) => renewed,
        Err(OperationError::NotNow(findings)) => {
            assert_eq!(findings[0].cause.code(), "turn-later", "{findings:?}");
            let begins = findings[0].cause.passes().unwrap();
            let wait = begins.duration_since(Timestamp::now());
            assert!(wait <= SignedDuration::from_mins(10), "{wait}");
            0
        }
        Err(other) => panic!("{other}"),
    };
    // By hand it is the administrator who sees to the others; what was renewed in the slot is not renewed again.
    let by_hand = ask(&node, by_hand(), false).await.unwrap();
    assert_eq!(in_its_slot + by_hand, 1);
}

#[tokio::test]
async fn a_node_that_has_ended_asks_for_no_turn_and_no_other() {
    let node = Live::start(EXPIRED).await;
    // The other one is away.
    let (_etcd, _) = etcd(&node, "cp1", 9).await;
    assert_eq!(ask(&node, Trigger::Schedule, false).await.unwrap(), 1);
}

#[tokio::test]
async fn recovery_of_what_has_expired_keeps_the_lock_from_begin_to_end() {
    let node = Live::start(EXPIRED).await;
    let store = node.context.store();
    let looked = AtomicUsize::new(0);
    let mut events = |event: Event| {
        looked.fetch_add(1, Ordering::Relaxed);
        let lock = Lock::take_at_once(&store);
        assert!(
            matches!(lock, Err(TransactionError::Busy { .. })),
            "free at {event}"
        );
    };
    recover_expired(&node.context, false, &never(), &mut events)
        .await
        .unwrap();
    assert!(looked.into_inner() > 2);
    assert_eq!(node.served(), node.serial("apiserver"));
}

#[tokio::test]
async fn whoever_insists_without_a_kubelet_sees_what_is_waited_for_and_the_reason_once() {
    let node = due().await;
    node.tree.write(
        "/var/lib/kubelet/config.yaml",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nhealthzPort: 1\n\
         staticPodPath: /etc/kubernetes/manifests\n",
    );
    let mut seen = Vec::new();
    let mut events = |event: Event| seen.push(event.to_string());
    let request = Request::Named {
        for_names: Vec::new(),
        names: words(&["apiserver"]),
        force: true,
    };
    let options = Options {
        more_names: MoreNames::default(),
        trigger: by_hand(),
        restart: true,
        node_down: false,
    };
    let error = renew(&node.context, &request, &options, &never(), &mut events)
        .await
        .unwrap_err()
        .to_string();
    let waited = "kubelet: waiting for its answer at 127.0.0.1:1 (0 s of at most 30 s)";
    assert!(seen.iter().any(|line| line == waited), "{seen:#?}");
    seen.push(error);
    let told = seen.join("\n");
    let reason = "the kubelet does not answer at http://127.0.0.1:1/healthz";
    // The warning is another sentence: what was seen before.
    assert_eq!(told.matches(reason).count(), 1, "{told}");
    assert_eq!(node.restarts(), 0);
}

/// Without one of two members etcd has no quorum; this one takes up its new certificate at each handshake.
#[tokio::test]
async fn of_two_etcd_members_one_that_takes_up_its_certificate_is_not_restarted() {
    let mut node = due().await;
    let tree = Arc::clone(&node.tree);
    tree.leaf("other", &tree.ca, "kube-apiserver");
    tree.leaf("other-etcd", &tree.etcd_ca, "etcd");
    let clients = Clients::must(&tree.etcd_ca);
    let pair = tree.pair("other-etcd");
    let peer_etcd = listen((NODE_ADDRESS, 0), pair, clients, true, well()).await;
    let (_etcd, _) = etcd(&node, "cp1", peer_etcd.port).await;
    let address = (NODE_ADDRESS, node.api_port());
    let _api = listen(address, tree.pair("other"), Clients::Anybody, true, well()).await;
    let old = node.serial("etcd/server");
    let mut events = Vec::new();
    let mut on = |event: &Event| events.push(event.to_string());
    node.renew(&["etcd-server"], &never(), &mut on)
        .await
        .unwrap();
    assert_ne!(node.serial("etcd/server"), old);
    let is_told = |one: &String| one.starts_with("etcd: ") && one.contains("serves");
    assert!(events.iter().any(is_told), "{events:#?}");
    let seen = node.kubelet.events.lock().unwrap().clone();
    assert!(
        !seen.iter().any(|line| line.starts_with("stopped")),
        "{seen:?}"
    );
}
