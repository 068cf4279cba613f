//! `kubecertd kubelet accept` on a made-up worker below a root, with what `kubelet issue` made on a made-up control plane: everything but
//! the restart of the kubelet.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use kubecertd::node::Kubeconfig;
use kubecertd::pki::{
    CertificateAuthority, NewLeaf, PrivateKey, Validity, certificates_from_pem, certificates_to_pem,
};
use testkit::pair::{Pair, authority};
use testkit::{Node, contents, said};

use crate::recover_expired::{CURRENT, KUBELET_CONF, OLD, PKI, current, expired};

const FILE: &str = "/root/kubelet.conf";
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What is left of the node cp1 when it is a worker whose kubelet's certificate has ended: its CA's certificate and its kubelet's files.
fn worker() -> Node {
    as_worker(expired())
}

fn as_worker(node: Node) -> Node {
    let kubernetes = node.path("/etc/kubernetes");
    for entry in fs::read_dir(&kubernetes).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else if path != node.path(KUBELET_CONF) {
            fs::remove_file(&path).unwrap();
        }
    }
    fs::create_dir_all(node.path("/etc/kubernetes/pki")).unwrap();
    fs::create_dir_all(node.path("/etc/kubernetes/manifests")).unwrap();
    fs::create_dir_all(node.path("/root")).unwrap();
    node.write_pki("ca.crt", certificates_to_pem([node.ca.certificate()]));
    node
}

/// What is to be in the file.
struct Made<'a> {
    name: &'a str,
    groups: &'a [&'a str],
    server_auth: bool,
    validity: (SignedDuration, SignedDuration),
    authority: &'a CertificateAuthority,
}

impl<'a> Made<'a> {
    fn good(node: &'a Node) -> Self {
        Self {
            name: "system:node:cp1",
            groups: &["system:nodes"],
            server_auth: false,
            validity: (DAY * -1, DAY * 365),
            authority: &node.ca,
        }
    }

    fn pair(&self) -> Pair {
        let leaf = NewLeaf {
            common_name: self.name.to_owned(),
            organizations: self.groups.iter().map(ToString::to_string).collect(),
            subject_alt_names: Vec::new(),
            server_auth: self.server_auth,
            client_auth: true,
        };
        let now = Timestamp::now();
        let validity = Validity {
            not_before: now + self.validity.0,
            not_after: now + self.validity.1,
        };
        Pair::sign(&leaf, self.authority, validity)
    }

    fn text(&self, node: &Node) -> String {
        let pair = self.pair();
        text_of(
            node,
            self.authority,
            &pair.certificate_pem(),
            &pair.key_pem(),
        )
    }
}

/// With the server that the node's own kubelet.conf has.
fn text_of(node: &Node, authority: &CertificateAuthority, certificate: &str, key: &str) -> String {
    let server = Kubeconfig::parse(node.read(KUBELET_CONF)).unwrap().server;
    let ca = STANDARD.encode(certificates_to_pem([authority.certificate()]));
    let [certificate, key] = [certificate, key].map(|pem| STANDARD.encode(pem));
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context:\n    cluster: k\n    user: u\n\
         clusters:\n- name: k\n  cluster:\n    server: {server}\n    certificate-authority-data: {ca}\n\
         users:\n- name: u\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n"
    )
}

