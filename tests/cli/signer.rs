//! `kubecertd signer check`: each thing that keeps the controller-manager from signing.
#![allow(clippy::unwrap_used)]

use testkit::{Node, said};

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-controller-manager.yaml";
const CERTIFICATE: &str = "--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt";
const KEY: &str = "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key";

/// The code that is said of each signer, and whether anything is.
fn codes(node: &Node) -> (Vec<Option<String>>, Option<i32>) {
    let output = node.run(&["signer", "check", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let signers = document["signers"].as_array().unwrap();
    let code = |one: &serde_json::Value| one["fault"]["code"].as_str().map(str::to_owned);
    (signers.iter().map(code).collect(), output.status.code())
}

#[test]
fn a_controller_manager_as_kubeadm_makes_it_signs_and_its_key_is_not_opened() {
    let node = Node::fresh();
    // Whoever opened it would find no key.
    node.write("/etc/kubernetes/pki/ca.key", "no key");
    let output = node.run(&["signer", "check"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert_eq!(
        text.lines().filter(|line| line.ends_with(" signs")).count(),
        3,
        "{text}"
    );
}

#[test]
fn what_keeps_it_from_signing_is_said_for_each_signer() {
    let own = "--cluster-signing-kubelet-serving-cert-file=/etc/kubernetes/pki/ca.crt\n    - \
               --cluster-signing-kubelet-serving-key-file=/etc/kubernetes/pki/ca.key";
    let client = "--cluster-signing-kubelet-client-cert-file=/etc/kubernetes/pki/ca.crt";
    let both = ["signing-files-not-set"; 3];
    for (old, new, expected) in [
        (CERTIFICATE, "--cluster-signing-cert-file=", both.map(Some)),
        (KEY, "--v=2", both.map(Some)),
        (
            CERTIFICATE,
            "--controllers=*,-csrsigning",
            ["signing-off"; 3].map(Some),
        ),
        (
            CERTIFICATE,
            "--cluster-signing-cert-file=/srv/ca.crt",
            ["signing-file-not-mounted"; 3].map(Some),
        ),
        (
            CERTIFICATE,
            "--cluster-signing-cert-file=/etc/kubernetes/pki/etcd/ca.crt",
            ["signing-certificate-foreign"; 3].map(Some),
        ),
        (
            CERTIFICATE,
            "--cluster-signing-cert-file=/etc/kubernetes/pki/none.crt",
            ["signing-certificate-unreadable"; 3].map(Some),
        ),
        (
            KEY,
            "--cluster-signing-key-file=/etc/kubernetes/pki/none.key",
            ["signing-key-unusable"; 3].map(Some),
        ),
        (
            KEY,
            &format!("{KEY}\n    - {client}"),
            ["signing-flags-mixed"; 3].map(Some),
        ),
    ] {
        let node = Node::fresh();
        let text = node.read(MANIFEST);
        assert!(text.contains(old), "{text}");
        node.write(MANIFEST, text.replace(old, new));
        let wanted = expected.map(|code| code.map(str::to_owned)).to_vec();
        assert_eq!(codes(&node), (wanted, Some(1)), "{new}");
    }
    // Flags for one signer alone: the others do not sign.
    let node = Node::fresh();
    let text = node
        .read(MANIFEST)
        .replace(CERTIFICATE, own)
        .replace(KEY, "--v=2");
    node.write(MANIFEST, text);
    let lacks = || Some("signing-files-not-set".to_owned());
    assert_eq!(codes(&node), (vec![lacks(), lacks(), None], Some(1)));
}

#[test]
fn a_bundle_a_ca_that_ended_and_a_missing_pod_are_told_apart() {
    let node = Node::fresh();
    let text = node.read("/etc/kubernetes/pki/ca.crt");
    node.write("/etc/kubernetes/pki/ca.crt", format!("{text}{text}"));
    let (found, code) = codes(&node);
    assert_eq!(
        (found[0].as_deref(), code),
        (Some("signing-certificate-not-alone"), Some(1))
    );
    node.write("/etc/kubernetes/pki/ca.crt", &text);
    std::fs::remove_file(node.path(MANIFEST)).unwrap();
    let (found, code) = codes(&node);
    assert_eq!(
        (found[2].as_deref(), code),
        (Some("no-controller-manager"), Some(1))
    );
}
