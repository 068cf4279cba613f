//! `kubecertd kubelet repair` on a made-up node, below a root: everything but the restart of the kubelet.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{
    Certificate, CertificateAuthority, NewLeaf, PrivateKey, SubjectAltName, Validity,
    certificates_from_pem, certificates_to_pem,
};
use testkit::pair::{Pair, authority};
use testkit::{Node, contents, text};

use crate::recover_expired::{CURRENT, KUBELET_CONF, OLD, PKI, current, embed, expired};

fn repair(node: &Node, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["kubelet", "repair"], more].concat();
    let output = node.run(&arguments);
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), told)
}

/// Its certificates were to be renewed a month ago, the kubelet's by the kubelet.
fn overdue() -> Node {
    Node::due()
}

#[test]
fn one_that_is_overdue_is_made_anew_and_nothing_else_is() {
    let node = overdue();
    let before = contents(&node.path("/etc"));
    let (code, told) = repair(&node, &["--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Nothing was changed"), "{told}");
    assert_eq!(contents(&node.path("/etc")), before);
    assert_eq!(
        fs::read_link(node.path(CURRENT)).unwrap().to_str(),
        Some(OLD)
    );

    let plan = text(&node.run(&["plan"]).stdout);
    assert!(
        plan.contains("the kubelet should have renewed it by"),
        "{plan}"
    );

    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    // On the node itself somebody has to restart it.
    assert!(
        told.contains("reloaded or restarted: kubelet.service"),
        "{told}"
    );
    assert_ne!(current(&node).to_str(), Some(OLD));
    assert_eq!(contents(&node.path("/etc")), before);
    let history = fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(history.contains(r#""trigger":{"command":"kubelet repair"}"#));

    let after = contents(&node.path(PKI));
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Nothing to repair"), "{told}");
    assert_eq!(contents(&node.path(PKI)), after);
}

#[test]
fn what_is_not_overdue_is_left_to_the_kubelet() {
    for node in [
        Node::fresh(),
        // Nine tenths of a year, and not an hour.
        Node::new(
            SignedDuration::from_hours(24 * 300),
            SignedDuration::from_hours(24 * 60),
        ),
    ] {
        let before = contents(&node.path(PKI));
        let (code, told) = repair(&node, &[]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("Nothing to repair"), "{told}");
        assert_eq!(contents(&node.path(PKI)), before);
    }
}

#[test]
fn a_file_in_the_place_of_the_link_is_kept_in_the_backup() {
    let node = overdue();
    let old = fs::read(node.path(OLD)).unwrap();
    fs::remove_file(node.path(CURRENT)).unwrap();
    fs::write(node.path(CURRENT), &old).unwrap();
    fs::set_permissions(node.path(CURRENT), fs::Permissions::from_mode(0o600)).unwrap();
    let plan = text(&node.run(&["plan"]).stdout);
    assert!(plan.contains("is no link"), "{plan}");
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    current(&node);
    let backups = contents(&node.path("/var/lib/kubecertd/backups"));
    let is_kept = |(_, kept): (_, &Vec<u8>)| *kept == old;
    assert!(backups.iter().any(is_kept), "{:?}", backups.keys());
}

#[test]
fn a_kubelet_conf_that_holds_a_certificate_refers_to_the_current_one() {
    let node = Node::fresh();
    let pem = fs::read(node.path(OLD)).unwrap();
    embed(&node, &pem);
    let before = contents(&node.path(PKI));
    let plan = text(&node.run(&["plan"]).stdout);
    assert!(plan.contains("holds a certificate itself"), "{plan}");
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(contents(&node.path(PKI)), before);
    let now = fs::read_to_string(node.path(KUBELET_CONF)).unwrap();
    assert_eq!(now.matches(CURRENT).count(), 2, "{now}");
    assert!(!now.contains("client-key-data"), "{now}");
}

#[test]
fn where_all_has_expired_another_command_is_named() {
    let node = expired();
    let before = contents(&node.path(PKI));
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("recover --expired"), "{told}");
    assert_eq!(contents(&node.path(PKI)), before);
}

#[test]
fn without_the_key_of_the_ca_it_says_what_to_do_instead() {
    let node = overdue();
    fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let before = contents(&node.path(PKI));
    for more in [&["--dry-run"][..], &[]] {
        let (code, told) = repair(&node, more);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("ca.key is not on this node"), "{told}");
        assert_eq!(contents(&node.path(PKI)), before);
    }
}

