//! An API server that goes on after it has stopped listening, and containers that are ended with their manifests in place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kubecertd::config::{Drain, RestartBy};
use kubecertd::restart::{Progress, Remedy, RestartReport};
use testkit::cri::Stopping;
use testkit::live::never;
use testkit::peer::{Clients, Listener, listen};

use crate::sequence::{ControlPlane, health_of, told};

const API_SERVER: &str = "kube-apiserver";
const LONG: Duration = Duration::from_secs(4);

/// A control plane whose API server refuses connections as soon as its manifest is out and runs for `LONG` all the same.
async fn lingering() -> (ControlPlane, impl FnMut(Progress) + Send, Told) {
    let mut plane = ControlPlane::start_with(None, Some((API_SERVER, LONG))).await;
    let listener = plane.listeners.remove(0);
    let port = listener.port;
    let lines = Told::default();
    let mut tell = told(&lines);
    let api: Arc<Mutex<Option<Listener>>> = Arc::new(Mutex::new(Some(listener)));
    let pair = plane.tree.served("apiserver");
    let health = health_of(API_SERVER, &plane.runtime, None);
    let on = move |step: Progress| {
        match &step {
            Progress::ManifestOut { component } if component == API_SERVER => {
                api.lock().unwrap().take();
            }
            Progress::ManifestBack { component, .. } if component == API_SERVER => {
                let (api, pair, health) = (Arc::clone(&api), pair.clone(), Arc::clone(&health));
                tokio::spawn(async move {
                    let at = ("127.0.0.1", port);
                    let listener = listen(at, pair, Clients::Anybody, true, health).await;
                    *api.lock().unwrap() = Some(listener);
                });
            }
            _ => {}
        }
        tell(step);
    };
    (plane, on, lines)
}

type Told = Arc<Mutex<Vec<String>>>;

fn report<'a>(reports: &'a [RestartReport], component: &str) -> &'a RestartReport {
    let mut all = reports.iter();
    all.find(|report| report.component == component).unwrap()
}

#[tokio::test]
async fn an_api_server_that_only_waits_for_its_watchers_is_ended_after_the_time_for_requests() {
    let (mut plane, mut on, lines) = lingering().await;
    plane.settings.drain = Drain::For(Duration::from_secs(1));
    let reports = plane.restart(&never(), &mut on).await.unwrap();
    let gone = report(&reports, API_SERVER).gone_seconds;
    assert!((1.0..LONG.as_secs_f64() - 1.0).contains(&gone), "{gone}");
    // Nothing but the API server is ended by hand, and what is left of it goes before its manifest comes back.
    let ended = plane.runtime.lock().unwrap().ended.clone();
    let stopped: Vec<&String> = ended.iter().filter(|one| one.starts_with("stop")).collect();
    assert_eq!(stopped, ["stop kube-apiserver"]);
    assert!(ended.contains(&"remove kube-apiserver-cp1".to_owned()));
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.starts_with("Drained")),
        "{lines:?}"
    );
    assert!(report(&reports, API_SERVER).remedies.is_empty());
}

