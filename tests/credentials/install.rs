//! `kubecertd csr install` and `csr clean`

use std::collections::BTreeSet;

use kubecertd::node::{Credential, Kubeconfig};
use kubecertd::pki::{certificates_from_pem, certificates_to_pem};
use testkit::text;

use crate::place::{Place, TWELVE, authority};

fn signed() -> Place {
    let place = Place::with_authorities();
    place.generate();
    place.succeed(&["csr", "sign"]);
    place
}

#[test]
fn certificates_are_embedded_and_the_rest_of_the_kubeconfig_is_kept() {
    let place = signed();
    let before = place.read("/etc/kubernetes/admin.conf");
    let said = place.succeed(&["csr", "install"]);
    assert_eq!(said.matches(": embedded, until ").count(), 5, "{said}");
    assert_eq!(said.matches(": in place, until ").count(), 7, "{said}");
    for name in TWELVE.into_iter().filter(|name| name.ends_with(".conf")) {
        let read = Kubeconfig::parse(place.read(&format!("/etc/kubernetes/{name}"))).unwrap();
        let Credential::Embedded(pem) = read.certificate else {
            panic!("{name}")
        };
        assert_eq!(
            certificates_from_pem(&pem).unwrap()[0],
            place.certificate(name)
        );
        assert_eq!(
            read.certificate_authority.unwrap(),
            place.read("/etc/kubernetes/pki/ca.crt").as_bytes()
        );
        assert_eq!(
            place.entries("/etc/kubernetes")[&format!("/etc/kubernetes/{name}")].mode,
            0o600
        );
    }
    let after = place.read("/etc/kubernetes/admin.conf");
    let kept: Vec<&str> = after
        .lines()
        .filter(|line| !line.contains("certificate"))
        .collect();
    assert_eq!(kept, before.lines().collect::<Vec<_>>());
    // Once more: nothing changes.
    let entries = place.entries("/etc/kubernetes");
    place.succeed(&["csr", "install"]);
    assert_eq!(place.entries("/etc/kubernetes"), entries);
}

#[test]
fn cleaning_removes_requests_and_embedded_certificates_and_nothing_else() {
    let place = signed();
    for other in ["notes.csr", "pki/other.csr", "other.crt", "pki/etcd/x.crt"] {
        place.write(&format!("/etc/kubernetes/{other}"), "mine");
    }
    let signed = place.files();
    // Not embedded yet.
    let output = place.run(&["csr", "clean"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("admin.conf.crt: is not embedded in admin.conf"),
        "{}",
        text(&output.stderr)
    );
    assert!(place.files().contains("/etc/kubernetes/admin.conf.csr"));
    place.succeed(&["csr", "install"]);
    place.succeed(&["csr", "clean"]);
    let gone: BTreeSet<String> = TWELVE
        .into_iter()
        .flat_map(|base| {
            let certificate = base
                .ends_with(".conf")
                .then(|| format!("/etc/kubernetes/{base}.crt"));
            certificate
                .into_iter()
                .chain([format!("/etc/kubernetes/{base}.csr")])
        })
        .collect();
    let left: BTreeSet<String> = signed.difference(&gone).cloned().collect();
    assert_eq!(place.files(), left);
}

#[test]
fn what_is_no_request_stays() {
    let place = Place::with_authorities();
    place.generate();
    place.write("/etc/kubernetes/admin.conf.csr", "mine");
    let output = place.run(&["csr", "clean", "--unsigned"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(place.read("/etc/kubernetes/admin.conf.csr"), "mine");
    assert!(!place.files().contains("/etc/kubernetes/pki/apiserver.csr"));
    assert!(place.files().contains("/etc/kubernetes/pki/apiserver.key"));
}

#[test]
fn what_is_not_signed_yet_is_said() {
    let place = signed();
    place.remove("/etc/kubernetes/pki/etcd/peer.crt");
    place.remove("/etc/kubernetes/scheduler.conf.crt");
    let output = place.run(&["csr", "install"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("etcd-peer: not signed yet; its certificate is expected at /etc/kubernetes/pki/etcd/peer.crt"), "{said}");
    assert!(said.contains("scheduler.conf: not signed yet"), "{said}");
    assert!(said.contains("admin.conf: embedded"), "{said}");
}

#[test]
fn a_wrong_certificate_keeps_all_from_being_embedded() {
    let other = Place::with_authorities();
    other.generate();
    other.succeed(&["csr", "sign"]);
    for (base, instead, said) in [
        // Another key's.
        (
            "admin.conf",
            other.certificate("admin.conf"),
            "does not belong to the new key",
        ),
        (
            "pki/apiserver",
            other.certificate("pki/apiserver"),
            "does not belong to the new key",
        ),
        // Exchanged with another of the same cluster.
        (
            "scheduler.conf",
            other.certificate("kubelet.conf"),
            "scheduler.conf is system:kube-scheduler",
        ),
    ] {
        let place = signed();
        place.write(
            &format!("/etc/kubernetes/{base}.crt"),
            certificates_to_pem([&instead]),
        );
        let error = place.fail(&["csr", "install"]);
        assert!(
            error.contains(&format!("/etc/kubernetes/{base}.crt: ")) && error.contains(said),
            "{error}"
        );
    }
    // Signed by an authority that nobody here trusts.
    let place = signed();
    place.write_pair("ca", &authority("kubernetes"));
    let error = place.fail(&["csr", "install"]);
    assert!(
        error.contains("not signed by an authority that its users trust"),
        "{error}"
    );
}
