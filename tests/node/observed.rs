//! Whole nodes as they are found: the usual one and every variant that kubeadm allows.

// Helpers of tests are tests to us, though not to clippy.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use kubecertd::config::Locations;
use kubecertd::node::{CertificateId, CertificateState, Inventory, KeyState, Signer, observe};
use kubecertd::pki::KeyAlgorithm;
use testkit::Node;
use testkit::kubeadm::{authority, leaf};

pub(crate) const P256: KeyState = KeyState::Matching(Some(KeyAlgorithm::EcdsaP256));

fn names(inventory: &Inventory) -> Vec<&str> {
    inventory
        .entries
        .iter()
        .map(|entry| entry.id.as_str())
        .collect()
}

pub(crate) fn extras(inventory: &Inventory) -> Vec<&str> {
    inventory
        .entries
        .iter()
        .filter(|entry| matches!(entry.id, CertificateId::Found(_)))
        .map(|entry| entry.id.as_str())
        .collect()
}

pub(crate) fn signer<'a>(inventory: &'a Inventory, name: &str) -> &'a Signer {
    &inventory.find(name).unwrap().present().unwrap().signer
}

#[test]
fn a_fresh_node_is_whole() {
    let tree = Node::as_kubeadm_made_it();
    let inventory = tree.observe();
    assert_eq!(
        names(&inventory),
        [
            "admin.conf",
            "apiserver",
            "apiserver-etcd-client",
            "apiserver-kubelet-client",
            "controller-manager.conf",
            "etcd-healthcheck-client",
            "etcd-peer",
            "etcd-server",
            "front-proxy-client",
            "scheduler.conf",
            "super-admin.conf",
            "kubelet.conf",
            "kubelet-client-current.pem",
            "kubelet.crt",
        ]
    );
    assert_eq!(inventory.problems, []);
    for entry in &inventory.entries {
        let present = entry.present().unwrap();
        assert_eq!(present.key, P256, "{}", entry.id);
        assert!(present.modified.is_some(), "{}", entry.id);
        let expected = match entry.id {
            CertificateId::KubeletServing(_) => Signer::SelfSigned,
            _ => Signer::Expected,
        };
        assert_eq!(present.signer, expected, "{}", entry.id);
    }
    assert_eq!(inventory.authorities.len(), 3);
    assert!(
        inventory
            .authorities
            .iter()
            .all(|authority| !authority.is_external())
    );
    assert_eq!(inventory.service_account.key, KeyState::Unread);
    assert!(inventory.service_account.public_key_present);
    assert_eq!(inventory.node_name.as_deref(), Some("node-1"));
    assert!(!inventory.external_etcd);
    assert_eq!(inventory.static_pods.len(), 4);
    assert_eq!(
        inventory.directories.manifests,
        tree.path("/etc/kubernetes/manifests")
    );
    assert_eq!(
        inventory.directories.kubelet_pki,
        tree.path("/var/lib/kubelet/pki")
    );

    let kubelet = inventory.find("kubelet.conf").unwrap();
    let current = tree.path("/var/lib/kubelet/pki/kubelet-client-current.pem");
    assert_eq!(kubelet.path, tree.path("/etc/kubernetes/kubelet.conf"));
    assert_eq!(kubelet.certificate_path, current);
    assert_eq!(kubelet.key_path.as_ref(), Some(&current));
}

/// The kubelet reads the directory by file name and keeps the last manifest of a pod that it can read.
#[test]
fn of_two_manifests_for_one_pod_the_one_that_runs_counts() {
    let tree = Node::as_kubeadm_made_it();
    let directory = "/etc/kubernetes/manifests";
    let good =
        std::fs::read_to_string(tree.path(&format!("{directory}/kube-apiserver.yaml"))).unwrap();
    let old = good.replace("/etc/kubernetes/pki", "/etc/kubernetes/old-pki");
    let running = |tree: &Node| {
        let inventory = tree.observe();
        assert_eq!(inventory.static_pods.len(), 4);
        assert_eq!(inventory.shadowed.len(), 1);
        let pod = inventory.static_pod("kube-apiserver").unwrap();
        let name = pod.path.file_name().unwrap().to_string_lossy().into_owned();
        (name, inventory)
    };
    tree.write(&format!("{directory}/kube-apiserver.bak.yaml"), &old);
    let (name, inventory) = running(&tree);
    assert_eq!(name, "kube-apiserver.yaml");
    assert_eq!(
        inventory.directories.certificates,
        tree.path("/etc/kubernetes/pki")
    );
    assert!(inventory.find("apiserver").unwrap().present().is_some());

    // What the kubelet cannot read does not run, whatever its name.
    tree.write(
        &format!("{directory}/kube-apiserver.zz.yaml"),
        old.replace("kind: Pod", "kind: Pot"),
    );
    assert_eq!(running(&tree).0, "kube-apiserver.yaml");
    tree.remove(&format!("{directory}/kube-apiserver.bak.yaml"));
    tree.write(&format!("{directory}/kube-apiserver.zz.yaml"), &old);
    let (name, inventory) = running(&tree);
    assert_eq!(name, "kube-apiserver.zz.yaml");
    assert_eq!(
        inventory.find("apiserver").unwrap().path,
        tree.path("/etc/kubernetes/old-pki/apiserver.crt")
    );
}

