//! Manifests, directories and unknown files that are not as they should be.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::os::unix::fs::symlink;

use kubecertd::config::Locations;
use kubecertd::host::Root;
use kubecertd::node::{CertificateState, observe};
use proptest::prelude::*;
use testkit::Node;

use crate::bad_input::{assert_problem, assert_unreadable};

#[test]
fn manifests() {
    let tree = Node::as_kubeadm_made_it();
    let manifests = "/etc/kubernetes/manifests";
    let etcd = std::fs::read_to_string(tree.path(&format!("{manifests}/etcd.yaml"))).unwrap();
    tree.write(&format!("{manifests}/etcd.yaml.bak"), &etcd);
    tree.write(&format!("{manifests}/notes.txt"), "remember the milk\n");
    tree.write(&format!("{manifests}/service.yaml"), "kind: Service\n");
    tree.write(&format!("{manifests}/empty"), "");
    tree.write(&format!("{manifests}/.hidden"), "a: [");
    tree.write(&format!("{manifests}/directory/x.yaml"), "a: [");
    let inventory = tree.observe();
    assert_eq!(inventory.static_pods.len(), 4);
    assert_eq!(inventory.shadowed.len(), 1);
    assert_eq!(inventory.problems.len(), 4, "{:#?}", inventory.problems);
    assert_eq!(inventory.unread_manifests.len(), 3);
    let path = |name: &str| tree.path(&format!("{manifests}/{name}"));
    assert_problem(
        &inventory,
        path("notes.txt"),
        "not YAML: expected mapping start at line 1",
    );
    assert_problem(
        &inventory,
        path("notes.txt"),
        "the kubelet tries to run every file of this directory",
    );
    assert_problem(
        &inventory,
        path("service.yaml"),
        "not a Pod: kind is \"Service\"",
    );
    assert_problem(&inventory, path("empty"), "not a Pod: the file is empty");
    assert_problem(
        &inventory,
        path("etcd.yaml"),
        "2 manifests for the one pod kube-system/etcd: /etc/kubernetes/manifests/etcd.yaml and \
         /etc/kubernetes/manifests/etcd.yaml.bak; the kubelet runs only /etc/kubernetes/manifests/etcd.yaml.bak",
    );
}

/// What the kubelet of Kubernetes 1.36 takes for a pod and what it refuses, by its own code.
#[test]
fn a_manifest_is_what_the_kubelet_takes_for_one() {
    let tree = Node::as_kubeadm_made_it();
    let file = "/etc/kubernetes/manifests/etcd.yaml";
    let good = std::fs::read_to_string(tree.path(file)).unwrap();
    let json = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"etcd\"},\"spec\":{\"containers\":[]}}";
    let utf16 = |text: &str| -> Vec<u8> {
        format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()
    };
    for taken in [
        format!("{good}---\n"),
        format!("{good}---\nspec: [\n"),
        format!("{good}...\n"),
        format!("# mine\n---\n# more\n{good}"),
        format!("%YAML 1.1\n---\n{good}"),
        format!("\u{feff}{good}"),
        good.replace('\n', "\r\n"),
        good.replace("kind: Pod\n", "kind: Service\nkind: Pod\n"),
        good.replace("kind: Pod\n", "kind: Pod # x\nunknown: {a: &a 1, b: *a}\n"),
        format!("\n \t{json}\n"),
        format!("# not JSON\n{}", json.replace('"', "")).replace(':', ": "),
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain([utf16(&good)])
    {
        tree.write(file, &taken);
        let inventory = tree.observe();
        let text = String::from_utf8_lossy(&taken);
        assert!(
            inventory.static_pod("etcd").is_some(),
            "{:#?} {text}",
            inventory.problems
        );
        assert_eq!(inventory.unread_manifests, [], "{text}");
    }
    for (refused, reason) in [
        (format!("---\n---\n{good}"), "its first document is empty"),
        (
            format!("%YAML 1.2\n---\n{good}"),
            "a directive (%YAML) of another version than 1.1 at line 1",
        ),
        (
            good.replace("apiVersion: v1", "apiVersion: v2"),
            "apiVersion is \"v2\"",
        ),
        (
            good.replace("kind: Pod", "kind: PodList"),
            "kind is \"PodList\"",
        ),
        (good.replace("    command:", "\tcommand:"), "not YAML: "),
        (
            good.replace("spec:", "spec:\u{1}"),
            "a control character at line 8",
        ),
        (
            format!("{json}x"),
            "not JSON, as which the kubelet reads what begins with {: trailing characters",
        ),
        (
            json.replace('"', ""),
            "not JSON, as which the kubelet reads what begins with {",
        ),
        (
            json.replace("\"kind\"", "\"kind\":\"Pod\",\"kind\""),
            "duplicate mapping key: kind",
        ),
        (
            " ".repeat(10 * 1024 * 1024) + &good,
            "is larger than 10 MiB",
        ),
    ] {
        tree.write(file, &refused);
        let inventory = tree.observe();
        assert!(inventory.static_pod("etcd").is_none(), "{reason}");
        assert_problem(&inventory, tree.path(file), reason);
        assert_eq!(inventory.unread_manifests.len(), 1, "{reason}");
    }
    tree.remove(file);
    tree.write("/srv/etcd.yaml", &good);
    symlink("/srv/etcd.yaml", tree.path(file)).unwrap();
    assert!(tree.observe().static_pod("etcd").is_some());
}

#[test]
fn a_manifest_directory_that_is_none() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/manifests");
    let path = tree.path("/etc/kubernetes/manifests");
    assert_problem(
        &tree.observe(),
        path.clone(),
        "does not exist, so no static pod is known",
    );
    tree.write("/etc/kubernetes/manifests", "");
    assert_problem(&tree.observe(), path, "is a file where kubecertd needs");
}

#[test]
fn an_unknown_certificate_that_is_damaged_is_a_row() {
    let tree = Node::as_kubeadm_made_it();
    tree.write_pki("webhook.crt", "");
    tree.write_pki("webhook.pem", "");
    assert_unreadable(
        &tree,
        "webhook.crt",
        "/etc/kubernetes/pki/webhook.crt",
        "is empty",
    );
    assert!(tree.observe().find("webhook.pem").is_none());
}

#[test]
fn an_empty_root_is_observed() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = observe(&Root::new(directory.path()).unwrap(), &Locations::default());
    assert_eq!(inventory.entries.len(), 11);
    assert!(
        inventory
            .entries
            .iter()
            .all(|entry| matches!(entry.state, CertificateState::Missing))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any bytes in any of the files: nothing panics, and the other files are read.
    #[test]
    fn any_bytes_anywhere(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        for (index, file) in [
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes/pki/ca.key",
            "/etc/kubernetes/pki/apiserver.crt",
            "/etc/kubernetes/pki/apiserver.key",
            "/etc/kubernetes/pki/sa.key",
            "/etc/kubernetes/pki/sa.pub",
            "/etc/kubernetes/admin.conf",
            "/etc/kubernetes/kubelet.conf",
            "/etc/kubernetes/other.conf",
            "/etc/kubernetes/manifests/etcd.yaml",
            "/var/lib/kubelet/config.yaml",
            "/var/lib/kubelet/kubeadm-flags.env",
            "/var/lib/kubelet/pki/kubelet-client-current.pem",
        ].into_iter().enumerate() {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, if index % 2 == 0 { &bytes } else { text.as_bytes() }).unwrap();
        }
        let inventory = observe(&root, &Locations::default());
        // Without anything of etcd's it counts as external.
        prop_assert!(inventory.entries.len() >= 7);
    }
}
