//! Whole restarts: real manifests, a runtime on a socket or real processes, TLS listeners.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kubecertd::config::Restart;
use kubecertd::files::Operation;
use kubecertd::journal::{Lock, Store, Trigger};
use kubecertd::node::Inventory;
use kubecertd::plan::{RestartGroup, restart_groups};
use kubecertd::restart::{Progress, RestartError, RestartReport, Restarter};
use kubecertd::runtime::KubeletService;
use testkit::cri::{self, Runtime, Shared};
use testkit::kubelet::{self, Containers, Kubelet};
use testkit::live::never;
use testkit::loopback::{pods, words};
use testkit::peer::{Clients, Handler, Listener, listen};
use testkit::{Node, PKI};
use tokio::sync::watch;

const GRACE: Duration = Duration::from_millis(300);

/// A control plane whose components answer when their containers run, and serve the certificate that was there when
/// they started.
pub(crate) struct ControlPlane {
    pub(crate) tree: Arc<Node>,
    pub(crate) runtime: Shared,
    pub(crate) kubelet: Kubelet,
    pub(crate) settings: Restart,
    /// The API server's first.
    pub(crate) listeners: Vec<Listener>,
}

/// A component that never gets well.
pub(crate) type Sick = Option<&'static str>;

impl ControlPlane {
    pub(crate) async fn start(sick: Sick) -> Self {
        Self::start_with(sick, None).await
    }