#[test]
fn an_api_server_without_a_label_is_one_by_its_command() {
    let tree = Node::as_kubeadm_made_it();
    let file = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    let good = std::fs::read_to_string(tree.path(file)).unwrap();
    let other = good
        .replace("  labels:\n    component: kube-apiserver\n", "")
        .replace(
            "name: kube-apiserver\n  namespace",
            "name: api\n  namespace",
        )
        .replace("/etc/kubernetes/pki", "/etc/kubernetes/ssl");
    tree.remove(file);
    tree.write("/etc/kubernetes/manifests/api.yaml", other);
    let inventory = tree.observe();
    assert_eq!(inventory.static_pod("kube-apiserver").unwrap().name, "api");
    assert_eq!(
        inventory.directories.certificates,
        tree.path("/etc/kubernetes/ssl")
    );
}

#[test]
fn pods_use_their_files() {
    let tree = Node::as_kubeadm_made_it();
    let inventory = tree.observe();
    let users = |name: &str| -> Vec<&str> {
        let path = &inventory.find(name).unwrap().path;
        inventory
            .static_pods
            .iter()
            .filter(|pod| pod.uses(path))
            .map(|pod| pod.component())
            .collect()
    };
    assert_eq!(users("apiserver"), ["kube-apiserver"]);
    assert_eq!(users("etcd-server"), ["etcd"]);
    assert_eq!(
        users("controller-manager.conf"),
        ["kube-controller-manager"]
    );
    assert_eq!(users("scheduler.conf"), ["kube-scheduler"]);
    assert_eq!(users("admin.conf"), [""; 0]);
    assert_eq!(users("etcd-healthcheck-client"), [""; 0]);
}

#[test]
fn another_certificates_directory_is_found() {
    let tree = Node::as_kubeadm_made_it_in("/srv/certificates");
    let inventory = tree.observe();
    assert_eq!(
        inventory.directories.certificates,
        tree.path("/srv/certificates")
    );
    assert!(
        inventory
            .entries
            .iter()
            .all(|entry| entry.present().is_some())
    );
    assert_eq!(inventory.problems, []);

    // Without manifests the kubelet knows.
    for pod in [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "etcd",
    ] {
        tree.remove(&format!("/etc/kubernetes/manifests/{pod}.yaml"));
    }
    let inventory = tree.observe();
    assert_eq!(
        inventory.directories.certificates,
        tree.path("/srv/certificates")
    );
    assert!(!inventory.external_etcd);

    // And the configuration counts before both.
    let locations = Locations {
        certificates: Some("/elsewhere".into()),
        manifests: Some("/manifests".into()),
        kubelet_pki: Some("/kubelet".into()),
        ..Locations::default()
    };
    let inventory = observe(&tree.root, &locations);
    assert_eq!(inventory.directories.certificates, tree.path("/elsewhere"));
    assert_eq!(inventory.directories.manifests, tree.path("/manifests"));
    assert_eq!(inventory.directories.kubelet_pki, tree.path("/kubelet"));
    assert_eq!(
        inventory.find("apiserver").unwrap().path,
        tree.path("/elsewhere/apiserver.crt")
    );
}

#[test]
fn a_certificate_where_a_flag_says_it_is() {
    let tree = Node::as_kubeadm_made_it();
    let corporate = authority("Corporate CA");
    let pair = leaf(&corporate, "api.example.org", 90);
    tree.write("/srv/tls/tls.pem", pair.certificate_pem());
    tree.write("/srv/tls/tls-key.pem", pair.key_pem());
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    let text = std::fs::read_to_string(tree.path(manifest)).unwrap();
    let text = text
        .replace("/etc/kubernetes/pki/apiserver.crt", "/tls/tls.pem")
        .replace("/etc/kubernetes/pki/apiserver.key", "/tls/tls-key.pem")
        .replace(
            "    volumeMounts:\n",
            "    volumeMounts:\n    - {name: tls, mountPath: /tls}\n",
        )
        .replace(
            "  volumes:\n",
            "  volumes:\n  - {name: tls, hostPath: {path: /srv/tls}}\n",
        );
    tree.write(manifest, text);

    let inventory = tree.observe();
    assert_eq!(
        inventory.directories.certificates,
        tree.path("/etc/kubernetes/pki")
    );
    let entry = inventory.find("apiserver").unwrap();
    assert_eq!(entry.path, tree.path("/srv/tls/tls.pem"));
    assert_eq!(entry.key_path, Some(tree.path("/srv/tls/tls-key.pem")));
    assert_eq!(entry.present().unwrap().key, P256);
    assert_eq!(
        signer(&inventory, "apiserver"),
        &Signer::Foreign("CN=Corporate CA".to_owned())
    );
    // What kubeadm made lies there still.
    assert_eq!(extras(&inventory), ["apiserver.crt"]);
}

