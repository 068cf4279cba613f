use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

/// An API server as kubeadm writes it, shortened, with the certificates mounted from elsewhere.
const API_SERVER: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  annotations: {kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: "10.0.0.1:6443"}
  labels: {component: kube-apiserver, tier: control-plane}
  name: kube-apiserver
  namespace: kube-system
spec:
  hostNetwork: true
  initContainers:
  - name: prepare
    command: [sh, -c, "cp /pki/extra.pem /tmp"]
    volumeMounts: [{name: certs, mountPath: /pki}]
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.36.1
    command:
    - kube-apiserver
    - --advertise-address=10.0.0.1
    - --client-ca-file=/etc/kubernetes/pki/ca.crt
    - --tls-cert-file
    - /etc/kubernetes/pki/./x/../apiserver.crt
    - --tls-private-key-file=/etc/kubernetes/pki/apiserver.key
    - --tls-sni-cert-key=/etc/kubernetes/pki/sni.crt,/etc/kubernetes/pki/sni.key:*.example.org
    - --etcd-servers=https://127.0.0.1:2379
    - --secure-port=1
    - --oidc-ca-file=/in/the/image.crt
    args: [--secure-port, 6443]
    env:
    - {name: POLICY, value: /etc/kubernetes/policy/audit.yaml}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    ports: [{name: probe-port, containerPort: 6443}]
    livenessProbe: {httpGet: {host: 10.0.0.1, path: /livez, port: 6443, scheme: HTTPS}}
    readinessProbe: {httpGet: {host: 10.0.0.1, path: /readyz, port: probe-port, scheme: HTTPS}}
    volumeMounts:
    - {mountPath: /etc/kubernetes/pki, name: certs, readOnly: true}
    - {mountPath: /etc/kubernetes/pki/sni.crt, name: sni}
    - {mountPath: /etc/ssl/certs, name: ca-certs}
    - {mountPath: /etc/kubernetes/policy/audit.yaml, name: policy}
    - {mountPath: /extra, name: certs, subPath: more/of/it}
    - {mountPath: /scratch, name: scratch}
    - {mountPath: /run/plugin, name: plugin}
  volumes:
  - {name: certs, hostPath: {path: /srv/pki, type: DirectoryOrCreate}}
  - {name: ca-certs, hostPath: {path: /etc/ssl/certs}}
  - {name: policy, hostPath: {path: /srv/policy, type: File}}
  - {name: sni, hostPath: {path: /srv/sni.crt, type: FileOrCreate}}
  - {name: scratch, emptyDir: {}}
  - {name: plugin, hostPath: {path: /run/plugin.sock, type: Socket}}
"#;

fn parse(text: &str) -> Result<StaticPod, ManifestError> {
    let root = Root::new(Path::new("/tree")).unwrap();
    StaticPod::parse(Path::new("/tree/m.yaml"), text, &root)
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

#[test]
fn a_pod_is_read() {
    let pod = parse(API_SERVER).unwrap();
    assert_eq!(pod.component(), "kube-apiserver");
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str()),
        ("kube-apiserver", "kube-system")
    );
    assert_eq!(pod.termination_grace_seconds, 30);
    assert_eq!(pod.containers.len(), 1);
    assert_eq!(
        pod.containers[0].probe,
        Some(HttpProbe {
            host: "10.0.0.1".to_owned(),
            port: Some(6443),
            path: "/readyz".to_owned(),
            https: true,
        })
    );
    assert_eq!(pod.host_paths["policy"], Path::new("/tree/srv/policy"));
    assert_eq!(pod.flag("secure-port"), Some("6443"));
    assert_eq!(pod.flag("advertise-address"), Some("10.0.0.1"));
    assert_eq!(pod.flag("absent"), None);
    assert_eq!(
        pod.file_flag("tls-cert-file").as_deref(),
        Some(Path::new("/tree/srv/pki/apiserver.crt"))
    );
    assert_eq!(pod.file_flag("oidc-ca-file"), None);
}

#[test]
fn files_are_mapped_to_the_node() {
    let pod = parse(API_SERVER).unwrap();
    assert_eq!(
        pod.files(),
        paths(&[
            "/tree/srv/pki/apiserver.crt",
            "/tree/srv/pki/apiserver.key",
            "/tree/srv/pki/ca.crt",
            "/tree/srv/pki/extra.pem",
            "/tree/srv/pki/sni.key",
            "/tree/srv/policy",
            "/tree/srv/sni.crt",
        ])
    );
    assert_eq!(
        pod.whole_directories(),
        paths(&["/tree/etc/ssl/certs", "/tree/srv/pki/more/of/it"])
    );
    assert!(pod.uses(Path::new("/tree/srv/pki/../pki/apiserver.crt")));
    assert!(pod.uses(Path::new("/tree/srv/pki/more/of/it/x.crt")));
    assert!(!pod.uses(Path::new("/tree/srv/pki/front-proxy-client.crt")));
}