    /// The same with a pod that takes so long to end.
    pub(crate) async fn start_with(sick: Sick, lingers: Option<(&'static str, Duration)>) -> Self {
        let tree = Arc::new(Node::with_authorities());
        let runtime = Runtime::new("v1");
        let socket = tree.path("/cri.sock");
        cri::serve(&socket, Arc::clone(&runtime));
        tree.leaf("apiserver", &tree.ca, "kube-apiserver");
        tree.leaf("etcd/server", &tree.etcd_ca, "cp1");
        tree.leaf("etcd/peer", &tree.etcd_ca, "cp1");
        let mut listeners = Vec::new();
        let mut ports = Vec::new();
        for (component, pair) in [
            ("kube-apiserver", "apiserver"),
            ("etcd", "etcd/server"),
            ("etcd", "etcd/peer"),
            ("kube-controller-manager", "apiserver"),
            ("kube-scheduler", "apiserver"),
        ] {
            tree.copy_to_served(pair);
            let clients = match component {
                "etcd" => Clients::must(&tree.etcd_ca),
                _ => Clients::Anybody,
            };
            let listener = listen(
                ("127.0.0.1", 0),
                tree.served(pair),
                clients,
                true,
                health_of(component, &runtime, sick),
            )
            .await;
            ports.push(listener.port.to_string());
            listeners.push(listener);
            let mut runtime = runtime.lock().unwrap();
            if !runtime.runs(component) {
                runtime.start(component);
            }
        }
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let file = |name: &str, file: &str| format!("--{name}={PKI}/{file}");
        let own = |port: &String| flag("secure-port", port);
        let url = |name: &str, port: &str| format!("--{name}=https://127.0.0.1:{port}");
        for (component, flags) in [
            (
                "kube-apiserver",
                vec![own(&ports[0]), file("tls-cert-file", "apiserver.crt")],
            ),
            (
                "etcd",
                vec![
                    url("listen-client-urls", &ports[1]),
                    url("listen-peer-urls", &ports[2]),
                    file("cert-file", "etcd/server.crt"),
                    file("key-file", "etcd/server.key"),
                    file("peer-cert-file", "etcd/peer.crt"),
                ],
            ),
            ("kube-controller-manager", vec![own(&ports[3])]),
            ("kube-scheduler", vec![own(&ports[4])]),
        ] {
            let mut command = words(&[component]);
            command.extend(flags);
            tree.manifest(component, &command);
        }
        let started = {
            let tree = Arc::clone(&tree);
            move |component: &str| match component {
                "kube-apiserver" => tree.copy_to_served("apiserver"),
                "etcd" => {
                    tree.copy_to_served("etcd/server");
                    tree.copy_to_served("etcd/peer");
                }
                _ => {}
            }
        };
        let kubelet = kubelet::watch(
            tree.path("/etc/kubernetes/manifests"),
            lingers.map_or(GRACE, |(_, grace)| grace),
            Containers {
                runtime: Arc::clone(&runtime),
                started,
                lingers: lingers.map(|(component, _)| component),
            },
        );
        let settings = Restart {
            container_runtime: Some(socket),
            timeout: Duration::from_secs(20),
            ..Restart::default()
        };
        Self {
            tree,
            runtime,
            kubelet,
            settings,
            listeners,
        }
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.kubelet.events.lock().unwrap().clone()
    }

    pub(crate) fn manifests(&self) -> Vec<(String, String)> {
        manifests(&self.tree)
    }

    pub(crate) fn group(&self, inventory: &Inventory) -> RestartGroup {
        let groups = restart_groups(
            inventory,
            &pods(
                inventory,
                &[
                    "etcd",
                    "kube-apiserver",
                    "kube-controller-manager",
                    "kube-scheduler",
                ],
            ),
        );
        assert_eq!(groups.len(), 1);
        groups.into_iter().next().unwrap()
    }

    pub(crate) async fn restart(
        &self,
        stop: &watch::Receiver<bool>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Vec<RestartReport>, RestartError> {
        let inventory = self.tree.observe_without_kubelet();
        let group = self.group(&inventory);
        restart(
            &self.tree,
            &inventory,
            &self.settings,
            &group,
            stop,
            progress,
        )
        .await
    }
}

pub(crate) async fn restart(
    tree: &Node,
    inventory: &Inventory,
    settings: &Restart,
    group: &RestartGroup,
    stop: &watch::Receiver<bool>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<RestartReport>, RestartError> {
    let store = Store::new(&tree.root);
    let lock = Lock::take(&store).unwrap();
    let mut operation = Operation::begin(&store, &lock, Trigger::Schedule).unwrap();
    let restarter = Restarter {
        inventory,
        settings,
        // A kubelet that is none of the machine's own.
        kubelet: KubeletService::through("/bin/false".into()),
    };
    let outcome = restarter
        .restart(group, &mut operation, stop, progress)
        .await;
    assert!(operation.parked().is_empty(), "a manifest stayed out");
    outcome
}

fn manifests(tree: &Node) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(tree.path("/etc/kubernetes/manifests"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    found.sort();
    found
}

pub(crate) fn health_of(component: &'static str, runtime: &Shared, sick: Sick) -> Handler {
    let runtime = Arc::clone(runtime);
    Arc::new(move |_, _| {
        if sick != Some(component) && runtime.lock().unwrap().runs(component) {
            (200, "ok".to_owned())
        } else {
            (503, format!("{component} is not well"))
        }
    })
}

pub(crate) fn told(told: &Arc<Mutex<Vec<String>>>) -> impl FnMut(Progress) + Send + use<> {
    let told = Arc::clone(told);
    move |progress| {
        let line = match progress {
            Progress::ManifestOut { component } => format!("out {component}"),
            Progress::ContainersGone { component, .. } => format!("gone {component}"),
            Progress::ManifestBack { component, .. } => format!("back {component}"),
            Progress::ContainerRunning { component, .. } => format!("running {component}"),
            Progress::Healthy { component, .. } => format!("healthy {component}"),
            Progress::Waiting { .. } => return,
            other => format!("{other:?}"),
        };
        told.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn a_whole_control_plane_goes_and_comes_back_in_order_and_serves_what_is_new() {
    let plane = ControlPlane::start(None).await;
    let before = plane.manifests();
    plane
        .tree
        .leaf("apiserver", &plane.tree.ca, "kube-apiserver");
    plane.tree.leaf("etcd/server", &plane.tree.etcd_ca, "cp1");
    plane.tree.leaf("etcd/peer", &plane.tree.etcd_ca, "cp1");
    let lines = Arc::default();
    let reports = plane.restart(&never(), &mut told(&lines)).await.unwrap();

    let lines: Vec<String> = lines.lock().unwrap().clone();
    let place = |line: &str| {
        lines
            .iter()
            .position(|told| told == line)
            .unwrap_or_else(|| panic!("{line} is not in {lines:?}"))
    };
    for (first, then) in [
        ("gone kube-scheduler", "out kube-apiserver"),
        ("gone kube-controller-manager", "out kube-apiserver"),
        ("gone kube-apiserver", "out etcd"),
        ("gone etcd", "back etcd"),
        ("running etcd", "healthy etcd"),
        ("healthy etcd", "back kube-apiserver"),
        ("healthy kube-apiserver", "back kube-scheduler"),
        ("healthy kube-apiserver", "back kube-controller-manager"),
    ] {
        assert!(
            place(first) < place(then),
            "{first} before {then}: {lines:?}"
        );
    }
    assert_eq!(plane.manifests(), before);
    assert_eq!(reports.len(), 4);
    for report in &reports {
        assert!(report.gone_seconds >= GRACE.as_secs_f64(), "{report:?}");
        assert!(report.healthy_seconds > report.gone_seconds, "{report:?}");
        assert!(!report.out_meanwhile);
    }
    assert_eq!(
        plane
            .events()
            .iter()
            .filter(|line| line.starts_with("started"))
            .count(),
        4
    );
}

#[tokio::test]
async fn a_failed_call_to_the_runtime_is_asked_again() {
    let plane = ControlPlane::start(None).await;
    let runtime = Arc::clone(&plane.runtime);
    let mut progress = move |progress: Progress| {
        if matches!(
            progress,
            Progress::ManifestOut { .. } | Progress::ManifestBack { .. }
        ) {
            runtime.lock().unwrap().failures = 2;
        }
    };
    plane.restart(&never(), &mut progress).await.unwrap();
}

#[tokio::test]
async fn a_pod_that_does_not_get_well_is_told_and_everything_is_put_back() {
    let mut plane = ControlPlane::start(Some("kube-apiserver")).await;
    plane.settings.timeout = Duration::from_secs(2);
    let before = plane.manifests();
    let error = plane.restart(&never(), &mut |_| {}).await.unwrap_err();
    let text = error.to_string();
    let RestartError::TimedOut {
        component, bound, ..
    } = error
    else {
        panic!("{text}");
    };
    assert_eq!(component, "kube-apiserver");
    assert_eq!(bound, Duration::from_secs(2));
    assert!(
        text.contains("status 503: kube-apiserver is not well"),
        "{text}"
    );
    assert!(text.contains("journalctl -u kubelet"), "{text}");
    assert_eq!(plane.manifests(), before);
}

#[tokio::test]
async fn a_server_that_goes_on_with_its_old_certificate_is_not_healthy() {
    let mut plane = ControlPlane::start(None).await;
    plane.settings.timeout = Duration::from_secs(2);
    // The certificate changes only after the pod has started with the one before.
    let tree = Arc::clone(&plane.tree);
    let mut progress = move |progress: Progress| {
        if matches!(&progress, Progress::ContainerRunning { component, .. } if component == "kube-apiserver")
        {
            tree.leaf("apiserver", &tree.ca, "kube-apiserver");
        }
    };
    let error = plane.restart(&never(), &mut progress).await.unwrap_err();
    assert!(error.to_string().contains("serves serial"), "{error}");
}

#[tokio::test]
async fn a_stop_puts_every_manifest_back_at_once() {
    let plane = ControlPlane::start(None).await;
    let before = plane.manifests();
    let (sender, stop) = watch::channel(false);
    let out = Arc::new(Mutex::new(None));
    let mut progress = {
        let out = Arc::clone(&out);
        move |progress: Progress| {
            if matches!(&progress, Progress::ManifestOut { component } if component == "etcd") {
                *out.lock().unwrap() = Some(Instant::now());
                sender.send(true).unwrap();
            }
        }
    };
    let error = plane.restart(&stop, &mut progress).await.unwrap_err();
    assert!(matches!(error, RestartError::Stopped), "{error}");
    assert!(out.lock().unwrap().unwrap().elapsed() < GRACE);
    assert_eq!(plane.manifests(), before);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_leaves_no_manifest_out() {
    let plane = ControlPlane::start(Some("etcd")).await;
    let before = plane.manifests();
    let waited =
        tokio::time::timeout(Duration::from_secs(3), plane.restart(&never(), &mut |_| {})).await;
    assert!(waited.is_err(), "etcd got well");
    assert!(plane.events().contains(&"stopped etcd".to_owned()));
    assert_eq!(plane.manifests(), before);
}

#[tokio::test]
async fn a_newer_manifest_stays() {
    let plane = ControlPlane::start(None).await;
    let newer = plane
        .tree
        .path("/etc/kubernetes/manifests/kube-scheduler.yaml");
    let text = fs::read_to_string(&newer).unwrap() + "# by somebody else\n";
    let mut progress = {
        let (newer, text) = (newer.clone(), text.clone());
        move |progress: Progress| {
            if matches!(&progress, Progress::ContainersGone { component, .. } if component == "kube-scheduler")
            {
                fs::write(&newer, &text).unwrap();
            }
        }
    };
    plane.restart(&never(), &mut progress).await.unwrap();
    assert_eq!(fs::read_to_string(&newer).unwrap(), text);
}
