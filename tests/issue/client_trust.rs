//! While a CA is being changed: whoever checks a renewed certificate trusts the CA that signed it, or it is not renewed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::node::Kubeconfig;
use kubecertd::pki::{
    Certificate, CertificateAuthority, KeyAlgorithm, NewAuthority, certificates_from_pem,
    certificates_to_pem,
};
use kubecertd::plan::is_trusted;
use testkit::{Node, text};

const KUBECONFIGS: [&str; 4] = [
    "admin.conf",
    "controller-manager.conf",
    "scheduler.conf",
    "super-admin.conf",
];
const CA: &str = "/etc/kubernetes/pki/ca";
const ETCD_CA: &str = "/etc/kubernetes/pki/etcd/ca";

/// A CA of that name that lasts longer than the sample's.
fn authority(name: &str) -> CertificateAuthority {
    CertificateAuthority::generate(&NewAuthority {
        common_name: name.to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: Timestamp::now() - SignedDuration::from_hours(1),
        not_after: Timestamp::now() + SignedDuration::from_hours(24 * 365 * 20),
    })
    .unwrap()
}

fn read(node: &Node, path: &str) -> String {
    std::fs::read_to_string(node.path(path)).unwrap()
}

fn write(node: &Node, path: &str, content: &str) {
    std::fs::write(node.path(path), content).unwrap();
}

/// Puts a new CA before the old one, and its key in the old one's place. Returns both certificates, the new one first.
fn change_ca(node: &Node, base: &str, name: &str) -> (Certificate, Certificate) {
    let old = certificates_from_pem(read(node, &format!("{base}.crt")).as_bytes()).unwrap();
    let new = authority(name);
    let bundle = certificates_to_pem([new.certificate(), &old[0]]);
    write(node, &format!("{base}.crt"), &bundle);
    write(node, &format!("{base}.key"), &new.key().to_pem().unwrap());
    (new.certificate().clone(), old[0].clone())
}

/// Whom the user of a kubeconfig trusts.
fn trusted(node: &Node, name: &str) -> Vec<Certificate> {
    let text = read(node, &format!("/etc/kubernetes/{name}"));
    let pem = Kubeconfig::parse(&text).unwrap().certificate_authority;
    certificates_from_pem(&pem.unwrap()).unwrap()
}

/// Adds a CA to a kubeconfig as an administrator would.
fn teach(node: &Node, name: &str, ca: &Certificate) {
    let path = format!("/etc/kubernetes/{name}");
    let edited = Kubeconfig::trust(read(node, &path), &certificates_to_pem([ca])).unwrap();
    write(node, &path, std::str::from_utf8(&edited).unwrap());
}

