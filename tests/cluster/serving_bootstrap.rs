//! `kubecertd kubelet serving-bootstrap`: one line in the kubelet's configuration and in the cluster's, and what keeps it from coming there.

use kubecertd::config::Config;
use kubecertd::journal::Trigger;
use kubecertd::operation::{
    BootstrapReport, Context, OperationError, ServingSeen, bootstrap_changes, set_serving_bootstrap,
};
use kubecertd::report::History;
use serde_json::json;
use testkit::live::never;

use crate::lease_api::Api;

const FILE: &str = "/var/lib/kubelet/config.yaml";
const MAP: &str = "/api/v1/namespaces/kube-system/configmaps/kubelet-config";
const OWN: &str =
    "# by kubeadm\nkind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests # here\n";
const CLUSTERS: &str =
    "kind: KubeletConfiguration\nserverTLSBootstrap: false\nrotateCertificates: true\n";

/// A node below a root, whose kubelet is not this machine's, and its cluster.
async fn prepared() -> (Api, Context) {
    let api = Api::start().await;
    api.kubeconfig();
    let command = [
        "kube-apiserver".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", api.listener.port),
    ];
    api.node.manifest("kube-apiserver", &command);
    api.node.write(FILE, OWN);
    std::fs::create_dir_all(api.node.path("/var/lib/kubecertd")).unwrap();
    let map = json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"name": "kubelet-config", "namespace": "kube-system", "resourceVersion": "41"},
        "data": {"kubelet": CLUSTERS, "other": "stays"},
    });
    api.stored
        .lock()
        .unwrap()
        .others
        .insert(MAP.to_owned(), map);
    let context = Context::new(api.node.root.clone(), Config::default(), None);
    (api, context)
}

async fn set(context: &Context, wanted: bool) -> Result<BootstrapReport, OperationError> {
    set_serving_bootstrap(context, (wanted, false), &never(), &mut |_| {}).await
}

fn in_cluster(api: &Api) -> serde_json::Value {
    api.stored.lock().unwrap().others[MAP]["data"].clone()
}

#[tokio::test]
async fn one_line_comes_to_node_and_cluster_and_goes_again() {
    let (api, context) = prepared().await;
    let inventory = context.observe();
    let changes = bootstrap_changes(&context, &inventory, true).await.unwrap();
    let (file, edit) = changes.node.unwrap();
    assert_eq!(file, api.node.path(FILE));
    assert_eq!(
        (edit.removed, edit.added.as_deref()),
        (None, Some("serverTLSBootstrap: true"))
    );
    let cluster = changes.cluster.unwrap();
    assert_eq!(
        cluster.removed.as_deref(),
        Some("serverTLSBootstrap: false")
    );
    assert_eq!(api.node.read(FILE), OWN, "it was only looked at");

    let report = set(&context, true).await.unwrap();
    assert!(
        matches!(report.serving, ServingSeen::NotSeen(_)),
        "{report:?}"
    );
    assert!(report.cluster_failed.is_none());
    assert_eq!(
        api.node.read(FILE),
        format!("{OWN}serverTLSBootstrap: true\n")
    );
    let text = CLUSTERS.replace("false", "true");
    assert_eq!(in_cluster(&api), json!({"kubelet": text, "other": "stays"}));
    let patches = api.stored.lock().unwrap().patches.clone();
    let version = "\"resourceVersion\":\"41\"";
    assert!(
        patches.len() == 1 && patches[0].contains(version),
        "{patches:?}"
    );
    let receipts = History::new(&context.store()).receipts().unwrap();
    let wanted = Trigger::Command("kubelet serving-bootstrap enable".to_owned());
    assert_eq!(receipts.last().unwrap().trigger, wanted);
    assert!(context.store().in_flight().unwrap().is_empty());

    // Once more there is nothing to do, and no operation.
    let again = set(&context, true).await.unwrap();
    assert!(again.renewal.is_none() && again.changes.cluster.is_none());
    let report = set(&context, false).await.unwrap();
    assert_eq!(report.serving, ServingSeen::Off);
    assert_eq!(api.node.read(FILE), OWN);
    let text = CLUSTERS.replace("serverTLSBootstrap: false\n", "");
    assert_eq!(in_cluster(&api)["kubelet"], text);
}

