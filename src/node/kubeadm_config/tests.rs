#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::pki::{KeyAlgorithm, LeafName, SubjectAltName};

fn defaults() -> Defaults {
    Defaults {
        node_name: Some("host".to_owned()),
        advertise_address: Some("192.0.2.2".parse().unwrap()),
        only_server: false,
    }
}

fn texts(names: &[SubjectAltName]) -> Vec<String> {
    names
        .iter()
        .map(|name| match name {
            SubjectAltName::Dns(name) => name.clone(),
            SubjectAltName::Ip(address) => address.to_string(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn cluster(version: &str, fields: &str) -> String {
    format!("apiVersion: kubeadm.k8s.io/{version}\nkind: ClusterConfiguration\n{fields}")
}

#[test]
fn all_fields_are_followed_as_kubeadm_does() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {name: Cp-1}\n\
        localAPIEndpoint: {advertiseAddress: 10.0.0.5, bindPort: 7443}\n---\n\
        apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: prod\n\
        controlPlaneEndpoint: api.example.net\ncertificatesDir: /k/pki\nencryptionAlgorithm: ECDSA-P256\n\
        certificateValidityPeriod: 100h\ncaCertificateValidityPeriod: 1000h\n\
        apiServer:\n  extraArgs: [{name: a, value: b}]\n  certSANs: [EXTRA.example.net, \"*.wild.example.net\", 10.9.8.7, \"2001:db8::5\"]\n\
        networking: {serviceSubnet: \"fd00::/112,10.1.0.0/16\", dnsDomain: corp.local}\n\
        etcd:\n  local: {serverCertSANs: [etcd.example.net, 10.9.9.9], peerCertSANs: [peer.example.net]}\n---\n\
        apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
    let read = parse(text, &defaults()).unwrap();
    assert_eq!(read.node_name, "cp-1");
    assert_eq!(read.cluster_name, "prod");
    assert_eq!(read.server(), "https://api.example.net:7443");
    assert_eq!(read.local_server(), "https://10.0.0.5:7443");
    assert_eq!(read.key_algorithm, KeyAlgorithm::EcdsaP256);
    assert_eq!(read.validity.as_secs(), 100 * 3600);
    assert_eq!(read.authority_validity.as_secs(), 1000 * 3600);
    // What kubeadm 1.36.2 made of the same file.
    assert_eq!(
        texts(&read.names_of(LeafName::Apiserver)),
        [
            "*.wild.example.net",
            "api.example.net",
            "cp-1",
            "extra.example.net",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.corp.local",
            "fd00::1",
            "10.0.0.5",
            "10.9.8.7",
            "2001:db8::5"
        ]
    );
    assert_eq!(
        texts(&read.names_of(LeafName::EtcdServer)),
        [
            "cp-1",
            "etcd.example.net",
            "localhost",
            "10.0.0.5",
            "127.0.0.1",
            "::1",
            "10.9.9.9"
        ]
    );
    assert_eq!(
        texts(&read.names_of(LeafName::EtcdPeer)),
        [
            "cp-1",
            "localhost",
            "peer.example.net",
            "10.0.0.5",
            "127.0.0.1",
            "::1"
        ]
    );
}

#[test]
fn what_is_left_open_is_kubeadms_default() {
    for version in ["v1beta3", "v1beta4", "v1"] {
        let read = parse(&cluster(version, ""), &defaults()).unwrap();
        assert_eq!(read, ControlPlane::of_defaults(&defaults()).unwrap());
        assert_eq!(read.server(), "https://192.0.2.2:6443");
        assert_eq!(read.key_algorithm, KeyAlgorithm::Rsa2048);
        assert!(texts(&read.names_of(LeafName::Apiserver)).contains(&"10.96.0.1".to_owned()));
    }
    assert!(ControlPlane::of_defaults(&Defaults::default()).is_err());
}

#[test]
fn mistakes_are_said_with_their_line_and_what_would_be_right() {
    let one = |fields: &str| cluster("v1beta4", fields);
    for (text, said) in [
        (cluster("v1beta2", ""), "too old; write kubeadm.k8s.io/v1beta4"),
        (cluster("v2", ""), "line 1: apiVersion \"kubeadm.k8s.io/v2\" is not known; write kubeadm.k8s.io/v1beta3"),
        (one("apiServer:\n  certSANs:\n  - good\n  - under_score\n"), "line 6: apiServer.certSANs: \"under_score\" is neither"),
        (one("apiServer: {certSANs: [a..b]}\n"), "line 3: apiServer.certSANs"),
        (one("etcd: {local: {serverCertSANs: [UPPER.y]}}\n"), "etcd.local.serverCertSANs: \"UPPER.y\""),
        (one("apiServer: {extraArgs: {a: b}}\n"), "apiServer.extraArgs is a mapping, and since v1beta4 a list"),
        (cluster("v1beta3", "apiServer: {extraArgs: [{name: a, value: b}]}\n"), "is a list, and in v1beta3 a mapping"),
        (cluster("v1beta3", "encryptionAlgorithm: RSA-4096\n"), "line 3: v1beta3 has no encryptionAlgorithm"),
        (one("encryptionAlgorithm: DSA\n"), "write RSA-2048"),
        (one("networking: {serviceSubnet: 10.0.0.0}\n"), "networking.serviceSubnet"),
        (one("certificateValidityPeriod: 1y\n"), "write 8760h"),
        (one("controlPlaneEndpoint: \"a:b:c\"\n"), "is no endpoint"),
        (one("certificatesDir: pki\n"), "is no absolute path"),
        (one("etcd: {local: {}, external: {endpoints: [https://x]}}\n"), "both local and external"),
        (one("") + "---\n" + &one(""), "line 4: the file has a second document of this kind"),
        ("apiVersion: v1\nkind: Pod\n".to_owned(), "has no ClusterConfiguration"),
        ("kind: ClusterConfiguration\n".to_owned(), "has no apiVersion"),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: Clusterconfiguration\n".to_owned(), "line 1: kind \"Clusterconfiguration\""),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 127.0.0.1}\n".to_owned(), "other nodes reach"),
        (one("a: [\n"), "line"),
    ] {
        let error = parse(&text, &defaults()).unwrap_err();
        assert!(error.contains(said), "{error}\nfor {text}");
    }
}

#[test]
fn endpoints_of_every_form() {
    for (written, server) in [
        ("10.0.0.9", "https://10.0.0.9:6443"),
        ("10.0.0.9:8443", "https://10.0.0.9:8443"),
        ("\"2001:db8::9\"", "https://[2001:db8::9]:6443"),
        ("\"[2001:db8::9]:8443\"", "https://[2001:db8::9]:8443"),
        ("name.example:1", "https://name.example:1"),
    ] {
        let text = cluster("v1beta4", &format!("controlPlaneEndpoint: {written}\n"));
        assert_eq!(parse(&text, &defaults()).unwrap().server(), server);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = parse(&text, &defaults());
        let _ = parse(&cluster("v1beta4", &text), &defaults());
    }
}
