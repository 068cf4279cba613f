//! What a file has to be to get the credentials of admin.conf, and what an admin.conf has to be to give them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kubecertd::config::{AdminCopies, Discover};
use kubecertd::files::{
    CopyFault, CopyFile, CopyPlace, CopyState, Original, SeenCopy, copy_places,
};
use kubecertd::host::now;
use kubecertd::node::{CertificateId, Credential, Kubeconfig};
use kubecertd::pki::{Certificate, KeyAlgorithm, PrivateKey, certificates_from_pem};
use testkit::Node;

const ADMIN: &str = "/etc/kubernetes/admin.conf";
const SUPER_ADMIN: &str = "/etc/kubernetes/super-admin.conf";
const COPY: &str = "/srv/copy";

fn certificate(kubeconfig: &str) -> Certificate {
    let Credential::Embedded(pem) = Kubeconfig::parse(kubeconfig).unwrap().certificate else {
        panic!("{kubeconfig}");
    };
    certificates_from_pem(&pem).unwrap().remove(0)
}

/// What is there now, with the copy's certificate among those that the record says were replaced.
fn original(node: &Node, id: CertificateId, path: &str) -> Original {
    Original {
        id,
        path: node.path(path),
        certificate: certificate(&node.read(path)),
        replaced: BTreeSet::from([certificate(&node.read(COPY)).fingerprint()]),
    }
}

fn place(node: &Node) -> CopyPlace {
    let config = AdminCopies {
        discover: Discover::None,
        paths: vec![COPY.into()],
    };
    copy_places(&node.root, &config).remove(0)
}

/// The one user of the copy, and what an update makes of it.
fn judged(
    node: &Node,
    original: &Original,
    is_awaited: bool,
) -> (CopyState, Result<Vec<SeenCopy>, CopyFault>) {
    let place = place(node);
    let originals = std::slice::from_ref(original);
    let file = CopyFile::read(&node.root, &place).unwrap().unwrap();
    let state = file.seen(originals, now()).remove(0).state;
    (state, file.update(originals, now(), &|| is_awaited))
}

/// Another key in the place of the copy's own.
fn without_its_key(kubeconfig: &str) -> String {
    let key = kubeconfig
        .lines()
        .find_map(|line| line.trim().strip_prefix("client-key-data: "))
        .unwrap();
    let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    kubeconfig.replace(key, &BASE64.encode(other.to_pem().unwrap().as_bytes()))
}

/// A node that was another cluster's has its record still, and kubeadm's authorities and administrators all have the same names.
#[test]
fn a_copy_of_another_clusters_is_left_alone() {
    let (node, former) = (Node::due(), Node::due());
    node.write(COPY, former.read(ADMIN));
    let original = original(&node, CertificateId::ADMIN, ADMIN);
    let copied = certificate(&node.read(COPY));
    assert_eq!(copied.subject_der, original.certificate.subject_der);
    assert_eq!(copied.issuer_der, original.certificate.issuer_der);
    let (state, updated) = judged(&node, &original, true);
    let fault = CopyFault::OtherAuthority {
        original: "admin.conf".to_owned(),
    };
    assert_eq!(state, CopyState::Kept(fault));
    assert_eq!(updated, Ok(Vec::new()));
    assert_eq!(node.read(COPY), former.read(ADMIN));
}

#[test]
fn a_copy_of_another_user_is_left_alone() {
    let node = Node::due();
    node.write(COPY, node.read(ADMIN));
    let original = original(&node, CertificateId::SUPER_ADMIN, SUPER_ADMIN);
    let (state, updated) = judged(&node, &original, true);
    let fault = CopyFault::OtherSubject {
        subject: original.certificate.subject,
    };
    assert_eq!(state, CopyState::Kept(fault));
    assert_eq!(updated, Ok(Vec::new()));
    assert_eq!(node.read(COPY), node.read(ADMIN));
}

/// Whoever has no more than the certificate, which is no secret, hears nothing else and is nobody's trouble.
#[test]
fn without_its_key_no_file_is_a_copy_whatever_else_it_is() {
    let (node, former) = (Node::due(), Node::due());
    for (copied, id, path) in [
        (node.read(ADMIN), CertificateId::ADMIN, ADMIN),
        (node.read(ADMIN), CertificateId::SUPER_ADMIN, SUPER_ADMIN),
        (former.read(ADMIN), CertificateId::ADMIN, ADMIN),
    ] {
        node.write(COPY, without_its_key(&copied));
        let original = original(&node, id, path);
        let (state, updated) = judged(&node, &original, true);
        assert_eq!(state, CopyState::Kept(CopyFault::KeyNotThere), "{path}");
        assert_eq!(updated, Ok(Vec::new()));
    }
}

#[test]
fn an_original_that_has_nothing_to_give_says_why() {
    let node = Node::due();
    let before = node.read(ADMIN);
    node.write(COPY, &before);
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    let original = original(&node, CertificateId::ADMIN, ADMIN);
    let renewed = node.read(ADMIN);
    let refused = || {
        let (state, updated) = judged(&node, &original, true);
        assert_eq!(state, CopyState::Stale);
        assert_eq!(node.read(COPY), before);
        updated.unwrap_err()
    };
    let referring: String = renewed
        .lines()
        .map(|line| match line.split_once("-data: ") {
            Some((start, _)) if start.trim().starts_with("client-") => {
                format!("{start}: /etc/kubernetes/admin.pem\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    node.write(ADMIN, referring);
    assert_eq!(refused(), CopyFault::OriginalElsewhere);
    for (other, reason) in [
        (before.clone(), "another certificate"),
        (without_its_key(&renewed), "key does not belong"),
        ("no kubeconfig".to_owned(), ""),
    ] {
        node.write(ADMIN, other);
        let fault = refused();
        assert_eq!(fault.code(), "original-unusable");
        assert!(fault.to_string().contains(reason), "{fault}");
    }
    node.remove(ADMIN);
    assert_eq!(refused().code(), "original-unusable");
    node.write(ADMIN, &renewed);
    let (_, updated) = judged(&node, &original, true);
    assert_eq!(updated.unwrap().len(), 1);
    assert_eq!(certificate(&node.read(COPY)), original.certificate);
}

#[test]
fn an_update_that_nobody_waits_for_is_given_up() {
    let node = Node::due();
    let before = node.read(ADMIN);
    node.write(COPY, &before);
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    let original = original(&node, CertificateId::ADMIN, ADMIN);
    let (state, updated) = judged(&node, &original, false);
    assert_eq!(state, CopyState::Stale);
    assert_eq!(updated, Err(CopyFault::NoAnswer));
    assert_eq!(node.read(COPY), before);
    assert_eq!(node.entries("/srv").len(), 1);
}
