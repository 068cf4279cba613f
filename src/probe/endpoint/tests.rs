use std::path::Path;

use super::*;
use crate::host::Root;

fn pod(command: &[&str], rest: &str) -> StaticPod {
    let arguments: String = command
        .iter()
        .map(|argument| format!("    - \"{argument}\"\n"))
        .collect();
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: kube-system\n\
         spec:\n  hostNetwork: true\n  containers:\n  - name: main\n    image: x\n    command:\n{arguments}{rest}",
        name = command[0]
    );
    StaticPod::parse(
        Path::new("/etc/kubernetes/manifests/x.yaml"),
        &text,
        &Root::default(),
    )
    .unwrap()
}

fn health(pod: &StaticPod) -> String {
    let endpoint = health_endpoint(pod, Some(NODE)).unwrap();
    format!(
        "{}://{}{}",
        if endpoint.https { "https" } else { "http" },
        endpoint.address,
        endpoint.path
    )
}

const NODE: &str = "10.0.0.7";

const PKI: &str = "    volumeMounts:\n    - {mountPath: /etc/kubernetes/pki, name: pki}\n  volumes:\n  \
                   - {name: pki, hostPath: {path: /srv/pki}}\n";

#[test]
fn the_api_server_answers_where_its_flags_say() {
    let plain = pod(
        &[
            "kube-apiserver",
            "--advertise-address=10.0.0.5",
            "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt",
        ],
        PKI,
    );
    assert_eq!(health(&plain), "https://10.0.0.5:6443/readyz");
    assert_eq!(
        serving_endpoints(&plain),
        [ServingEndpoint {
            leaf: LeafName::Apiserver,
            address: Address {
                host: "10.0.0.5".into(),
                port: 6443
            },
            certificate: PathBuf::from("/srv/pki/apiserver.crt"),
        }]
    );
    let bound = pod(
        &[
            "kube-apiserver",
            "--bind-address=fd00::1",
            "--secure-port=443",
        ],
        "",
    );
    assert_eq!(health(&bound), "https://[fd00::1]:443/readyz");
    assert_eq!(
        health(&pod(&["kube-apiserver", "--bind-address=::"], "")),
        "https://127.0.0.1:6443/readyz"
    );
    assert_eq!(
        health_endpoint(&pod(&["kube-apiserver", "--secure-port=0"], ""), None),
        None
    );
}

#[test]
fn etcd_is_asked_on_its_metrics_listener_and_serves_on_two_ports() {
    let etcd = pod(
        &[
            "etcd",
            "--listen-metrics-urls=http://0.0.0.0:2381",
            "--listen-client-urls=https://10.0.0.5:2379,https://127.0.0.1:2379",
            "--listen-peer-urls=https://10.0.0.5:2380",
            "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
            "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt",
        ],
        PKI,
    );
    assert_eq!(
        health(&etcd),
        "http://127.0.0.1:2381/health?exclude=NOSPACE"
    );
    let serving: Vec<String> = serving_endpoints(&etcd)
        .iter()
        .map(|served| {
            format!(
                "{} {} {}",
                served.leaf.name(),
                served.address,
                served.certificate.display()
            )
        })
        .collect();
    assert_eq!(
        serving,
        [
            "etcd-server 127.0.0.1:2379 /srv/pki/etcd/server.crt",
            "etcd-peer 10.0.0.5:2380 /srv/pki/etcd/peer.crt",
        ]
    );
    let alone = health_endpoint(&etcd, None).unwrap().without_quorum();
    assert_eq!(alone.path, "/health?exclude=NOSPACE&serializable=true");
    let no_metrics = pod(&["etcd", "--listen-client-urls=https://127.0.0.1:2379"], "");
    let endpoint = health_endpoint(&no_metrics, None).unwrap();
    assert_eq!(endpoint.address.to_string(), "127.0.0.1:2379");
    assert_eq!(endpoint.peer, PeerKind::Etcd);
}

#[test]
fn controller_manager_and_scheduler_keep_to_their_own_probes() {
    let probe = "    livenessProbe:\n      httpGet: {host: 127.0.0.1, path: /livez, port: 10259, scheme: HTTPS}\n";
    assert_eq!(
        health(&pod(&["kube-scheduler", "--bind-address=127.0.0.1"], probe)),
        "https://127.0.0.1:10259/livez"
    );
    assert_eq!(
        health(&pod(
            &["kube-controller-manager", "--bind-address=10.0.0.5"],
            ""
        )),
        "https://10.0.0.5:10257/healthz"
    );
}

#[test]
fn another_pod_is_asked_at_its_probes_host_or_in_the_nodes_network() {
    let probe = |host: &str| {
        format!("    livenessProbe:\n      httpGet: {{{host}path: /up, port: 8081}}\n")
    };
    let asked = |pod: &StaticPod, node: Option<&str>| {
        health_endpoint(pod, node).map(|endpoint| (endpoint.address.to_string(), endpoint.is_guess))
    };
    let named = pod(&["haproxy"], &probe("host: 127.0.0.1, "));
    assert_eq!(
        asked(&named, None),
        Some(("127.0.0.1:8081".to_owned(), false))
    );
    let unnamed = pod(&["haproxy"], &probe(""));
    assert_eq!(
        asked(&unnamed, Some(NODE)),
        Some((format!("{NODE}:8081"), true))
    );
    assert_eq!(asked(&unnamed, None), None);
    let own_network = StaticPod {
        host_network: false,
        ..unnamed
    };
    assert_eq!(asked(&own_network, Some(NODE)), None);
    assert_eq!(asked(&pod(&["kube-vip", "manager"], ""), Some(NODE)), None);
}
