//! Nodes as kubeadm allows them to be, beside the usual one.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::path::Path;

use kubecertd::node::{CertificateId, CertificateState, KeyState, Signer};
use kubecertd::pki::{AuthorityId, certificates_to_pem};
use testkit::Node;
use testkit::kubeadm::{authority, kubeconfig_with, leaf};

use crate::observed::{P256, extras, signer};

#[test]
fn a_joined_node_has_no_super_admin() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/super-admin.conf");
    let inventory = tree.observe();
    assert!(matches!(
        inventory.find("super-admin.conf").unwrap().state,
        CertificateState::Missing
    ));
    assert_eq!(inventory.problems, []);
}

#[test]
fn an_external_authority_has_no_key() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/pki/ca.key");
    let inventory = tree.observe();
    assert!(
        inventory
            .authority(AuthorityId::Kubernetes)
            .unwrap()
            .is_external()
    );
    assert!(
        !inventory
            .authority(AuthorityId::Etcd)
            .unwrap()
            .is_external()
    );
    assert_eq!(signer(&inventory, "apiserver"), &Signer::Expected);
}

#[test]
fn chains_and_bundles_keep_their_order() {
    let tree = Node::as_kubeadm_made_it();
    let intermediate = authority("intermediate");
    let pair = leaf(&intermediate, "kube-apiserver", 365);
    tree.write_leaf("apiserver", &pair);
    tree.write_pki(
        "apiserver.crt",
        format!(
            "a comment\n{}",
            certificates_to_pem([&pair.certificate, intermediate.certificate()])
        ),
    );
    let newer = authority("kubernetes-2");
    tree.write_pki(
        "ca.crt",
        certificates_to_pem([newer.certificate(), tree.ca.certificate()]),
    );
    let inventory = tree.observe();
    let present = inventory.find("apiserver").unwrap().present().unwrap();
    assert_eq!(present.leaf, pair.certificate);
    assert_eq!(present.chain, [intermediate.certificate().clone()]);
    assert_eq!(
        present.signer,
        Signer::Foreign("CN=intermediate".to_owned())
    );

    let ca = inventory.authority(AuthorityId::Kubernetes).unwrap();
    assert_eq!(
        ca.certificates().unwrap(),
        [newer.certificate().clone(), tree.ca.certificate().clone()]
    );
    assert!(matches!(
        &ca.state,
        kubecertd::node::AuthorityState::Present {
            key: KeyState::Unread,
            ..
        }
    ));
    assert_eq!(signer(&inventory, "admin.conf"), &Signer::Expected);
}

#[test]
fn a_kubeconfig_may_refer_to_files() {
    let tree = Node::as_kubeadm_made_it();
    let pair = leaf(&tree.ca, "kubernetes-admin", 365);
    tree.write("/etc/kubernetes/admin/me.crt", pair.certificate_pem());
    tree.write("/srv/me.key", pair.key_pem());
    tree.write(
        "/etc/kubernetes/admin.conf",
        kubeconfig_with(
            &certificates_to_pem([tree.ca.certificate()]),
            "client-certificate: admin/me.crt\n    client-key: /srv/me.key",
        ),
    );
    let inventory = tree.observe();
    let entry = inventory.find("admin.conf").unwrap();
    assert_eq!(entry.path, tree.path("/etc/kubernetes/admin.conf"));
    assert_eq!(
        entry.certificate_path,
        tree.path("/etc/kubernetes/admin/me.crt")
    );
    assert_eq!(entry.key_path, Some(tree.path("/srv/me.key")));
    assert_eq!(entry.present().unwrap().key, P256);
    assert_eq!(inventory.problems, []);
}

#[test]
fn unknown_certificates_are_listed() {
    let tree = Node::as_kubeadm_made_it();
    let other_ca = authority("other");
    let pair = leaf(&tree.front_proxy_ca, "webhook", 30);
    tree.write_leaf("webhooks/a", &pair);
    tree.write_pki("both.pem", pair.certificate_pem() + &pair.key_pem());
    tree.write_pki("only-a-key.pem", pair.key_pem());
    tree.write_pki(
        "other-ca.crt",
        certificates_to_pem([other_ca.certificate()]),
    );
    tree.write_pki("notes.txt", "nothing");
    tree.write(
        "/etc/kubernetes/backup.conf",
        tree.kubeconfig_of(&leaf(&tree.ca, "me", 10)),
    );
    tree.write(
        "/etc/kubernetes/token.conf",
        kubeconfig_with("CA", "token: secret"),
    );
    tree.write("/etc/kubernetes/audit.conf", "rules: []\n");
    tree.write(
        "/srv/oidc/ca.crt",
        certificates_to_pem([other_ca.certificate()]),
    );
    tree.write(
        "/etc/ssl/certs/all.crt",
        certificates_to_pem([other_ca.certificate()]),
    );
    tree.write_manifest(
        "proxy",
        &[
            "--ca=/srv/oidc/ca.crt",
            "--all=/etc/ssl/certs/all.crt",
            "--gone=/srv/oidc/gone.crt",
        ],
        &[("/srv/oidc", "Directory"), ("/etc/ssl/certs", "Directory")],
    );
    let inventory = tree.observe();
    assert_eq!(
        extras(&inventory),
        [
            "backup.conf",
            "both.pem",
            "other-ca.crt",
            "webhooks/a.crt",
            "/srv/oidc/ca.crt"
        ]
    );
    let webhook = inventory.find("webhooks/a.crt").unwrap();
    assert_eq!(webhook.authority, Some(AuthorityId::FrontProxy));
    assert_eq!(webhook.present().unwrap().signer, Signer::Expected);
    assert_eq!(webhook.present().unwrap().key, P256);
    assert_eq!(
        inventory.find("both.pem").unwrap().present().unwrap().key,
        P256
    );
    assert_eq!(signer(&inventory, "other-ca.crt"), &Signer::SelfSigned);
    assert_eq!(inventory.find("other-ca.crt").unwrap().key_path, None);
}

