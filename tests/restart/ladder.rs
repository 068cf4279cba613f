//! What is tried for a pod that does not come back, or does not go: each thing is reached, and helps.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kubecertd::config::Restart;
use kubecertd::files::Operation;
use kubecertd::journal::{Lock, Store, Trigger};
use kubecertd::node::PodRef;
use kubecertd::plan::RestartGroup;
use kubecertd::restart::{Progress, Remedy, RestartError, RestartReport, Restarter};
use kubecertd::runtime::KubeletService;
use testkit::Node;
use testkit::cri::{self, Runtime, Shared};
use testkit::kubelet::{self, Kubelet, Pods};
use testkit::loopback::words;
use tokio::sync::watch;

const POD: &str = "proxy";

/// What the kubelet of a test needs before it starts the pod again.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    /// That the runtime knows no container of it any more.
    NoRemains,
    Annotation,
    Removal,
    Restart,
    /// Its manifest went away, but the kubelet does not end it.
    EndedByHand,
    More,
}

struct Stuck {
    tree: Node,
    runtime: Shared,
    settings: Restart,
    systemctl: PathBuf,
    restarted: PathBuf,
    told: Arc<Mutex<Vec<Progress>>>,
    _kubelet: Kubelet,
}

struct Stubborn {
    needs: Needs,
    runtime: Shared,
    manifest: PathBuf,
}

impl Pods for Stubborn {
    fn start(&mut self, component: &str) {
        let annotated = fs::read_to_string(&self.manifest)
            .unwrap()
            .contains("kubecertd.io/restarted-at");
        let mut runtime = self.runtime.lock().unwrap();
        let wanted = match self.needs {
            Needs::Nothing => true,
            Needs::NoRemains => runtime.containers.is_empty(),
            Needs::Annotation => annotated,
            _ => false,
        };
        if (wanted || annotated) && !runtime.runs(component) {
            runtime.start(component);
        }
        if !wanted && annotated {
            runtime.stop(component); // it falls over
        }
    }

    fn stop(&mut self, component: &str) {
        if self.needs != Needs::EndedByHand {
            self.runtime.lock().unwrap().stop(component);
        }
    }
}

impl Stuck {
    fn new(needs: Needs, pods: &[&str]) -> Self {
        let tree = Node::with_authorities();
        let runtime = Runtime::new("v1");
        let socket = tree.path("/cri.sock");
        cri::serve(&socket, Arc::clone(&runtime));
        for pod in pods {
            let manifest = tree.manifest(pod, &words(&["/never-run", pod]));
            let text = fs::read_to_string(&manifest).unwrap();
            let short = text.replace("spec:\n", "spec:\n  terminationGracePeriodSeconds: 1\n");
            fs::write(&manifest, short).unwrap();
            runtime.lock().unwrap().start(pod);
        }
        runtime.lock().unwrap().restarts = needs == Needs::EndedByHand;
        let stubborn = Stubborn {
            needs,
            runtime: Arc::clone(&runtime),
            manifest: tree.path(&format!("/etc/kubernetes/manifests/{}.yaml", pods[0])),
        };
        let kubelet = kubelet::watch(
            tree.path("/etc/kubernetes/manifests"),
            Duration::from_millis(50),
            stubborn,
        );
        let restarted = tree.path("/restarted");
        let systemctl = tree.write(
            "/systemctl",
            format!("#!/bin/sh\necho $2 >>{}\n", restarted.display()),
        );
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o700)).unwrap();
        start_when(needs, &runtime, &restarted);
        Self {
            settings: Restart {
                container_runtime: Some(socket),
                timeout: Duration::from_secs(24),
                ..Restart::default()
            },
            tree,
            runtime,
            systemctl,
            restarted,
            told: Arc::default(),
            _kubelet: kubelet,
        }
    }

    /// The manifests' way, or that of a node which expired certificates have stopped.
    async fn restart(
        &self,
        group: &RestartGroup,
        stopped: bool,
    ) -> Result<Vec<RestartReport>, RestartError> {
        let inventory = self.tree.observe_without_kubelet();
        let store = Store::new(&self.tree.root);
        let lock = Lock::take(&store).unwrap();
        let mut operation = Operation::begin(&store, &lock, Trigger::Schedule).unwrap();
        let restarter = Restarter {
            inventory: &inventory,
            settings: &self.settings,
            kubelet: KubeletService::through(self.systemctl.clone()),
        };
        let told = Arc::clone(&self.told);
        let mut progress = move |step| told.lock().unwrap().push(step);
        let stop = watch::channel(false).1;
        let outcome = if stopped {
            let groups = std::slice::from_ref(group);
            restarter
                .restart_expired(groups, true, &mut operation, &stop, &mut progress)
                .await
        } else {
            restarter
                .restart(group, &mut operation, &stop, &mut progress)
                .await
        };
        assert!(operation.parked().is_empty(), "a manifest stayed out");
        outcome
    }

    fn group(&self, waves: &[&str]) -> RestartGroup {
        let wave = |pod: &&str| {
            let path = format!("/etc/kubernetes/manifests/{pod}.yaml");
            vec![PodRef::from(((*pod).to_owned(), self.tree.path(&path)))]
        };
        let waves: Vec<Vec<PodRef>> = waves.iter().map(wave).collect();
        RestartGroup {
            out: waves.iter().rev().cloned().collect(),
            back: waves,
            out_meanwhile: Vec::new(),
        }
    }

    fn manifest(&self) -> String {
        fs::read_to_string(
            self.tree
                .path(&format!("/etc/kubernetes/manifests/{POD}.yaml")),
        )
        .unwrap()
    }

    fn systemd_was_told(&self) -> String {
        fs::read_to_string(&self.restarted).unwrap_or_default()
    }
}