#[test]
fn external_etcd_has_no_rows_but_its_client_is_known() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/manifests/etcd.yaml");
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    let text = std::fs::read_to_string(tree.path(manifest)).unwrap();

    // Only out for a restart.
    assert!(!tree.observe().external_etcd);

    tree.write(
        manifest,
        text.replace(
            "https://127.0.0.1:2379",
            "https://10.0.0.7:2379,https://10.0.0.8:2379",
        ),
    );
    let inventory = tree.observe();
    assert!(inventory.external_etcd);
    assert_eq!(inventory.authorities.len(), 2);
    assert!(
        !names(&inventory)
            .iter()
            .any(|name| name.starts_with("etcd-"))
    );
    assert!(inventory.find("apiserver-etcd-client").is_none());
    let client = inventory.find("apiserver-etcd-client.crt").unwrap();
    assert!(matches!(client.id, CertificateId::Found(_)));
    assert_eq!(
        client.key_path,
        Some(tree.pki_path("apiserver-etcd-client.key"))
    );
    assert_eq!(client.present().unwrap().key, P256);
    assert_eq!(
        client.present().unwrap().signer,
        Signer::Foreign("CN=etcd-ca".to_owned())
    );

    // Two names of one directory are one directory.
    std::os::unix::fs::symlink("pki", tree.path("/etc/kubernetes/certificates")).unwrap();
    tree.write(manifest, &text);
    let locations = Locations {
        certificates: Some("/etc/kubernetes/certificates".into()),
        ..Locations::default()
    };
    assert!(!observe(&tree.root, &locations).external_etcd);

    tree.write(
        manifest,
        text.replace(
            "/etc/kubernetes/pki/etcd/ca.crt",
            "/etc/kubernetes/pki/etcd-of-others.crt",
        ),
    );
    assert!(tree.observe().external_etcd);
}

#[test]
fn where_files_and_mounts_really_lie_is_known() {
    let tree = Node::as_kubeadm_made_it();
    let key = tree.pki_path("apiserver.key");
    std::fs::create_dir_all(tree.path("/srv/keys")).unwrap();
    std::fs::rename(&key, tree.path("/srv/keys/apiserver.key")).unwrap();
    std::os::unix::fs::symlink("/srv/keys/apiserver.key", &key).unwrap();
    std::os::unix::fs::symlink("/srv/keys", tree.path("/srv/link")).unwrap();
    tree.write_manifest("exporter", &[], &[("/srv/link", "Directory")]);
    let inventory = tree.observe();
    assert_eq!(inventory.real(&key), tree.path("/srv/keys/apiserver.key"));
    assert_eq!(
        inventory.real(&tree.path("/srv/link")),
        tree.path("/srv/keys")
    );
    let straight = tree.pki_path("apiserver.crt");
    assert_eq!(inventory.real(&straight), straight);
}

#[test]
fn external_etcd_on_this_very_node_has_no_rows_either() {
    // Its CA where kubeadm's would be, and the API server's client; no manifest and no certificate of a member.
    let tree = Node::as_kubeadm_made_it();
    let manifest = "/etc/kubernetes/manifests/etcd.yaml";
    let text = std::fs::read_to_string(tree.path(manifest)).unwrap();
    tree.remove(manifest);
    for name in ["server", "peer", "healthcheck-client"] {
        tree.remove(&format!("/etc/kubernetes/pki/etcd/{name}.crt"));
        tree.remove(&format!("/etc/kubernetes/pki/etcd/{name}.key"));
    }
    let inventory = tree.observe();
    assert!(inventory.external_etcd);
    assert!(inventory.find("apiserver-etcd-client.crt").is_some());
    // And just as well while the API server restarts.
    let api_server = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    let parked = "/etc/kubernetes/.kubecertd/kube-apiserver.yaml";
    tree.write(parked, std::fs::read(tree.path(api_server)).unwrap());
    tree.remove(api_server);
    assert!(tree.observe().external_etcd);
    // Its manifest may be out at this moment, with its certificates lost.
    tree.write("/etc/kubernetes/.kubecertd/etcd.yaml", text);
    assert!(!tree.observe().external_etcd);
}

#[test]
fn external_etcd_is_seen_while_the_api_server_restarts() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/manifests/etcd.yaml");
    tree.remove("/etc/kubernetes/manifests/kube-apiserver.yaml");
    assert!(!tree.observe().external_etcd);
    tree.remove("/etc/kubernetes/pki/etcd");
    assert!(tree.observe().external_etcd);
    // Where nothing is at all, kubeadm's own layout is assumed.
    tree.remove("/etc/kubernetes");
    let inventory = tree.observe();
    assert!(!inventory.external_etcd);
    assert_eq!(inventory.authorities.len(), 3);
    assert!(matches!(
        inventory.find("etcd-server").unwrap().state,
        CertificateState::Missing
    ));
}
