//! Whether a pod takes up new files by itself, and how that is shown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kubecertd::config::Restart;
use kubecertd::node::Inventory;
use kubecertd::plan::{AffectedPod, Release, Reloading, reloading};
use kubecertd::probe::{Patience, PickedUp, api_release, picked_up};
use testkit::loopback::{NODE_ADDRESS, authority, ids, issue};
use testkit::peer::{Clients, Handler, listen};

use crate::prove::ControlPlane;

const LONG_AGO: Duration = Duration::from_secs(1000);

/// What the plan says of these certificates of the pod, and what is seen then.
async fn asked(
    plane: &ControlPlane,
    pod: (&str, &[&str]),
    release: Option<Release>,
    replaced_before: Duration,
) -> Option<PickedUp> {
    asked_with(Patience::Table, plane, pod, release, replaced_before).await
}

async fn asked_with(
    patience: Patience,
    plane: &ControlPlane,
    (component, names): (&str, &[&str]),
    release: Option<Release>,
    replaced_before: Duration,
) -> Option<PickedUp> {
    let inventory = plane.tree.observe_without_kubelet();
    let affected = affected(&inventory, component, names);
    let Reloading::ByItself(certificates) = reloading(&inventory, &affected, release) else {
        return None;
    };
    let settings = Restart {
        reload_timeout: Duration::from_secs(1),
        ..Restart::default()
    };
    let pod = inventory.static_pod(component).unwrap();
    let settings = (&settings, patience);
    Some(picked_up(&inventory, settings, pod, &certificates, replaced_before).await)
}

fn affected(inventory: &Inventory, component: &str, names: &[&str]) -> AffectedPod {
    AffectedPod {
        pod: inventory.static_pod(component).unwrap().into(),
        certificates: ids(names),
    }
}

fn is_yes(seen: &Option<PickedUp>) -> bool {
    matches!(seen, Some(PickedUp::Yes(_)))
}

const KNOWN: Option<Release> = Some(Release {
    major: 1,
    minor: 36,
});

/// The API server shows the certificate that it has for itself, as all do.
fn show_loopback(plane: &ControlPlane) {
    let pair = issue(
        &authority("apiserver-loopback-client-ca@1"),
        "apiserver-loopback-client@1",
    );
    let (certificate, _) = plane.tree.served("apiserver");
    std::fs::write(
        certificate.with_extension("loopback.crt"),
        pair.certificate_pem(),
    )
    .unwrap();
    std::fs::write(certificate.with_extension("loopback.key"), pair.key_pem()).unwrap();
}

#[tokio::test]
async fn a_handshake_shows_what_is_served() {
    let plane = ControlPlane::start().await;
    show_loopback(&plane);
    let now = Duration::ZERO;
    let all = ["etcd-server", "etcd-peer", "etcd-healthcheck-client"];
    assert!(is_yes(&asked(&plane, ("etcd", &all), None, now).await));
    let api = ("kube-apiserver", &["apiserver"][..]);
    assert!(is_yes(&asked(&plane, api, None, now).await));
    plane.tree.leaf("etcd/peer", &plane.tree.etcd_ca, "cp1");
    let both = ("etcd", &["etcd-server", "etcd-peer"][..]);
    let seen = asked(&plane, both, None, now).await;
    assert!(
        matches!(&seen, Some(PickedUp::No(told)) if told.contains("serves serial")),
        "{seen:?}"
    );
    let server = ("etcd", &["etcd-server"][..]);
    assert!(is_yes(&asked(&plane, server, None, now).await));
}