/// The part of the kubelet that does not look at manifests.
fn start_when(needs: Needs, runtime: &Shared, restarted: &std::path::Path) {
    let (runtime, restarted) = (Arc::clone(runtime), restarted.to_path_buf());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut runtime = runtime.lock().unwrap();
            let removed = || {
                let ended = runtime.ended.iter();
                ended.filter(|line| line.starts_with("remove")).count()
            };
            let now = match needs {
                // Once when it was gone, and once more.
                Needs::Removal => removed() > 1,
                Needs::Restart => restarted.exists(),
                _ => false,
            };
            if now && !runtime.runs(POD) {
                runtime.start(POD);
            }
        }
    });
}

#[tokio::test]
async fn each_remedy_is_reached_and_helps() {
    use Remedy::{Annotation, Containers, Kubelet};
    let ladder = [
        (Needs::Nothing, &[][..]),
        (Needs::NoRemains, &[]),
        (Needs::Annotation, &[Annotation]),
        (Needs::Removal, &[Annotation, Containers]),
        (Needs::Restart, &[Annotation, Containers, Kubelet]),
    ];
    let mut tests = tokio::task::JoinSet::new();
    for (needs, wanted) in ladder {
        tests.spawn(async move {
            let node = Stuck::new(needs, &[POD]);
            let before = node.manifest();
            let reports = node.restart(&node.group(&[POD]), false).await.unwrap();
            assert_eq!(reports[0].remedies, wanted);
            let told = node.told.lock().unwrap();
            let tried = told.iter().filter_map(|step| match step {
                Progress::RemedyTried { remedy, .. } => Some(*remedy),
                _ => None,
            });
            assert!(tried.eq(wanted.iter().copied()));
            let restarted = node.systemd_was_told();
            assert_eq!(restarted.contains("restart"), wanted.contains(&Kubelet));
            // Nothing but the annotation has changed in the manifest, and only where it was tried.
            let after = node.manifest();
            let added: Vec<&str> = after
                .lines()
                .filter(|line| !before.lines().any(|old| old == *line))
                .collect();
            if wanted.is_empty() {
                assert_eq!(after, before);
            } else {
                assert_eq!(added.len(), 2, "{after}");
                assert!(added[0].contains("annotations:"));
                assert!(added[1].contains("kubecertd.io/restarted-at"));
            }
        });
    }
    while let Some(test) = tests.join_next().await {
        test.unwrap();
    }
}

#[tokio::test]
async fn when_nothing_helps_it_ends_within_its_bound_and_says_what_was_tried() {
    let node = Stuck::new(Needs::More, &[POD]);
    let began = std::time::Instant::now();
    let error = node.restart(&node.group(&[POD]), false).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RestartError::TimedOut { .. }), "{text}");
    assert!(
        text.contains("another annotation, then removing its containers"),
        "{text}"
    );
    assert!(text.contains("then restarting the kubelet"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(30), "{text}");
    assert_eq!(node.systemd_was_told().matches("restart").count(), 1);
}

