//! The sample node's static pods and kubelet configuration.

use std::net::Ipv4Addr;

/// The kubelet's configuration, as far as it matters here.
pub(super) const KUBELET_CONFIGURATION: &str = "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
";

/// File names and texts.
pub(super) fn manifests(node: &str, address: Ipv4Addr) -> Vec<(&'static str, String)> {
    vec![
        ("etcd.yaml", etcd(node, address)),
        ("kube-apiserver.yaml", apiserver(address)),
        ("kube-controller-manager.yaml", controller_manager()),
        ("kube-scheduler.yaml", scheduler()),
    ]
}

fn etcd(node: &str, address: Ipv4Addr) -> String {
    let command = [
        "etcd".to_owned(),
        format!("--advertise-client-urls=https://{address}:2379"),
        "--cert-file=/etc/kubernetes/pki/etcd/server.crt".to_owned(),
        "--client-cert-auth=true".to_owned(),
        "--data-dir=/var/lib/etcd".to_owned(),
        "--key-file=/etc/kubernetes/pki/etcd/server.key".to_owned(),
        format!("--listen-client-urls=https://127.0.0.1:2379,https://{address}:2379"),
        "--listen-metrics-urls=http://127.0.0.1:2381".to_owned(),
        format!("--listen-peer-urls=https://{address}:2380"),
        format!("--name={node}"),
        "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt".to_owned(),
        "--peer-client-cert-auth=true".to_owned(),
        "--peer-key-file=/etc/kubernetes/pki/etcd/peer.key".to_owned(),
        "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt".to_owned(),
        "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt".to_owned(),
    ];
    let mounts = [
        ("etcd-data", "/var/lib/etcd", "DirectoryOrCreate"),
        (
            "etcd-certs",
            "/etc/kubernetes/pki/etcd",
            "DirectoryOrCreate",
        ),
    ];
    pod("etcd", "etcd:3.6.8-0", &command, &mounts)
}

fn apiserver(address: Ipv4Addr) -> String {
    let command = [
        "kube-apiserver".to_owned(),
        format!("--advertise-address={address}"),
        "--client-ca-file=/etc/kubernetes/pki/ca.crt".to_owned(),
        "--etcd-cafile=/etc/kubernetes/pki/etcd/ca.crt".to_owned(),
        "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt".to_owned(),
        "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key".to_owned(),
        "--etcd-servers=https://127.0.0.1:2379".to_owned(),
        "--kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt".to_owned(),
        "--kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key".to_owned(),
        "--proxy-client-cert-file=/etc/kubernetes/pki/front-proxy-client.crt".to_owned(),
        "--proxy-client-key-file=/etc/kubernetes/pki/front-proxy-client.key".to_owned(),
        "--requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt".to_owned(),
        "--secure-port=6443".to_owned(),
        "--service-account-key-file=/etc/kubernetes/pki/sa.pub".to_owned(),
        "--service-account-signing-key-file=/etc/kubernetes/pki/sa.key".to_owned(),
        "--tls-cert-file=/etc/kubernetes/pki/apiserver.crt".to_owned(),
        "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key".to_owned(),
    ];
    let mounts = [("k8s-certs", "/etc/kubernetes/pki", "DirectoryOrCreate")];
    pod(
        "kube-apiserver",
        "kube-apiserver:v1.36.2",
        &command,
        &mounts,
    )
}

fn controller_manager() -> String {
    let conf = "/etc/kubernetes/controller-manager.conf";
    let command = [
        "kube-controller-manager".to_owned(),
        format!("--authentication-kubeconfig={conf}"),
        format!("--authorization-kubeconfig={conf}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--client-ca-file=/etc/kubernetes/pki/ca.crt".to_owned(),
        "--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt".to_owned(),
        "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key".to_owned(),
        format!("--kubeconfig={conf}"),
        "--requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt".to_owned(),
        "--root-ca-file=/etc/kubernetes/pki/ca.crt".to_owned(),
        "--service-account-private-key-file=/etc/kubernetes/pki/sa.key".to_owned(),
    ];
    let mounts = [
        ("k8s-certs", "/etc/kubernetes/pki", "DirectoryOrCreate"),
        ("kubeconfig", conf, "FileOrCreate"),
    ];
    pod(
        "kube-controller-manager",
        "kube-controller-manager:v1.36.2",
        &command,
        &mounts,
    )
}

fn scheduler() -> String {
    let conf = "/etc/kubernetes/scheduler.conf";
    let command = [
        "kube-scheduler".to_owned(),
        format!("--authentication-kubeconfig={conf}"),
        format!("--authorization-kubeconfig={conf}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--kubeconfig={conf}"),
    ];
    let mounts = [("kubeconfig", conf, "FileOrCreate")];
    pod(
        "kube-scheduler",
        "kube-scheduler:v1.36.2",
        &command,
        &mounts,
    )
}

fn pod(name: &str, image: &str, command: &[String], mounts: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    component: {name}\n    tier: control-plane\n  \
         name: {name}\n  namespace: kube-system\nspec:\n  containers:\n  - command:\n"
    );
    for word in command {
        text.push_str(&format!("    - {word}\n"));
    }
    text.push_str(&format!(
        "    image: registry.invalid/{image}\n    name: {name}\n    volumeMounts:\n"
    ));
    for (volume, path, _) in mounts {
        text.push_str(&format!(
            "    - mountPath: {path}\n      name: {volume}\n      readOnly: true\n"
        ));
    }
    text.push_str("  hostNetwork: true\n  priorityClassName: system-node-critical\n  volumes:\n");
    for (volume, path, kind) in mounts {
        text.push_str(&format!(
            "  - hostPath:\n      path: {path}\n      type: {kind}\n    name: {volume}\n"
        ));
    }
    text
}
