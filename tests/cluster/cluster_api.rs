//! Cluster API's objects, which keep when a machine's certificates end.

use jiff::Timestamp;
use kubecertd::cluster::{MachineTold, tell_machine};
use serde_json::{Value, json};

use crate::lease_api::Api;

const NODE: &str = "/api/v1/nodes/cp1";
const EXPIRY: &str = "machine.cluster.x-k8s.io/certificates-expiry";
const ENDS: &str = "2027-11-26T03:12:00Z";

fn machine(version: &str) -> String {
    format!("/apis/cluster.x-k8s.io/{version}/namespaces/tenant/machines/cp-abcde")
}

fn config(version: &str) -> String {
    format!("/apis/bootstrap.cluster.x-k8s.io/{version}/namespaces/tenant/kubeadmconfigs/cp-xyz")
}

/// A Machine that is the node of that name, with its KubeadmConfig.
async fn api(version: &str, node: &str) -> Api {
    let api = Api::start().await;
    let annotations = json!({
        "cluster.x-k8s.io/machine": "cp-abcde", "cluster.x-k8s.io/cluster-namespace": "tenant",
    });
    put(
        &api,
        NODE,
        json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "cp1", "annotations": annotations},
        }),
    );
    put(
        &api,
        &machine(version),
        json!({
            "kind": "Machine", "apiVersion": format!("cluster.x-k8s.io/{version}"),
            "metadata": {"name": "cp-abcde", "resourceVersion": "7"},
            "spec": {"bootstrap": {"configRef": {"kind": "KubeadmConfig", "name": "cp-xyz"}}},
            "status": {"nodeRef": {"name": node}},
        }),
    );
    put(
        &api,
        &config(version),
        json!({
            "kind": "KubeadmConfig", "apiVersion": format!("bootstrap.cluster.x-k8s.io/{version}"),
            "metadata": {"name": "cp-xyz", "resourceVersion": "8", "annotations": {EXPIRY: "2026-12-01T00:00:00Z", "a": "b"}},
            "spec": {"clusterConfiguration": {}},
        }),
    );
    api
}

fn put(api: &Api, path: &str, object: Value) {
    let mut stored = api.stored.lock().unwrap();
    stored.others.insert(path.to_owned(), object);
}

fn get(api: &Api, path: &str) -> Value {
    api.stored.lock().unwrap().others[path].clone()
}

fn writes(api: &Api) -> usize {
    let asked = api.stored.lock().unwrap().asked.clone();
    asked.iter().filter(|line| !line.starts_with("GET")).count()
}

async fn told(api: &Api) -> MachineTold {
    let seat = api.seat("cp1");
    let ends: Timestamp = ENDS.parse().unwrap();
    let workload = (&seat.access, &seat.servers[..]);
    tell_machine("cp1", ends, workload, &seat.access)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_date_is_brought_up_to_date_where_cluster_api_keeps_it() {
    for version in ["v1beta2", "v1beta1"] {
        let api = api(version, "cp1").await;
        assert_eq!(told(&api).await, MachineTold::Updated);
        let kept = get(&api, &config(version));
        assert_eq!(
            kept["metadata"]["annotations"],
            json!({EXPIRY: ENDS, "a": "b"})
        );
        assert_eq!(kept["metadata"]["resourceVersion"], "8");
        assert_eq!(told(&api).await, MachineTold::Known);
        assert_eq!(writes(&api), 1);
        // What an administrator said of the Machine counts first.
        let mut own = get(&api, &machine(version));
        own["metadata"]["annotations"] = json!({EXPIRY: "2026-12-01T00:00:00Z"});
        put(&api, &machine(version), own);
        assert_eq!(told(&api).await, MachineTold::Updated);
        assert_eq!(
            get(&api, &machine(version))["metadata"]["annotations"][EXPIRY],
            ENDS
        );
    }
}

#[tokio::test]
async fn another_nodes_machine_is_left_alone_whatever_the_node_says() {
    let api = api("v1beta2", "cp2").await;
    assert_eq!(told(&api).await, MachineTold::AnotherMachine);
    let mut node = get(&api, NODE);
    let name = "cluster.x-k8s.io/machine";
    node["metadata"]["annotations"][name] = json!("../secrets/x");
    put(&api, NODE, node.clone());
    assert_eq!(told(&api).await, MachineTold::NoMachine);
    node["metadata"]["annotations"][name] = json!("gone");
    put(&api, NODE, node);
    assert_eq!(told(&api).await, MachineTold::AnotherMachine);
    assert_eq!(writes(&api), 0);
}

#[tokio::test]
async fn what_cluster_api_has_not_read_yet_it_reads_by_itself() {
    let api = api("v1beta2", "cp1").await;
    let mut kept = get(&api, &config("v1beta2"));
    kept["metadata"]["annotations"] = json!({});
    put(&api, &config("v1beta2"), kept);
    assert_eq!(told(&api).await, MachineTold::NotKept);
    assert_eq!(writes(&api), 0);
}