/// Whatever the configuration says, a mounted disk's kubelet is never this machine's.
#[test]
fn a_daemon_on_another_root_leaves_the_kubelets_to_the_kubelet() {
    for when in ["off", "expired", "overdue"] {
        let node = Node::fresh();
        age_client(&node, &node.ca, "cp1");
        serving(&node, DAY * -3);
        node.configure(&format!("[kubelet]\nrepair = \"{when}\"\n"));
        let before = contents(&node.path(PKI));
        let output = node.run(&["run", "--once"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(contents(&node.path(PKI)), before, "{when}");
        // By hand it is seen to.
        let (_, told) = repair(&node, &["--dry-run"]);
        assert_eq!(told.matches("would be made").count(), 2, "{told}");
    }
}

/// Makes the kubelet's client certificate one of that CA and node, with a day left of a month.
fn age_client(node: &Node, authority: &CertificateAuthority, name: &str) {
    let leaf = NewLeaf {
        common_name: format!("system:node:{name}"),
        organizations: vec!["system:nodes".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let now = Timestamp::now();
    let validity = Validity {
        not_before: (now - DAY * 30).max(authority.certificate().not_before),
        not_after: now + DAY,
    };
    let pair = Pair::sign(&leaf, authority, validity);
    fs::write(node.path(OLD), pair.certificate_pem() + &pair.key_pem()).unwrap();
}

/// Somebody keeps it on purpose, and nothing of it is in a restart's way.
#[test]
fn an_expired_certificate_that_is_left_alone_holds_nothing_up() {
    let node = overdue();
    let ended = expired();
    let other = fs::read(ended.path("/etc/kubernetes/super-admin.conf")).unwrap();
    fs::write(node.path("/etc/kubernetes/super-admin.conf"), other).unwrap();
    node.configure("[renewal]\nskip = [\"super-admin.conf\"]\n");
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_ne!(current(&node).to_str(), Some(OLD));
}

#[test]
fn without_a_kubelet_conf_nothing_is_known_of_the_client() {
    let node = overdue();
    fs::remove_file(node.path(KUBELET_CONF)).unwrap();
    let before = contents(&node.path(PKI));
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(contents(&node.path(PKI)), before);
}

const SERVING: [&str; 2] = [
    "/var/lib/kubelet/pki/kubelet.crt",
    "/var/lib/kubelet/pki/kubelet.key",
];

/// The serving certificate as a kubelet makes it when it first starts, with so much of its year left.
fn serving(node: &Node, left: SignedDuration) {
    serving_for(node, left, &["cp1"]);
}

fn serving_for(node: &Node, left: SignedDuration, names: &[&str]) {
    let now = Timestamp::now();
    let made = now - SignedDuration::from_hours(24 * 365) + left;
    let name = format!("cp1@{}", made.as_second());
    let authority = authority(&format!("cp1-ca@{}", made.as_second()), made, now + left);
    let leaf = NewLeaf {
        common_name: name,
        organizations: Vec::new(),
        subject_alt_names: names
            .iter()
            .map(|name| SubjectAltName::Dns((*name).to_owned()))
            .collect(),
        server_auth: true,
        client_auth: false,
    };
    let validity = Validity {
        not_before: made,
        not_after: now + left,
    };
    let pair = Pair::sign(&leaf, &authority, validity);
    let pem = certificates_to_pem([&pair.certificate, authority.certificate()]);
    for (path, contents, mode) in [
        (SERVING[0], pem, 0o644),
        (SERVING[1], pair.key_pem(), 0o600),
    ] {
        let path = node.write(path, contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn served(node: &Node) -> Vec<Certificate> {
    certificates_from_pem(&fs::read(node.path(SERVING[0])).unwrap()).unwrap()
}

fn key_fits(node: &Node) -> bool {
    let key = PrivateKey::from_pem(&fs::read(node.path(SERVING[1])).unwrap()).unwrap();
    key.matches(&served(node)[0])
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[test]
fn the_serving_certificate_that_nobody_renews_becomes_one_of_the_clusters() {
    for left in [DAY * 20, DAY * -3] {
        let node = Node::fresh();
        serving(&node, left);
        let old = served(&node).remove(0);
        let client = fs::read_link(node.path(CURRENT)).unwrap();
        let plan = text(&node.run(&["plan"]).stdout);
        assert!(plan.contains("never renews it"), "{plan}");
        let (code, told) = repair(&node, &["--dry-run"]);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("system:node:cp1"), "{told}");
        assert_eq!(served(&node)[0].serial, old.serial);

        let (code, told) = repair(&node, &[]);
        assert_eq!(code, Some(0), "{told}");
        let new = served(&node);
        assert_eq!(new.len(), 1, "no CA for once comes after it");
        assert!(new[0].is_signed_by(node.ca.certificate()));
        assert_eq!(new[0].common_name.as_deref(), Some("system:node:cp1"));
        assert_eq!(new[0].organizations, ["system:nodes"]);
        assert_eq!(new[0].subject_alt_names, old.subject_alt_names);
        assert!(new[0].not_after > Timestamp::now() + DAY * 364);
        assert!(key_fits(&node));
        let modes = SERVING.map(|path| {
            let metadata = fs::metadata(node.path(path)).unwrap();
            metadata.permissions().mode() & 0o7777
        });
        assert_eq!(modes, [0o644, 0o600]);
        assert_eq!(fs::read_link(node.path(CURRENT)).unwrap(), client);
        let (_, told) = repair(&node, &[]);
        assert!(told.contains("Nothing to repair"), "{told}");
    }
}

#[test]
fn where_the_clusters_ca_cannot_sign_it_is_made_as_the_kubelet_does() {
    let node = Node::fresh();
    serving(&node, DAY * 20);
    let old = served(&node).remove(0);
    fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(0), "{told}");
    let new = served(&node);
    assert_eq!(new.len(), 2);
    assert!(new[1].is_ca && new[0].is_signed_by(&new[1]));
    let name = new[0].common_name.clone().unwrap();
    assert!(name.starts_with("cp1@"), "{name}");
    assert_ne!(new[0].serial, old.serial);
    assert_eq!(new[0].subject_alt_names, old.subject_alt_names);
    assert!(key_fits(&node));
}

/// One that a kubelet rotates, one that is configured, one that is not due, and one that the configuration leaves alone.
#[test]
fn other_serving_certificates_are_somebody_elses() {
    for (settings, config, left) in [
        ("serverTLSBootstrap: true\n", "", DAY * 20),
        (
            "tlsCertFile: /var/lib/kubelet/pki/kubelet.crt\ntlsPrivateKeyFile: /var/lib/kubelet/pki/kubelet.key\n",
            "",
            DAY * 20,
        ),
        ("", "", DAY * 60),
        ("", "[renewal]\nskip = [\"kubelet.crt\"]\n", DAY * 20),
    ] {
        let node = Node::fresh();
        serving(&node, left);
        let path = node.path("/var/lib/kubelet/config.yaml");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(settings);
        fs::write(&path, text).unwrap();
        node.configure(config);
        let before = contents(&node.path(PKI));
        let (code, told) = repair(&node, &[]);
        assert_eq!(code, Some(0), "{settings}{config}: {told}");
        assert!(
            told.contains("Nothing to repair"),
            "{settings}{config}: {told}"
        );
        assert_eq!(contents(&node.path(PKI)), before);
    }
}

/// Whoever may write beside the kubelet's certificates would have one of any server's name, or of any node's.
#[test]
fn the_clusters_ca_signs_no_name_that_only_the_file_says() {
    let other = authority(
        "kubernetes",
        Timestamp::now() - DAY * 60,
        Timestamp::now() + DAY * 60,
    );
    for (names, client) in [
        (&["kubernetes.default.svc"][..], None),
        (&["cp1", "kubernetes"], None),
        (&["kubernetes"], Some("kubernetes")),
    ] {
        let node = Node::fresh();
        serving_for(&node, DAY * -3, names);
        if let Some(name) = client {
            age_client(&node, &other, name);
        }
        repair(&node, &[]);
        let new = served(&node);
        assert!(
            !new[0].is_signed_by(node.ca.certificate()),
            "{names:?}: {:?}",
            new[0].subject_alt_names
        );
    }
}

/// What an administrator put there is his.
#[test]
fn a_serving_certificate_that_the_kubelet_did_not_make_is_left_alone() {
    let now = Timestamp::now();
    for (name, authority_name) in [
        ("cp1.corp", "Corp Root"),
        ("cp1@1", "Corp Root"),
        ("cp1@1", "cp1-ca@2"),
        ("cp1@x", "cp1-ca@x"),
    ] {
        let node = Node::fresh();
        serving(&node, DAY * 20);
        let authority = authority(authority_name, now - DAY * 300, now + DAY * 300);
        let leaf = NewLeaf {
            common_name: name.to_owned(),
            organizations: Vec::new(),
            subject_alt_names: vec![SubjectAltName::Dns("cp1".to_owned())],
            server_auth: true,
            client_auth: false,
        };
        let validity = Validity {
            not_before: now - DAY * 300,
            not_after: now + DAY,
        };
        let pair = Pair::sign(&leaf, &authority, validity);
        let pem = certificates_to_pem([&pair.certificate, authority.certificate()]);
        fs::write(node.path(SERVING[0]), pem).unwrap();
        fs::write(node.path(SERVING[1]), pair.key_pem()).unwrap();
        let before = contents(&node.path(PKI));
        let (code, told) = repair(&node, &[]);
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(
            contents(&node.path(PKI)),
            before,
            "{name} by {authority_name}"
        );
    }
}

/// Nobody knows whether it is overdue.
#[test]
fn what_cannot_be_read_is_not_taken_for_what_is_well() {
    let node = Node::fresh();
    let pem = fs::read(node.path(OLD)).unwrap();
    embed(&node, &pem);
    fs::write(node.path(OLD), "x").unwrap();
    serving(&node, SignedDuration::from_hours(24 * 300));
    for options in [&["--dry-run"][..], &[]] {
        let (code, told) = repair(&node, options);
        assert_eq!(code, Some(1), "{told}");
        let is_said = told.contains("kubelet-client-current.pem") && told.contains("not known");
        assert!(is_said && !told.contains("Nothing to repair"), "{told}");
    }
    let node = overdue();
    node.write(&format!("{PKI}/kubelet.crt"), "x");
    let (code, told) = repair(&node, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("kubelet.crt: "), "{told}");
    assert_ne!(
        current(&node).to_str(),
        Some(OLD),
        "the other was not repaired"
    );
}