#[test]
fn a_kubeconfig_mounted_without_a_type_is_a_file() {
    let pod = parse(
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "kube-vip"}, "spec": {
            "containers": [{"name": "kube-vip", "args": ["manager"], "env": [{"name": "port", "value": 6443}],
              "volumeMounts": [{"mountPath": "/etc/kubernetes/admin.conf", "name": "kubeconfig"}]}],
            "volumes": [{"name": "kubeconfig", "hostPath": {"path": "/etc/kubernetes/admin.conf"}}]}}"#,
    )
    .unwrap();
    assert_eq!(pod.namespace, "default");
    assert_eq!(pod.component(), "kube-vip");
    assert_eq!(pod.files(), paths(&["/tree/etc/kubernetes/admin.conf"]));
    assert_eq!(pod.whole_directories(), paths(&[]));
    assert!(pod.uses(Path::new("/tree/etc/kubernetes/admin.conf")));
    assert!(!pod.uses(Path::new("/tree/etc/kubernetes/scheduler.conf")));
}

#[test]
fn a_directory_named_by_a_flag_is_used_whole() {
    let pod = parse(
        "# flow\n{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{command: [x, --cert-dir=/pki/etcd, \
         --data=/data], volumeMounts: [{name: p, mountPath: /pki}, {name: d, mountPath: /data}]}], volumes: \
         [{name: p, hostPath: {path: /srv/pki}}, {name: d, hostPath: {path: /srv/data}}]}}",
    )
    .unwrap();
    assert!(pod.uses(Path::new("/tree/srv/pki/etcd/server.crt")));
    assert!(!pod.uses(Path::new("/tree/srv/pki/ca.crt")));
    assert!(pod.uses(Path::new("/tree/srv/data/x")));
}

/// A proxy beside the API server with flags of the same names and another volume at the same path, once before and once
/// after it.
#[test]
fn a_flag_is_the_main_containers_and_its_file_is_in_that_ones_mounts() {
    let main = "  - name: server\n    command: [/usr/bin/kube-apiserver, --client-ca-file=/pki/ca.crt]\n    volumeMounts: [{name: node, mountPath: /pki}]\n";
    let proxy = "  - name: proxy\n    command: [proxy, --client-ca-file=/pki/ca.crt, --tls-cert-file=/pki/proxy.crt]\n    volumeMounts: [{name: own, mountPath: /pki}]\n";
    let volumes = "  volumes: [{name: node, hostPath: {path: /srv/pki}}, {name: own, hostPath: {path: /srv/proxy}}]\n";
    for containers in [[main, proxy], [proxy, main]] {
        for name in ["kube-apiserver", "api"] {
            let pod = parse(&format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n{}{volumes}",
                containers.concat()
            ))
            .unwrap();
            assert_eq!(
                (pod.component(), pod.program()),
                ("kube-apiserver", Some("kube-apiserver"))
            );
            let file = |flag| pod.file_flag(flag);
            assert_eq!(
                file("client-ca-file"),
                Some(PathBuf::from("/tree/srv/pki/ca.crt"))
            );
            assert_eq!(
                file("tls-cert-file"),
                Some(PathBuf::from("/tree/srv/proxy/proxy.crt"))
            );
        }
    }
}

#[test]
fn a_component_is_known_by_label_name_or_command() {
    for (name, label, command, component, program) in [
        (
            "x",
            "kube-apiserver",
            "x",
            "kube-apiserver",
            Some("kube-apiserver"),
        ),
        (
            "kube-apiserver",
            "",
            "x",
            "kube-apiserver",
            Some("kube-apiserver"),
        ),
        (
            "kube-apiserver",
            "mine",
            "x",
            "mine",
            Some("kube-apiserver"),
        ),
        ("x", "", "/usr/local/bin/etcd", "etcd", Some("etcd")),
        (
            "x",
            "mine",
            "kube-scheduler",
            "mine",
            Some("kube-scheduler"),
        ),
        ("x", "mine", "x", "mine", None),
        ("x", "", "etcdctl", "x", None),
    ] {
        let pod = parse(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{component: '{label}'}}}}\n\
             spec: {{containers: [{{command: [{command}]}}]}}\n"
        ))
        .unwrap();
        assert_eq!(
            (pod.component(), pod.program()),
            (component, program),
            "{name} {label} {command}"
        );
    }
}