#[test]
fn serving_certificates_of_the_kubelet() {
    let tree = Node::as_kubeadm_made_it();
    let signed = leaf(&tree.ca, "system:node:node-1", 30);
    let both = signed.certificate_pem() + &signed.key_pem();
    tree.write("/var/lib/kubelet/pki/kubelet-server-current.pem", &both);
    let inventory = tree.observe();
    assert_eq!(
        signer(&inventory, "kubelet-server-current.pem"),
        &Signer::Expected
    );
    assert!(inventory.find("kubelet.crt").is_none());

    tree.write("/srv/tls.crt", signed.certificate_pem());
    tree.write("/srv/tls.key", signed.key_pem());
    tree.write(
        "/var/lib/kubelet/config.yaml",
        "tlsCertFile: /srv/tls.crt\ntlsPrivateKeyFile: /srv/tls.key\n",
    );
    let inventory = tree.observe();
    let serving = inventory.find("tls.crt").unwrap();
    assert_eq!(serving.id, CertificateId::KubeletServing("tls.crt".into()));
    assert_eq!(serving.authority, Some(AuthorityId::Kubernetes));
    assert_eq!(serving.present().unwrap().key, P256);

    tree.remove("/var/lib/kubelet");
    tree.remove("/etc/kubernetes/kubelet.conf");
    let inventory = tree.observe();
    assert!(
        inventory
            .entries
            .iter()
            .all(|entry| entry.id.is_catalogued())
    );

    tree.write("/var/lib/kubelet/config.yaml", "serverTLSBootstrap: true\n");
    let inventory = tree.observe();
    let state = |name: &str| {
        matches!(
            inventory.find(name).unwrap().state,
            CertificateState::Missing
        )
    };
    assert!(state("kubelet-server-current.pem"));
    assert!(state("kubelet.conf"));
}

#[test]
fn an_old_kubelet_conf_shows_its_embedded_certificate() {
    let tree = Node::as_kubeadm_made_it();
    let old = leaf(&tree.ca, "system:node:node-1", 5);
    tree.write("/etc/kubernetes/kubelet.conf", tree.kubeconfig_of(&old));
    let inventory = tree.observe();
    let config = inventory.find("kubelet.conf").unwrap();
    assert_eq!(config.present().unwrap().leaf, old.certificate);
    assert_eq!(config.certificate_path, config.path);
    assert_ne!(
        inventory
            .find("kubelet-client-current.pem")
            .unwrap()
            .present()
            .unwrap()
            .leaf,
        old.certificate
    );
}

#[test]
fn the_name_of_the_node_comes_from_the_best_source() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/var/lib/kubelet/pki");
    tree.remove("/etc/kubernetes/kubelet.conf");
    tree.write_leaf("etcd/server", &leaf(&tree.etcd_ca, "from-etcd", 365));
    tree.write(
        "/var/lib/kubelet/kubeadm-flags.env",
        "KUBELET_KUBEADM_ARGS=\"--hostname-override=From-Flag\"\n",
    );
    tree.write("/etc/hostname", "From-Host\n");
    assert_eq!(tree.observe().node_name.as_deref(), Some("from-etcd"));
    tree.remove("/etc/kubernetes/pki/etcd/server.crt");
    assert_eq!(tree.observe().node_name.as_deref(), Some("from-flag"));
    tree.remove("/var/lib/kubelet/kubeadm-flags.env");
    assert_eq!(tree.observe().node_name.as_deref(), Some("from-host"));
    tree.remove("/etc/hostname");
    assert_eq!(tree.observe().node_name, None);
}

#[test]
fn linked_directories_are_followed() {
    let tree = Node::as_kubeadm_made_it();
    std::fs::create_dir_all(tree.path("/data")).unwrap();
    std::fs::rename(tree.path("/etc/kubernetes/pki"), tree.path("/data/pki")).unwrap();
    std::os::unix::fs::symlink("/data/pki", tree.path("/etc/kubernetes/pki")).unwrap();
    let inventory = tree.observe();
    assert!(
        inventory
            .entries
            .iter()
            .all(|entry| entry.present().is_some())
    );
    assert_eq!(
        inventory.find("apiserver").unwrap().path,
        tree.path("/etc/kubernetes/pki/apiserver.crt")
    );
    assert_eq!(extras(&inventory), [""; 0]);
    assert!(Path::new(&inventory.directories.certificates).is_absolute());
}