/// A proxy may have read the new file while the API server behind it goes on with the old one.
#[tokio::test]
async fn what_ends_tls_in_the_place_of_an_api_server_shows_nothing_of_it() {
    let plane = ControlPlane::start().await;
    let api = ("kube-apiserver", &["apiserver"][..]);
    let seen = asked(&plane, api, KNOWN, Duration::ZERO).await;
    assert!(
        matches!(&seen, Some(PickedUp::No(told)) if told.contains("ends TLS")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_the_table_does_not_have_is_never_read_again() {
    let plane = ControlPlane::start().await;
    let inventory = plane.tree.observe_without_kubelet();
    let never = |component: &str, names: &[&str], release: Option<Release>| {
        let pod = affected(&inventory, component, names);
        matches!(reloading(&inventory, &pod, release), Reloading::Never(_))
    };
    let old = Some(Release {
        major: 1,
        minor: 19,
    });
    let newer = Some(Release {
        major: 1,
        minor: 99,
    });
    let client = ["apiserver", "apiserver-etcd-client"];
    assert!(never("kube-apiserver", &["etcd-server"], KNOWN));
    assert!(never("kube-apiserver", &["admin.conf"], KNOWN));
    assert!(never("etcd", &["etcd-healthcheck-client"], KNOWN));
    assert!(never("etcd", &[], KNOWN));
    // Neither its image nor the API server says a release, or an old one.
    assert!(never("kube-apiserver", &client, None));
    assert!(never("kube-apiserver", &client, old));
    assert!(never("kube-apiserver", &["apiserver"], old));
    assert!(!never("kube-apiserver", &client, KNOWN));
    assert!(!never("kube-apiserver", &client, newer));
    assert!(!never("kube-apiserver", &["apiserver"], None));
}

#[tokio::test]
async fn without_anything_to_be_seen_the_tables_time_has_to_pass() {
    let plane = ControlPlane::start().await;
    let pod = (
        "kube-apiserver",
        &["front-proxy-client", "apiserver-etcd-client"][..],
    );
    let waiting = asked(&plane, pod, KNOWN, Duration::ZERO);
    let waited = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(waited.is_err(), "{waited:?}");
    let Some(PickedUp::Yes(evidence)) = asked(&plane, pod, KNOWN, Duration::from_secs(60)).await
    else {
        panic!("a minute was not enough");
    };
    assert_eq!(
        evidence,
        [
            "front-proxy-client: the component watches its files, and had 60 s",
            "apiserver-etcd-client: the component reads its files at each handshake"
        ]
    );
}

/// How long the certificate has to live that the API server shows to the kubelet, and what it answers for the metrics.
#[derive(Clone, Copy)]
struct Kubelet {
    ends: Timestamp,
    status: u16,
}

/// The control plane with an API server that hands the kubelet's metrics on, and says its release.
async fn with_metrics(kubelet: Kubelet) -> (ControlPlane, Arc<Mutex<Kubelet>>) {
    let plane = ControlPlane::start().await;
    let shared = Arc::new(Mutex::new(kubelet));
    let counted = Mutex::new((1e9, 40));
    let state = Arc::clone(&shared);
    let handler: Handler = Arc::new(move |request, user| {
        if request.starts_with("GET /version ") {
            return (
                200,
                r#"{"major":"1","minor":"36","gitVersion":"v1.36.2"}"#.to_owned(),
            );
        }
        if !request.starts_with("GET /api/v1/nodes/cp1/proxy/metrics ")
            || user != Some("kubernetes-admin")
        {
            return (404, request.to_owned());
        }
        let Kubelet { ends, status } = *state.lock().unwrap();
        let mut counted = counted.lock().unwrap();
        counted.0 += ends.duration_since(Timestamp::now()).as_secs_f64();
        counted.1 += 1;
        let name = "apiserver_client_certificate_expiration_seconds";
        (
            status,
            format!("{name}_sum {}\n{name}_count {}\n", counted.0, counted.1),
        )
    });
    let own = plane.tree.served("apiserver");
    let listener = listen(
        (NODE_ADDRESS, 0),
        own,
        Clients::may(&plane.tree.ca),
        true,
        handler,
    )
    .await;
    let port = listener.port;
    let plane = ControlPlane {
        api_port: port,
        _listeners: plane._listeners.into_iter().chain([listener]).collect(),
        tree: plane.tree,
    };
    crate::prove::write_api_server(&plane.tree, port, &[]);
    // The administrator's own server is another one, behind a balancer: this node's is asked.
    let elsewhere = "https://127.0.0.1:9";
    plane
        .tree
        .write_kubeconfig("admin.conf", elsewhere, &plane.tree.ca, "kubernetes-admin");
    (plane, shared)
}

#[tokio::test]
async fn the_kubelet_tells_which_client_certificate_the_api_server_shows_it() {
    let old = Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let (plane, kubelet) = with_metrics(Kubelet {
        ends: old,
        status: 200,
    })
    .await;
    let pod = ("kube-apiserver", &["apiserver-kubelet-client"][..]);
    // The time of the table is over, and it still shows the old one: that is more than its time.
    let seen = asked(&plane, pod, KNOWN, LONG_AGO).await;
    let Some(PickedUp::No(told)) = seen else {
        panic!("{seen:?}");
    };
    assert!(told.contains("24.0 h to live"), "{told}");
    let inventory = plane.tree.observe_without_kubelet();
    let entry = inventory
        .entry(&ids(&["apiserver-kubelet-client"])[0])
        .unwrap();
    kubelet.lock().unwrap().ends = entry.present().unwrap().leaf.not_after;
    let seen = asked(&plane, pod, KNOWN, Duration::ZERO).await;
    let Some(PickedUp::Yes(evidence)) = seen else {
        panic!("{seen:?}");
    };
    assert!(
        evidence[0].contains("the kubelet saw a client certificate with 2.0 h"),
        "{evidence:?}"
    );
}

/// Where the old one has time, an operation waits no longer than `restart.reload-timeout` for what the table gives six minutes.
#[tokio::test]
async fn what_still_has_its_time_is_not_known_yet_and_what_is_known_to_be_old_decides() {
    let old = Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let kubelet = Kubelet {
        ends: old,
        status: 200,
    };
    let (plane, _) = with_metrics(kubelet).await;
    let client = "apiserver-kubelet-client";
    for patience in [Patience::Short, Patience::Once] {
        let pod = ("kube-apiserver", &[client, "apiserver-etcd-client"][..]);
        let seen = asked_with(patience, &plane, pod, KNOWN, Duration::ZERO).await;
        let Some(PickedUp::Unknown { certificates, seen }) = seen else {
            panic!("{patience:?}: {seen:?}");
        };
        assert_eq!(certificates, ids(&[client]));
        assert!(seen.contains("24.0 h to live"), "{seen}");
        let seen = asked_with(patience, &plane, pod, KNOWN, LONG_AGO).await;
        assert!(matches!(seen, Some(PickedUp::No(_))), "{seen:?}");
    }
    // What ends TLS there is no API server: that it is not served is known at once.
    let both = ("kube-apiserver", &[client, "apiserver"][..]);
    let seen = asked_with(Patience::Short, &plane, both, KNOWN, Duration::ZERO).await;
    assert!(
        matches!(&seen, Some(PickedUp::No(told)) if told.contains("ends TLS")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_kubelet_that_refuses_its_metrics_leaves_the_tables_time() {
    let ends = Timestamp::now();
    let (plane, _) = with_metrics(Kubelet { ends, status: 403 }).await;
    let pod = ("kube-apiserver", &["apiserver-kubelet-client"][..]);
    let waiting = asked(&plane, pod, KNOWN, Duration::ZERO);
    let waited = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(waited.is_err(), "{waited:?}");
    let seen = asked(&plane, pod, KNOWN, LONG_AGO).await;
    let Some(PickedUp::Yes(evidence)) = seen else {
        panic!("{seen:?}");
    };
    assert!(evidence[0].contains("had 360 s"), "{evidence:?}");
}

#[tokio::test]
async fn an_api_server_says_its_release_to_whoever_asks() {
    let ends = Timestamp::now();
    let (plane, _) = with_metrics(Kubelet { ends, status: 200 }).await;
    assert_eq!(
        api_release(&plane.tree.observe_without_kubelet()).await,
        KNOWN
    );
    let silent = ControlPlane::start().await;
    assert_eq!(
        api_release(&silent.tree.observe_without_kubelet()).await,
        None
    );
}