#[tokio::test]
async fn one_that_still_listens_or_is_to_have_its_own_grace_gets_it() {
    let at_once = Drain::For(Duration::ZERO);
    for (listens, drain) in [(true, at_once), (false, Drain::Pod)] {
        let (mut plane, mut on, _) = lingering().await;
        plane.settings.drain = drain;
        // It came back by itself to its port, or never left it.
        let inventory = plane.tree.observe_without_kubelet();
        let port = inventory.static_pod(API_SERVER).unwrap();
        let port: u16 = port.flag("secure-port").unwrap().parse().unwrap();
        let mut kept = None;
        let mut on = |step: Progress| {
            let is_out =
                matches!(&step, Progress::ManifestOut { component } if component == API_SERVER);
            let is_gone = matches!(&step, Progress::ContainersGone { component, .. } if component == API_SERVER);
            on(step);
            if is_out && listens {
                kept = Some(tokio::spawn(async move {
                    let socket = loop {
                        if let Ok(bound) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await
                        {
                            break bound;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    };
                    loop {
                        let _ = socket.accept().await;
                    }
                }));
            } else if is_gone && let Some(task) = kept.take() {
                task.abort();
            }
        };
        // A look that falls between the two listeners would see it closed: such a look begins the time anew only with a longer one.
        if listens {
            plane.settings.drain = Drain::For(Duration::from_millis(500));
        }
        let reports = plane.restart(&never(), &mut on).await.unwrap();
        let gone = report(&reports, API_SERVER).gone_seconds;
        assert!(gone >= LONG.as_secs_f64(), "{listens}: {gone}");
        let ended = &plane.runtime.lock().unwrap().ended;
        assert!(
            !ended.iter().any(|one| one.starts_with("stop")),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn a_runtime_that_refuses_or_does_not_answer_leaves_the_pods_own_grace() {
    for stopping in [Stopping::Refused, Stopping::Unanswered] {
        let (mut plane, mut on, lines) = lingering().await;
        plane.settings.drain = Drain::For(Duration::ZERO);
        plane.runtime.lock().unwrap().stopping = stopping;
        let began = Instant::now();
        let reports = plane.restart(&never(), &mut on).await.unwrap();
        let gone = report(&reports, API_SERVER).gone_seconds;
        // The call's own bound of 10 s delays nothing.
        let bounds = LONG.as_secs_f64()..LONG.as_secs_f64() + 2.0;
        assert!(bounds.contains(&gone), "{stopping:?}: {gone}");
        assert!(began.elapsed() < Duration::from_secs(10));
        let lines = lines.lock().unwrap();
        let failed = lines.iter().any(|line| line.starts_with("EndingFailed"));
        assert_eq!(failed, stopping == Stopping::Refused, "{lines:?}");
    }
}

/// A control plane whose kubelet starts at once what was ended; new containers serve what is on the disk.
async fn in_place() -> (ControlPlane, impl FnMut(Progress) + Send, Told) {
    let mut plane = ControlPlane::start(None).await;
    plane.settings.method = RestartBy::Container;
    plane.runtime.lock().unwrap().restarts = true;
    let tree = Arc::clone(&plane.tree);
    tree.leaf("apiserver", &tree.ca, "kube-apiserver");
    tree.leaf("etcd/server", &tree.etcd_ca, "cp1");
    let lines = Told::default();
    let mut tell = told(&lines);
    let on = move |step: Progress| {
        match &step {
            Progress::ContainersEnding { component } if component == API_SERVER => {
                tree.copy_to_served("apiserver");
            }
            Progress::ContainersEnding { component } if component == "etcd" => {
                tree.copy_to_served("etcd/server");
            }
            _ => {}
        }
        tell(step);
    };
    (plane, on, lines)
}

#[tokio::test]
async fn containers_are_ended_with_their_manifests_in_place_and_the_api_before_what_needs_it() {
    let (plane, mut on, lines) = in_place().await;
    let before = plane.manifests();
    let reports = plane.restart(&never(), &mut on).await.unwrap();
    assert_eq!(reports.len(), 4);
    assert!(reports.iter().all(|report| report.remedies.is_empty()));
    assert_eq!(plane.manifests(), before);
    assert!(plane.events().is_empty(), "a manifest was moved");
    let ended = plane.runtime.lock().unwrap().ended.clone();
    let (first, then) = ended.split_at(2);
    assert!(
        first.contains(&"stop kube-apiserver".to_owned()),
        "{ended:?}"
    );
    assert!(first.contains(&"stop etcd".to_owned()), "{ended:?}");
    assert!(
        then.contains(&"stop kube-scheduler".to_owned()),
        "{ended:?}"
    );
    assert!(
        then.contains(&"stop kube-controller-manager".to_owned()),
        "{ended:?}"
    );
    let lines = lines.lock().unwrap();
    let place = |wanted: &str| lines.iter().position(|line| line.contains(wanted)).unwrap();
    for component in ["etcd", API_SERVER] {
        let healthy = place(&format!("healthy {component}"));
        assert!(healthy < place("ContainersEnding { component: \"kube-scheduler\" }"));
        // Side by side: neither waits for the other.
        assert!(place("ContainersEnding { component: \"etcd\" }") < healthy);
        assert!(place("ContainersEnding { component: \"kube-apiserver\" }") < healthy);
    }
}

#[tokio::test]
async fn what_uses_no_new_file_is_left_alone_while_its_lease_lasts() {
    let (plane, mut on, _) = in_place().await;
    let inventory = plane.tree.observe_without_kubelet();
    let pods = testkit::loopback::pods(&inventory, &[API_SERVER, "etcd"]);
    let group = kubecertd::plan::restart_groups(&inventory, &pods).remove(0);
    assert_eq!(group.out_meanwhile.len(), 2);
    let tree = &plane.tree;
    let reports =
        crate::sequence::restart(tree, &inventory, &plane.settings, &group, &never(), &mut on)
            .await
            .unwrap();
    let mut names: Vec<&str> = reports.iter().map(|one| one.component.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["etcd", API_SERVER]);
    assert_eq!(plane.runtime.lock().unwrap().ended.len(), 2);
}

/// The old ones go on meanwhile, so nothing is away; what is tried at last helps.
#[tokio::test]
async fn a_runtime_that_ends_nothing_at_first_is_asked_again() {
    let (mut plane, mut on, lines) = in_place().await;
    plane.settings.timeout = Duration::from_secs(5);
    plane.runtime.lock().unwrap().stopping = Stopping::Refused;
    let runtime = Arc::clone(&plane.runtime);
    let mut on = |step: Progress| {
        if matches!(
            &step,
            Progress::RemedyTried {
                remedy: Remedy::Containers,
                ..
            }
        ) {
            let mut runtime = runtime.lock().unwrap();
            runtime.stopping = Stopping::Done;
        }
        on(step);
    };
    let reports = plane.restart(&never(), &mut on).await.unwrap();
    assert_eq!(report(&reports, API_SERVER).remedies, [Remedy::Containers]);
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.starts_with("RemedyFailed")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn without_a_container_runtime_manifests_are_moved() {
    let (mut plane, mut on, lines) = in_place().await;
    plane.settings.container_runtime = Some(plane.tree.path("/nothing.sock"));
    plane.settings.timeout = Duration::from_secs(1);
    // Its kubelet is given the grace that nobody sees end: enough to see that the way was taken.
    let stop = never();
    let asked = plane.restart(&stop, &mut on);
    let _ = tokio::time::timeout(Duration::from_millis(500), asked).await;
    let lines = lines.lock().unwrap();
    assert!(
        lines.iter().any(|line| line.starts_with("out ")),
        "{lines:?}"
    );
}

/// Beside a dead container the kubelet waits before it makes the next.
#[tokio::test]
async fn a_pod_that_was_restarted_a_moment_ago_is_removed_whole() {
    let (plane, mut on, _) = in_place().await;
    {
        let mut runtime = plane.runtime.lock().unwrap();
        runtime.stop("etcd");
        runtime.start("etcd");
    }
    plane.restart(&never(), &mut on).await.unwrap();
    let ended = plane.runtime.lock().unwrap().ended.clone();
    let removed: Vec<&String> = ended
        .iter()
        .filter(|one| one.starts_with("remove"))
        .collect();
    assert!(!removed.is_empty(), "{ended:?}");
    assert!(
        removed.iter().all(|one| *one == "remove etcd-cp1"),
        "{ended:?}"
    );
}
