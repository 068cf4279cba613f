//! Whole restarts where intervals, processes and the kubelet count.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubecertd::config::{Restart, RestartWait};
use kubecertd::plan::restart_groups;
use kubecertd::restart::{Progress, RestartError};
use testkit::Node;
use testkit::kubelet::{self, Pods};
use testkit::live::never;
use testkit::loopback::{manifest_text, pods, words};

use crate::sequence::{ControlPlane, restart, told};

#[tokio::test]
async fn the_pages_own_interval_is_kept_both_ways() {
    let mut plane = ControlPlane::start(None).await;
    plane.settings.wait = RestartWait::Interval;
    let mut inventory = plane.tree.observe_without_kubelet();
    inventory.kubelet.file_check_frequency = Duration::from_secs(2);
    let groups = restart_groups(&inventory, &pods(&inventory, &["kube-scheduler"]));
    let back = Arc::new(Mutex::new(Duration::ZERO));
    let mut progress = {
        let back = Arc::clone(&back);
        move |progress: Progress| {
            if let Progress::ManifestBack { after, .. } = progress {
                *back.lock().unwrap() = after;
            }
        }
    };
    let reports = restart(
        &plane.tree,
        &inventory,
        &plane.settings,
        &groups[0],
        &never(),
        &mut progress,
    )
    .await
    .unwrap();
    assert!(*back.lock().unwrap() >= Duration::from_secs(2));
    assert!(reports[0].gone_seconds < 1.5, "{reports:?}");
    assert!(reports[0].healthy_seconds >= 4.0, "{reports:?}");
}

#[tokio::test]
async fn without_a_kubelet_nothing_is_touched() {
    let plane = ControlPlane::start(None).await;
    let mut inventory = plane.tree.observe_without_kubelet();
    inventory.kubelet.healthz = Some(("127.0.0.1".to_owned(), 1));
    let group = plane.group(&inventory);
    let mut moved = false;
    let error = restart(
        &plane.tree,
        &inventory,
        &plane.settings,
        &group,
        &never(),
        &mut |step| moved |= !matches!(step, Progress::Waiting { .. }),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, RestartError::KubeletDown { .. }), "{error}");
    assert!(!moved);
    assert!(plane.events().is_empty());
}

/// A pod without a runtime: a real process.
struct Processes(Vec<Child>);

const SLEEPER: [&str; 2] = ["sleep", "86461.5"];

impl Processes {
    fn begin() -> Self {
        let mut processes = Self(Vec::new());
        processes.start("sleeper");
        processes
    }
}

impl Pods for Processes {
    fn start(&mut self, _component: &str) {
        self.0
            .push(Command::new(SLEEPER[0]).arg(SLEEPER[1]).spawn().unwrap());
    }

    fn stop(&mut self, _component: &str) {
        for mut child in self.0.drain(..) {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop("sleeper");
    }
}

/// A pod of which neither a runtime nor a process is seen counts as running when the kubelet's interval is over.
#[tokio::test]
async fn an_interval_longer_than_the_timeout_is_waited_for() {
    let tree = Node::with_authorities();
    tree.write(
        "/etc/kubernetes/manifests/unseen.yaml",
        manifest_text("unseen", &words(&["never-started"])),
    );
    let mut inventory = tree.observe_without_kubelet();
    inventory.kubelet.file_check_frequency = Duration::from_secs(2);
    inventory.static_pods[0].termination_grace_seconds = 0;
    let settings = Restart {
        container_runtime: Some(tree.path("/absent.sock")),
        timeout: Duration::from_secs(1),
        ..Restart::default()
    };
    let groups = restart_groups(&inventory, &pods(&inventory, &["unseen"]));
    let lines = Arc::default();
    // It does not run for long enough to be healthy before the time is over, but it is seen to run.
    restart(
        &tree,
        &inventory,
        &settings,
        &groups[0],
        &never(),
        &mut told(&lines),
    )
    .await
    .unwrap_err();
    let lines = lines.lock().unwrap();
    assert!(lines.contains(&"running unseen".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn without_a_runtime_processes_and_the_interval_count() {
    let tree = Node::with_authorities();
    let manifest = tree.write(
        "/etc/kubernetes/manifests/sleeper.yaml",
        manifest_text("sleeper", &words(&SLEEPER)),
    );
    // The process outlives the interval, so both have to be waited for.
    let grace = Duration::from_millis(1500);
    let _kubelet = kubelet::watch(
        manifest.parent().unwrap().to_path_buf(),
        grace,
        Processes::begin(),
    );
    let mut inventory = tree.observe_without_kubelet();
    inventory.kubelet.file_check_frequency = Duration::from_secs(1);
    let settings = Restart {
        container_runtime: Some(tree.path("/absent.sock")),
        ..Restart::default()
    };
    let groups = restart_groups(&inventory, &pods(&inventory, &["sleeper"]));
    let lines = Arc::default();
    let reports = restart(
        &tree,
        &inventory,
        &settings,
        &groups[0],
        &never(),
        &mut told(&lines),
    )
    .await
    .unwrap();
    assert!(
        reports[0].gone_seconds >= grace.as_secs_f64(),
        "{reports:?}"
    );
    assert!(reports[0].gone_seconds < 5.0, "{reports:?}");
    assert_eq!(
        *lines.lock().unwrap(),
        words(&[
            "out sleeper",
            "gone sleeper",
            "back sleeper",
            "running sleeper",
            "healthy sleeper"
        ])
    );
}