/// stdout and stderr.
fn renew(node: &Node, arguments: &[&str]) -> (Option<i32>, String) {
    let output = node.run(&[&["renew"], arguments].concat());
    let said = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn kubeconfigs_learn_of_the_new_ca_with_the_servers_certificate() {
    let node = Node::due();
    let (new, old) = change_ca(&node, CA, "kubernetes");
    teach(&node, "kubelet.conf", &new);
    let dry = renew(&node, &["all", "--dry-run"]).1;
    // Which of the two CA certificates signs, only the key knows.
    let note = "Note: admin.conf: should that be the CA certificate whose key is here: the CA that signs now (CN=kubernetes, until ";
    assert!(dry.contains(note), "{dry}");
    let (code, said) = renew(&node, &["all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("admin.conf: the CA that signs now (CN=kubernetes, until "),
        "{said}"
    );
    assert!(
        said.contains("signed by another CA than before: "),
        "{said}"
    );
    assert!(node.certificate("apiserver").is_signed_by(&new));
    for name in KUBECONFIGS {
        assert_eq!(trusted(&node, name), [old.clone(), new.clone()], "{name}");
        assert!(node.certificate(name).is_signed_by(&new), "{name}");
    }
    let receipts = text(&node.run(&["history", "-o", "json"]).stdout);
    assert!(
        receipts.contains("admin.conf: the CA that signs now"),
        "{receipts}"
    );

    // Once more: nobody has to learn anything.
    let before: Vec<String> = KUBECONFIGS
        .iter()
        .map(|name| format!("{:?}", trusted(&node, name)))
        .collect();
    let (code, said) = renew(&node, &["all", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("the CA that signs now"), "{said}");
    let after: Vec<String> = KUBECONFIGS
        .iter()
        .map(|name| format!("{:?}", trusted(&node, name)))
        .collect();
    assert_eq!(after, before);
}

#[test]
fn a_server_whose_clients_would_refuse_it_keeps_its_certificate() {
    let node = Node::due();
    let (new, old) = change_ca(&node, CA, "kubernetes");
    // The kubelet is restarted by nobody here and knows the old CA only.
    let dry = renew(&node, &["all", "--dry-run"]).1;
    let note = "it is not renewed, as a client that uses kubelet.conf does not trust";
    assert!(dry.contains(note), "{dry}");
    let (code, said) = renew(&node, &["all"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("apiserver: a client that uses kubelet.conf does not trust the CA that signs it now (CN=kubernetes, until "),
        "{said}"
    );
    assert!(said.contains("restart the kubelet"), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&old));
    // The others learn nevertheless, and are ready for it.
    assert!(trusted(&node, "admin.conf").contains(&new));

    let (code, said) = renew(&node, &["apiserver", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("kubelet.conf does not trust"), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&new));
}

#[test]
fn by_its_name_alone_a_server_is_not_renewed_past_its_clients() {
    let node = Node::due();
    let (new, old) = change_ca(&node, CA, "kubernetes");
    teach(&node, "kubelet.conf", &new);
    let (code, said) = renew(&node, &["apiserver"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("renew admin.conf with it"), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&old));

    let names = [&["apiserver"], KUBECONFIGS.as_slice()].concat();
    let (code, said) = renew(&node, &names);
    assert_eq!(code, Some(0), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&new));
}

#[test]
fn kubeconfigs_that_are_not_due_join_in() {
    let node = Node::due();
    assert_eq!(renew(&node, &KUBECONFIGS).0, Some(0));
    let new = authority("kubernetes");
    let old = certificates_from_pem(read(&node, &format!("{CA}.crt")).as_bytes()).unwrap();
    // The old CA alone could not be checked with; it is the new one's that signs, whatever the file says first.
    write(
        &node,
        &format!("{CA}.crt"),
        &certificates_to_pem([new.certificate(), &old[0]]),
    );
    write(&node, &format!("{CA}.key"), &new.key().to_pem().unwrap());
    teach(&node, "kubelet.conf", new.certificate());
    let output = node.run(&["run", "--once"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        node.certificate("apiserver")
            .is_signed_by(new.certificate()),
        "{said}"
    );
    for name in KUBECONFIGS {
        assert!(
            trusted(&node, name).contains(new.certificate()),
            "{name}: {said}"
        );
    }
}

#[test]
fn before_the_key_is_changed_nothing_is_refused_and_nobody_learns() {
    let node = Node::due();
    let old = certificates_from_pem(read(&node, &format!("{CA}.crt")).as_bytes()).unwrap();
    let new = authority("kubernetes");
    write(
        &node,
        &format!("{CA}.crt"),
        &certificates_to_pem([&old[0], new.certificate()]),
    );
    let (code, said) = renew(&node, &["all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&old[0]));
    for name in KUBECONFIGS {
        assert_eq!(trusted(&node, name), old, "{name}");
    }
}

#[test]
fn files_of_authorities_that_lack_the_signer_are_named() {
    let node = Node::due();
    let manifest = "/etc/kubernetes/manifests/etcd.yaml";
    let own = "/etc/kubernetes/pki/etcd/clients-ca.crt";
    write(&node, own, &read(&node, &format!("{ETCD_CA}.crt")));
    let text = read(&node, manifest);
    let changed = text.replace(
        "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
        &format!("--trusted-ca-file={own}"),
    );
    assert_ne!(changed, text);
    write(&node, manifest, &changed);
    let (new, old) = change_ca(&node, ETCD_CA, "etcd-ca");
    let (code, said) = renew(&node, &["all"]);
    assert_eq!(code, Some(1), "{said}");
    for name in ["apiserver-etcd-client", "etcd-healthcheck-client"] {
        assert!(said.contains(name), "{said}");
        assert!(node.certificate(name).is_signed_by(&old), "{name}");
    }
    assert!(
        said.contains("etcd (--trusted-ca-file) does not trust")
            && said.contains("clients-ca.crt")
            && said.contains("restart etcd"),
        "{said}"
    );
    assert!(node.certificate("etcd-server").is_signed_by(&new));
}

#[test]
fn a_kubeconfig_that_cannot_learn_keeps_the_server_from_its_new_certificate() {
    let node = Node::due();
    let (new, old) = change_ca(&node, CA, "kubernetes");
    teach(&node, "kubelet.conf", &new);
    // Its CA is in a file of its own.
    let path = "/etc/kubernetes/scheduler.conf";
    let file = "/etc/kubernetes/scheduler-ca.crt";
    write(&node, file, &certificates_to_pem([&old]));
    let data = STANDARD.encode(certificates_to_pem([&old]));
    let text = read(&node, path);
    let changed = text.replace(
        &format!("certificate-authority-data: {data}"),
        &format!("certificate-authority: {file}"),
    );
    assert_ne!(changed, text);
    write(&node, path, &changed);
    let (code, said) = renew(&node, &["all"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("scheduler-ca.crt lacks it"), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&old));

    write(&node, file, &certificates_to_pem([&old, &new]));
    let (code, said) = renew(&node, &["apiserver"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(node.certificate("apiserver").is_signed_by(&new));
}

#[test]
fn a_kubeconfig_for_another_cluster_is_nobodys_concern() {
    let node = Node::due();
    let other = authority("kubernetes");
    let text = read(&node, "/etc/kubernetes/admin.conf");
    let pem = Kubeconfig::parse(&text).unwrap().certificate_authority;
    let foreign = text.replace(
        &STANDARD.encode(pem.unwrap()),
        &STANDARD.encode(certificates_to_pem([other.certificate()])),
    );
    assert_ne!(foreign, text);
    write(&node, "/etc/kubernetes/backup-cluster.conf", &foreign);
    let (code, said) = renew(&node, &["all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("does not trust"), "{said}");
    assert_eq!(read(&node, "/etc/kubernetes/backup-cluster.conf"), foreign);
}

#[test]
fn a_chain_that_is_sent_along_leads_to_what_is_trusted() {
    let (one, other) = (authority("one"), authority("other"));
    let now = Timestamp::now();
    let (one, other) = (one.certificate(), other.certificate());
    let alone = std::slice::from_ref;
    assert!(is_trusted(&[other.clone(), one.clone()], one, &[], now));
    assert!(!is_trusted(alone(other), one, &[], now));
    assert!(!is_trusted(
        alone(other),
        one,
        &[one.clone(), other.clone()],
        now
    ));
    assert!(!is_trusted(&[], one, alone(one), now));
    let past = one.not_before - SignedDuration::from_secs(1);
    assert!(!is_trusted(alone(one), one, &[], past));
}