#[test]
fn of_two_that_run_the_same_one_is_the_component() {
    let pod = |name: &str, label: &str, namespace: &str| {
        parse(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{component: '{label}'}}}}\n\
             spec: {{containers: [{{command: [etcd]}}]}}\n"
        ))
        .unwrap()
    };
    let etcd = || pod("etcd", "etcd", "kube-system");
    let events = || pod("etcd-events", "", "kube-system");
    let components = |mut pods: Vec<StaticPod>, elsewhere: &[StaticPod]| -> Vec<String> {
        StaticPod::settle_roles(&mut pods, elsewhere);
        pods.iter().map(|pod| pod.component().to_owned()).collect()
    };
    assert_eq!(
        components(vec![events(), etcd()], &[]),
        ["etcd-events", "etcd"]
    );
    assert_eq!(
        components(vec![etcd(), events()], &[]),
        ["etcd", "etcd-events"]
    );
    assert_eq!(components(vec![events()], &[]), ["etcd"]);
    // While etcd's own manifest is out, nothing else takes its name.
    assert_eq!(components(vec![events()], &[etcd()]), ["etcd-events"]);
    assert_eq!(
        components(
            vec![
                pod("a", "etcd", "x"),
                pod("b", "etcd", "kube-system"),
                pod("etcd", "", "x")
            ],
            &[]
        ),
        ["a", "etcd", "x/etcd"]
    );
}

#[test]
fn null_is_nothing() {
    let pod = parse(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: ~, labels: ~}\nspec:\n  containers:\n  \
         - {command: ~, args: [1, true], env: ~, volumeMounts: ~, livenessProbe: {httpGet: {port: nowhere}}}\n  volumes: ~\n",
    )
    .unwrap();
    assert_eq!(pod.containers[0].command, ["1", "true"]);
    assert_eq!(pod.containers[0].probe.as_ref().unwrap().port, None);
    assert!(pod.files().is_empty());
}

#[test]
fn what_is_no_pod_is_said() {
    for (text, message) in [
        ("", "not a Pod: the file is empty"),
        (
            "kind: Service\n",
            "not a Pod: kind is \"Service\" and not \"Pod\"",
        ),
        ("{}", "not a Pod: kind is \"\" and not \"Pod\""),
        (
            "apiVersion: v2\nkind: Pod\n",
            "not a Pod: apiVersion is \"v2\" and not \"v1\"",
        ),
        (
            "apiVersion: v1\nkind: Pod\n",
            "not a Pod: metadata.name is not set",
        ),
        ("kind: [", "not YAML: "),
        (
            "hello",
            "not YAML: expected mapping start at line 1, column 1",
        ),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}|[-a-z:{}\\[\\], \n]{0,60}", cut in 0usize..2500) {
        let _ = parse(&text);
        if let Some(text) = API_SERVER.get(..cut) && let Ok(pod) = parse(text) {
            let _ = (pod.files(), pod.whole_directories(), pod.flag("secure-port"));
        }
    }

    #[test]
    fn no_value_panics(value in "[-/:,.=a-z ]{0,30}") {
        let quoted = serde_json::to_string(&value).unwrap();
        let text = format!(
            "# flow\n{{apiVersion: v1, kind: Pod, metadata: {{name: x}}, spec: {{containers: [{{command: [{quoted}, {quoted}],\
             volumeMounts: [{{name: v, mountPath: {quoted}, subPath: {quoted}}}]}}],\
             volumes: [{{name: v, hostPath: {{path: {quoted}}}}}]}}}}"
        );
        let pod = parse(&text).unwrap();
        prop_assert!(pod.files().iter().chain(&pod.whole_directories()).all(|path| path.starts_with("/tree")));
    }
}

#[test]
fn kube_vip_is_known_by_its_image_or_its_name() {
    let pod = |name: &str, image: &str, environment: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n  - name: x\n    image: {image}\n    \
             args: [manager]\n    env: [{environment}]\n"
        );
        parse(&text).unwrap().is_kube_vip()
    };
    let for_services = "{name: cp_enable, value: 'false'}, {name: svc_enable, value: 'true'}";
    for (name, image, environment, is_kube_vip) in [
        ("vip", "ghcr.io/kube-vip/kube-vip:v1.0.0", "", true),
        (
            "vip",
            "mirror:5000/kube-vip-iptables@sha256:00",
            "{name: cp_enable, value: 'true'}",
            true,
        ),
        ("kube-vip", "registry.example/own", "", true),
        (
            "vip",
            "ghcr.io/kube-vip/kube-vip:v1.0.0",
            for_services,
            false,
        ),
        (
            "vip",
            "ghcr.io/kube-vip/kube-vip-cloud-provider:v0.0.12",
            "",
            false,
        ),
        ("haproxy", "haproxy:3.0", "", false),
    ] {
        assert_eq!(pod(name, image, environment), is_kube_vip, "{name} {image}");
    }
}