#[tokio::test]
async fn what_cannot_be_edited_or_read_keeps_it_from_beginning() {
    let (api, context) = prepared().await;
    let refused = |error: OperationError, why: &str| {
        assert!(error.to_string().contains(why), "{error}");
        assert!(
            error.to_string().ends_with("nothing was changed"),
            "{error}"
        );
    };
    for (text, why) in [
        (
            "{\"kind\": \"KubeletConfiguration\"}",
            "it is JSON; set serverTLSBootstrap: true there by hand",
        ),
        ("a: 1\n---\nb: 2\n", "more than one document"),
    ] {
        api.node.write(FILE, text);
        refused(set(&context, true).await.unwrap_err(), why);
        assert_eq!(api.node.read(FILE), text);
        assert_eq!(in_cluster(&api)["kubelet"], CLUSTERS);
    }
    api.node.write(FILE, OWN);
    for (code, why) in [(403, "does not permit it"), (500, "cannot do it now")] {
        api.instead(9, code, "{}");
        refused(set(&context, true).await.unwrap_err(), why);
        assert_eq!(api.node.read(FILE), OWN);
    }
    api.instead(0, 0, "");
    let unusual = json!({"metadata": {"resourceVersion": "1"}, "data": {"kubelet": "\"serverTLSBootstrap\": false\n"}});
    api.stored
        .lock()
        .unwrap()
        .others
        .insert(MAP.to_owned(), unusual);
    refused(
        set(&context, true).await.unwrap_err(),
        "ConfigMap kube-system/kubelet-config",
    );
    assert_eq!(api.node.read(FILE), OWN);
}

#[tokio::test]
async fn a_file_that_overrides_it_is_told() {
    let (api, context) = prepared().await;
    let environment = "KUBELET_KUBEADM_ARGS=\"--config-dir=/etc/kubelet.d\"\n";
    api.node
        .write("/var/lib/kubelet/kubeadm-flags.env", environment);
    api.node
        .write("/etc/kubelet.d/10-a.conf", "serverTLSBootstrap: false\n");
    let on = format!("{OWN}serverTLSBootstrap: true\n");
    api.node.write(FILE, &on);
    let inventory = context.observe();
    assert!(!inventory.kubelet.server_tls_bootstrap);
    let error = set(&context, true).await.unwrap_err();
    assert!(
        error.to_string().contains("--config-dir says otherwise"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cluster_that_takes_no_write_is_told_and_the_node_stays_as_it_is() {
    let (api, context) = prepared().await;
    for (code, written) in [(409, "api-conflict"), (403, "api-forbidden")] {
        api.stored.lock().unwrap().no_write = Some((code, "{}".to_owned()));
        let report = set(&context, true).await.unwrap();
        assert_eq!(report.cluster_failed.unwrap().code(), written);
        assert_eq!(
            api.node.read(FILE),
            format!("{OWN}serverTLSBootstrap: true\n")
        );
        assert_eq!(in_cluster(&api)["kubelet"], CLUSTERS);
    }
    let asked = api.stored.lock().unwrap().asked.clone();
    let writes = asked
        .iter()
        .filter(|line| line.starts_with("PATCH"))
        .count();
    assert_eq!(writes, 5 + 1, "so many times and no more");
    // The next time only that is left.
    api.stored.lock().unwrap().no_write = None;
    let report = set(&context, true).await.unwrap();
    assert!(report.renewal.is_none() && report.cluster_failed.is_none());
    assert_eq!(
        in_cluster(&api)["kubelet"],
        CLUSTERS.replace("false", "true")
    );
}

#[tokio::test]
async fn a_cluster_without_such_a_configuration_is_left_alone() {
    let (api, context) = prepared().await;
    api.stored.lock().unwrap().others.clear();
    let report = set(&context, true).await.unwrap();
    assert!(report.changes.cluster.is_none() && report.renewal.is_some());
    assert!(api.stored.lock().unwrap().others.is_empty());
}
