//! The cluster's own configuration, read from the API and kept for when that is away.

use kubecertd::operation::{Learned, look_at_own_configuration};
use serde_json::{Value, json};

use crate::fleet::context_of;
use crate::lease_api::Api;

const PATH: &str = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config";

const TEXT: &str = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
                    apiServer: {certSANs: [lb.example.com]}\ncertificateValidityPeriod: 720h\n";

fn put(api: &Api, text: &str) {
    let object: Value = json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
        "data": {"ClusterConfiguration": text},
    });
    let mut stored = api.stored.lock().unwrap();
    stored.others.insert(PATH.to_owned(), object);
}

fn kept(api: &Api) -> Option<String> {
    let text = std::fs::read(api.node.path("/var/lib/kubecertd/cluster.json")).ok()?;
    let known: Value = serde_json::from_slice(&text).unwrap();
    known["configuration"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn what_the_api_says_is_kept_and_what_is_no_configuration_is_not() {
    let api = Api::start().await;
    let context = context_of(&api);
    let manifest = ["kube-apiserver", "--advertise-address=192.0.2.11"];
    let manifest: Vec<String> = manifest.map(str::to_owned).to_vec();
    api.node.manifest("kube-apiserver", &manifest);
    let inventory = context.observe();
    assert!(inventory.cluster.is_none());
    // A cluster that kubeadm did not make has none.
    look_at_own_configuration(&context, &inventory)
        .await
        .unwrap();
    assert_eq!(kept(&api), None);
    put(&api, TEXT);
    look_at_own_configuration(&context, &inventory)
        .await
        .unwrap();
    assert_eq!(kept(&api).as_deref(), Some(TEXT));
    let cluster = context.observe().cluster.unwrap();
    assert_eq!(cluster.said.validity.unwrap().as_secs(), 720 * 3600);
    assert_eq!(cluster.node_name, "cp1");
    for too_much in [
        format!("{TEXT}# {}", "x".repeat(65 << 10)),
        format!("{TEXT}# \u{1}"),
    ] {
        put(&api, &too_much);
        let learned = look_at_own_configuration(&context, &inventory).await;
        assert!(matches!(learned, Ok(Learned::Unfit)), "{learned:?}");
        assert_eq!(kept(&api), None);
    }
    put(&api, &TEXT.replace("lb.example.com", "\"bad name\""));
    let learned = look_at_own_configuration(&context, &inventory).await;
    let Ok(Learned::NotUnderstood(reason)) = learned else {
        panic!("{learned:?}");
    };
    assert!(reason.contains("bad name"), "{reason}");
    // Where it cannot be kept, what was known before goes on to count, and that is told.
    let file = api.node.path("/var/lib/kubecertd/cluster.json");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let learned = look_at_own_configuration(&context, &inventory).await;
    assert!(matches!(learned, Ok(Learned::NotKept(_))), "{learned:?}");
}
