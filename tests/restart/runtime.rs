//! The container runtime over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use kubecertd::config::Restart;
use kubecertd::runtime::{ContainerPhase, ContainerRuntime, PodName, RuntimeError};
use testkit::Node;
use testkit::cri::{self, Runtime};

fn name<'a>(name: &'a str, siblings: &'a [String]) -> PodName<'a> {
    PodName {
        namespace: "kube-system",
        name,
        node: Some("CP1"),
        siblings,
    }
}

#[tokio::test]
async fn both_versions_of_the_interface_tell_of_pods() {
    for (interface, told) in [("v1", "CRI v1 "), ("v1alpha2", "CRI v1alpha2 ")] {
        let tree = Node::with_authorities();
        let socket = tree.path("/cri.sock");
        let runtime = Runtime::new(interface);
        runtime.lock().unwrap().start("etcd");
        runtime.lock().unwrap().start("kube-scheduler");
        runtime.lock().unwrap().stop("kube-scheduler");
        cri::serve(&socket, runtime);
        let runtime = ContainerRuntime::connect(&socket).await.unwrap();
        let description = runtime.description();
        assert!(description.starts_with("fakerd 9.9"), "{description}");
        assert!(description.contains(told), "{description}");

        let etcd = runtime.pod(name("etcd", &[])).await.unwrap();
        assert!(etcd.is_alive());
        assert_eq!(etcd.sandboxes[0].uid, "uid-of-etcd");
        assert_eq!(etcd.containers.len(), 1);
        assert_eq!(etcd.containers[0].phase, ContainerPhase::Running);
        assert_eq!(
            etcd.containers[0].created_at.unwrap().to_string(),
            "2023-11-14T22:13:20Z"
        );
        let scheduler = runtime.pod(name("kube-scheduler", &[])).await.unwrap();
        assert!(!scheduler.is_alive());
        assert_eq!(scheduler.containers[0].phase, ContainerPhase::Exited);
    }
}

/// Of two bytes an entry becomes two hundred; and no answer is cut without a word.
#[tokio::test]
async fn answers_of_any_length_are_refused_and_not_unpacked() {
    let tree = Node::with_authorities();
    let socket = tree.path("/cri.sock");
    let shared = Runtime::new("v1");
    cri::serve(&socket, Arc::clone(&shared));
    let runtime = ContainerRuntime::connect(&socket).await.unwrap();
    shared.lock().unwrap().sandboxes = vec![cri::Sandbox::default(); 10_001];
    let error = runtime.pod(name("etcd", &[])).await.unwrap_err();
    assert!(error.to_string().contains("more than 10000"), "{error}");
    let long = cri::Sandbox {
        id: "a".repeat(5 << 20),
        ..cri::Sandbox::default()
    };
    shared.lock().unwrap().sandboxes = vec![long];
    let error = runtime.pod(name("etcd", &[])).await.unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
    // The connection goes on.
    shared.lock().unwrap().sandboxes = vec![cri::Sandbox::default(); 10_000];
    assert!(!runtime.pod(name("etcd", &[])).await.unwrap().is_alive());
}

#[tokio::test]
async fn what_is_no_runtime_is_said_so() {
    let tree = Node::with_authorities();
    let absent = ContainerRuntime::connect(&tree.path("/absent.sock")).await;
    assert!(matches!(absent, Err(RuntimeError::Unreachable { .. })));

    let other = tree.path("/other.sock");
    cri::serve(&other, Runtime::new("v2"));
    let error = ContainerRuntime::connect(&other).await.unwrap_err();
    assert!(matches!(error, RuntimeError::NoInterface { .. }), "{error}");

    let silent = tree.path("/silent.sock");
    let _listener = tokio::net::UnixListener::bind(&silent).unwrap();
    let began = Instant::now();
    let error = ContainerRuntime::connect(&silent).await.unwrap_err();
    assert!(error.to_string().contains("silent.sock"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(12));
}

#[tokio::test]
async fn the_configured_socket_is_taken_and_a_failed_call_is_no_end() {
    let tree = Node::with_authorities();
    let socket = tree.path("/cri.sock");
    let runtime = Runtime::new("v1");
    runtime.lock().unwrap().start("etcd");
    cri::serve(&socket, std::sync::Arc::clone(&runtime));
    let settings = Restart {
        container_runtime: Some(socket),
        ..Restart::default()
    };
    let found = ContainerRuntime::find(&tree.observe_without_kubelet(), &settings)
        .await
        .unwrap();
    runtime.lock().unwrap().failures = 1;
    assert!(found.pod(name("etcd", &[])).await.is_err());
    assert!(found.pod(name("etcd", &[])).await.unwrap().is_alive());
}