fn write(node: &Node, text: &str) {
    let path = node.write(FILE, text);
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn accept(node: &Node, more: &[&str]) -> (Option<i32>, String) {
    let output = node.run(&[&["kubelet", "accept", FILE], more].concat());
    // As one line, wherever it was broken.
    (output.status.code(), said(&output))
}

/// It is refused for that reason, also with `--force`, and nothing was changed.
fn refused(node: &Node, reason: &str) {
    refused_with(node, &[], reason);
    refused_with(node, &["--force"], reason);
    refused_with(node, &["--dry-run"], reason);
}

fn refused_with(node: &Node, more: &[&str], reason: &str) {
    let before = (
        contents(&node.path("/etc")),
        contents(&node.path(PKI)),
        contents(&node.path("/root")),
    );
    let (code, told) = accept(node, more);
    assert_eq!(code, Some(1), "{reason}: {told}");
    assert!(told.contains(reason), "{reason}: {told}");
    let after = (
        contents(&node.path("/etc")),
        contents(&node.path(PKI)),
        contents(&node.path("/root")),
    );
    assert_eq!(before, after, "{reason}");
}

/// A control plane of the same cluster.
fn control_plane_of(worker: &Node) -> Node {
    let node = Node::fresh();
    for end in ["crt", "key"] {
        let pem = match end {
            "crt" => certificates_to_pem([worker.ca.certificate()]),
            _ => worker.ca.key().to_pem().unwrap().to_string(),
        };
        node.write_pki(&format!("ca.{end}"), pem);
    }
    node
}

#[test]
fn what_a_control_plane_issued_is_taken() {
    let worker = worker();
    let control_plane = control_plane_of(&worker);
    let output = control_plane.run(&["kubelet", "issue", "cp1", "--force"]);
    assert!(output.status.success(), "{}", said(&output));
    write(&worker, std::str::from_utf8(&output.stdout).unwrap());
    let before = contents(&worker.path("/etc"));

    let (code, told) = accept(&worker, &["--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("Nothing was changed"), "{told}");
    assert_eq!(
        fs::read_link(worker.path(CURRENT)).unwrap().to_str(),
        Some(OLD)
    );
    assert!(worker.path(FILE).exists());

    let (code, told) = accept(&worker, &[]);
    assert_eq!(code, Some(0), "{told}");
    let target = current(&worker);
    let made = Kubeconfig::parse(&output.stdout).unwrap();
    let kubecertd::node::Credential::Embedded(pem) = made.certificate else {
        panic!("it refers to a file")
    };
    let issued = certificates_from_pem(&pem).unwrap().remove(0);
    let pem = worker.read(target.to_str().unwrap());
    let taken = certificates_from_pem(pem.as_bytes()).unwrap().remove(0);
    assert_eq!(taken.serial, issued.serial);
    assert_eq!(contents(&worker.path("/etc")), before);
    assert!(!worker.path(FILE).exists(), "{told}");
    assert!(told.contains("was removed"), "{told}");
    let history = worker.read("/var/lib/kubecertd/history.jsonl");
    assert!(history.contains(r#""trigger":{"command":"kubelet accept"}"#));
    assert!(history.contains(&issued.serial), "{history}");
}

#[test]
fn a_kubelet_conf_that_holds_the_old_one_refers_to_the_new_one() {
    let worker = worker();
    let old = fs::read(worker.path(OLD)).unwrap();
    crate::recover_expired::embed(&worker, &old);
    fs::remove_dir_all(worker.path(PKI)).unwrap();
    write(&worker, &Made::good(&worker).text(&worker));
    let (code, told) = accept(&worker, &[]);
    assert_eq!(code, Some(0), "{told}");
    current(&worker);
    let config = worker.read(KUBELET_CONF);
    assert_eq!(config.matches(CURRENT).count(), 2, "{config}");
    assert!(!config.contains("client-key-data"), "{config}");
}

/// Without any certificate of the kubelet's it is the host's name that counts.
#[test]
fn a_kubelet_that_has_lost_its_certificate_gets_one_by_the_hosts_name() {
    let worker = worker();
    fs::remove_dir_all(worker.path(PKI)).unwrap();
    fs::create_dir(worker.path(PKI)).unwrap();
    worker.write("/etc/hostname", "w9\n");
    write(&worker, &Made::good(&worker).text(&worker));
    refused(&worker, "this node is w9");
    worker.write("/etc/hostname", "cp1\n");
    let (code, told) = accept(&worker, &[]);
    assert_eq!(code, Some(0), "{told}");
    current(&worker);
}

#[test]
fn each_thing_that_does_not_hold_refuses_it_whatever_is_forced() {
    let worker = worker();
    let good = || Made::good(&worker);
    let mut past = good();
    past.validity = (DAY * -9, DAY * -1);
    let mut future = good();
    future.validity = (DAY, DAY * 9);
    for (made, reason) in [
        (
            Made {
                name: "system:node:w2",
                ..good()
            },
            "this node is cp1",
        ),
        (
            Made {
                name: "cp1",
                ..good()
            },
            "this node is cp1",
        ),
        (
            Made {
                groups: &["system:masters"],
                ..good()
            },
            "organizations",
        ),
        (
            Made {
                groups: &["system:nodes", "system:masters"],
                ..good()
            },
            "organizations",
        ),
        (
            Made {
                groups: &[],
                ..good()
            },
            "organizations",
        ),
        (
            Made {
                server_auth: true,
                ..good()
            },
            "clientAuth",
        ),
        (past, "not now"),
        (future, "not now"),
    ] {
        write(&worker, &made.text(&worker));
        refused(&worker, reason);
    }
}

#[test]
fn a_key_or_a_chain_of_anothers_is_refused() {
    let worker = worker();
    let (pair, other) = (Made::good(&worker).pair(), Made::good(&worker).pair());
    let text = |certificate: &str, key: &str| text_of(&worker, &worker.ca, certificate, key);
    write(&worker, &text(&pair.certificate_pem(), &other.key_pem()));
    refused(&worker, "its key is not its certificate's");
    let two = pair.certificate_pem() + &other.certificate_pem();
    write(&worker, &text(&two, &pair.key_pem()));
    refused(&worker, "2 certificates");
    write(&worker, &text(&pair.certificate_pem(), "no key"));
    refused(&worker, FILE);
    let ca = certificates_to_pem([worker.ca.certificate()]);
    let ca_key: &PrivateKey = worker.ca.key();
    write(&worker, &text(&ca, &ca_key.to_pem().unwrap()));
    refused(&worker, "is a CA's");
}

#[test]
fn a_ca_that_only_the_file_brings_is_taken_by_force_alone_and_named() {
    let worker = worker();
    let now = Timestamp::now();
    let other = authority("kubernetes", now - DAY * 60, now + DAY * 3650);
    let made = Made {
        authority: &other,
        ..Made::good(&worker)
    };
    let pair = made.pair();
    let own = text_of(
        &worker,
        &worker.ca,
        &pair.certificate_pem(),
        &pair.key_pem(),
    );
    write(&worker, &own);
    refused(
        &worker,
        "no CA that this node trusts signed it, nor one in the file",
    );

    let fingerprint = other.certificate().fingerprint();
    write(&worker, &made.text(&worker));
    refused_with(&worker, &[], &fingerprint);
    refused_with(&worker, &["--dry-run"], "that only the file brings");
    let (code, told) = accept(&worker, &["--force"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(&fingerprint), "{told}");
    let trusted = Kubeconfig::parse(worker.read(KUBELET_CONF)).unwrap();
    let trusted = certificates_from_pem(&trusted.certificate_authority.unwrap()).unwrap();
    assert!(trusted.contains(other.certificate()));
    let history = worker.read("/var/lib/kubecertd/history.jsonl");
    assert!(history.contains("accepted-by-force"), "{history}");
}

#[test]
fn another_server_is_said_and_kubelet_conf_keeps_its_own() {
    let worker = worker();
    let own = Kubeconfig::parse(worker.read(KUBELET_CONF)).unwrap().server;
    let text = Made::good(&worker).text(&worker);
    write(&worker, &text.replace(&own, "https://192.0.2.66:6443"));
    refused_with(&worker, &[], "https://192.0.2.66:6443");
    refused_with(&worker, &[], &own);
    let (code, told) = accept(&worker, &["--force"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(
        Kubeconfig::parse(worker.read(KUBELET_CONF)).unwrap().server,
        own
    );
}

#[test]
fn one_that_ends_before_the_present_one_is_refused() {
    let worker = as_worker(Node::fresh());
    let made = Made {
        validity: (DAY * -1, DAY * 9),
        ..Made::good(&worker)
    };
    write(&worker, &made.text(&worker));
    refused_with(&worker, &[], "present certificate is valid until");
}

#[test]
fn whatever_leaves_a_choice_is_refused() {
    let worker = worker();
    let good = Made::good(&worker).text(&worker);
    for (text, reason) in [
        (
            format!("{good}- name: v\n  user:\n    token: x\n"),
            "2 users",
        ),
        (
            good.replace("contexts:\n", "contexts:\n- name: d\n  context: {}\n"),
            "2 contexts",
        ),
        (
            good.replace("clusters:\n", "clusters:\n- name: d\n  cluster: {}\n"),
            "2 clusters",
        ),
        (format!("{good}    token: x\n"), "other credentials"),
        (
            format!("{good}    exec:\n      command: /bin/sh\n"),
            "other credentials",
        ),
        (good.replace("client-key-data", "client-key"), "other files"),
        (
            good.replace(
                "    server:",
                "    certificate-authority: /etc/passwd\n    server:",
            )
            .replace("certificate-authority-data", "x-data"),
            "other files",
        ),
        (String::new(), "empty"),
        ("\u{1b}[31m: [".to_owned(), "not a kubeconfig"),
    ] {
        write(&worker, &text);
        refused(&worker, reason);
    }
}

#[test]
fn a_file_that_others_could_have_read_or_made_is_refused() {
    let worker = worker();
    let good = Made::good(&worker).text(&worker);
    write(&worker, &good);
    let path = worker.path(FILE);
    for mode in [0o640, 0o604, 0o644] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        refused(&worker, "others may read it");
    }
    for mode in [0o620, 0o602] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        refused(&worker, "can be written to by others");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(&path, Some(1234), None).unwrap();
        refused(&worker, "belongs to user 1234");
        chown(&path, Some(0), None).unwrap();
    } else {
        testkit::not_on_this_machine("only root can give a file to another user");
    }
    fs::set_permissions(worker.path("/root"), Permissions::from_mode(0o777)).unwrap();
    refused(&worker, "can be written to by others");
    fs::set_permissions(worker.path("/root"), Permissions::from_mode(0o700)).unwrap();

    let real = worker.path("/root/real.conf");
    fs::rename(&path, &real).unwrap();
    symlink("real.conf", &path).unwrap();
    refused(&worker, "symbolic link");
    fs::remove_file(&path).unwrap();
    refused(&worker, "is not there");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let (code, told) = accept(&worker, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("FIFO"), "{told}");
    fs::remove_file(&path).unwrap();
    write(&worker, &format!("{good}# {}\n", "x".repeat(300 * 1024)));
    refused(&worker, "larger than 256 KiB");
}