#[tokio::test]
async fn a_pod_that_does_not_go_is_ended_by_hand_with_its_manifest_in_place() {
    let node = Stuck::new(Needs::EndedByHand, &[POD]);
    let before = node.manifest();
    let reports = node.restart(&node.group(&[POD]), false).await.unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].remedies, [Remedy::Containers]);
    assert_eq!(node.manifest(), before);
    assert_eq!(node.runtime.lock().unwrap().ended, ["stop proxy"]);
    let told = node.told.lock().unwrap();
    let not_going = told
        .iter()
        .position(|step| matches!(step, Progress::NotEnding { .. }));
    let ending = told
        .iter()
        .position(|step| matches!(step, Progress::ContainersEnding { .. }));
    assert!(not_going.is_some() && not_going < ending, "{told:?}");
    assert_eq!(node.systemd_was_told(), "");
}

#[tokio::test]
async fn a_stopped_node_gets_its_kubelet_first_and_then_each_pod_anew_in_order() {
    let node = Stuck::new(Needs::EndedByHand, &["first", "second"]);
    let group = node.group(&["first", "second"]);
    let reports = node.restart(&group, true).await.unwrap();
    let names: Vec<&str> = reports.iter().map(|one| one.component.as_str()).collect();
    assert_eq!(names, ["second", "first"]);
    assert_eq!(node.systemd_was_told(), "reset-failed\nrestart\n");
    let runtime = node.runtime.lock().unwrap();
    assert_eq!(runtime.ended, ["stop first", "stop second"]);
    assert!(runtime.runs("first") && runtime.runs("second"));
    let told = node.told.lock().unwrap();
    let at = |wanted: &dyn Fn(&Progress) -> bool| told.iter().position(wanted).unwrap();
    let kubelet = at(&|step| matches!(step, Progress::KubeletAnswers { .. }));
    let healthy = |name: &'static str| {
        at(&move |step| matches!(step, Progress::Healthy { component, .. } if component == name))
    };
    let ending = |name: &'static str| {
        at(
            &move |step| matches!(step, Progress::ContainersEnding { component } if component == name),
        )
    };
    assert!(kubelet < ending("first"));
    assert!(healthy("first") < ending("second"));
    assert!(
        !told
            .iter()
            .any(|step| matches!(step, Progress::ManifestOut { .. }))
    );
}

/// The kubelet goes on, and lets what has just ended wait before it starts it again.
#[tokio::test]
async fn what_had_ended_before_is_removed_at_once() {
    let node = Stuck::new(Needs::EndedByHand, &["first"]);
    node.runtime.lock().unwrap().stop("first");
    let kubelet = Arc::clone(&node.runtime);
    tokio::spawn(async move {
        while kubelet.lock().unwrap().ended.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        kubelet.lock().unwrap().start("first");
    });
    let reports = node.restart(&node.group(&["first"]), true).await.unwrap();
    assert_eq!(reports[0].remedies, []);
    let runtime = node.runtime.lock().unwrap();
    assert_eq!(runtime.ended, ["remove first-cp1"]);
    assert!(runtime.runs("first"));
}

#[tokio::test]
async fn a_probe_that_nobody_answered_before_is_not_waited_for_afterwards() {
    let node = Stuck::new(Needs::Nothing, &[POD]);
    // The probe names no host, and the address that is taken for it need not be right.
    let flags = ["kube-apiserver", "--advertise-address=127.45.67.89"];
    node.tree.manifest("kube-apiserver", &words(&flags));
    let probe = "livenessProbe: {httpGet: {path: /up, port: 1}}";
    let text = node
        .manifest()
        .replace("    command:\n", &format!("    {probe}\n    command:\n"));
    assert!(text.contains(probe));
    let manifest = node
        .tree
        .path(&format!("/etc/kubernetes/manifests/{POD}.yaml"));
    fs::write(manifest, text).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let reports = node.restart(&node.group(&[POD]), false).await.unwrap();
    assert!(reports[0].remedies.is_empty());
}
