//! Certificates that are not kubeadm's and that the configuration describes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::hostile_links::operation;
use kubecertd::pki::{Certificate, PrivateKey};
use testkit::others::{HAPROXY, HAPROXY_TABLE, due, due_of};
use testkit::pair::authority;
use testkit::tree::Tree;
use testkit::{ELEVEN, Node, contents, first_certificate, said};

/// The first certificate of a file of the tree.
pub(crate) fn certificate(tree: &Tree, path: &str) -> Certificate {
    first_certificate(&tree.path(path))
}

pub(crate) fn key_fits(tree: &Tree, (certificate, key): (&str, &str)) -> bool {
    let leaf = first_certificate(&tree.path(certificate));
    PrivateKey::from_pem(tree.read(key).as_bytes())
        .unwrap()
        .matches(&leaf)
}

/// What is printed, and whether the files stayed.
pub(crate) fn renew_in_vain(node: &Node, name: &str) -> String {
    let before = contents(&node.path("/etc"));
    let output = node.run(&["renew", name]);
    let told = said(&output);
    assert!(!output.status.success(), "{told}");
    assert_eq!(contents(&node.path("/etc")), before, "{told}");
    told
}

#[test]
fn it_is_listed_planned_renewed_as_it_was_and_put_back() {
    let node = Node::fresh();
    let old = node.haproxy();
    node.configure(&format!("{HAPROXY_TABLE}unit = \"haproxy.service\"\n"));

    let plain = node.run(&["check-expiration"]);
    assert!(plain.status.success());
    let bare = Node::fresh();
    assert_eq!(
        said(&plain).lines().count(),
        said(&bare.run(&["check-expiration"])).lines().count(),
        "kubeadm's table has no more lines: {}",
        said(&plain)
    );
    assert!(!said(&plain).contains("haproxy"));
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("haproxy"), "{all}");
    let within = node.run(&["check-expiration", "--within", "30d"]);
    assert_eq!(within.status.code(), Some(1), "{}", said(&within));
    assert!(said(&within).contains("haproxy"), "{}", said(&within));
    let later = (old.certificate.not_after - jiff::SignedDuration::from_hours(1)).to_string();
    let plan = said(&node.run(&["plan", "--at", &later]));
    assert!(plan.contains("haproxy"), "{plan}");
    let table = plan.split("IS TOLD").nth(1).unwrap_or_default();
    assert!(table.contains("haproxy.service   reload"), "{plan}");

    let before = node.serial("apiserver");
    let output = node.run(&["renew", "haproxy"]);
    assert!(output.status.success(), "{}", said(&output));
    let new = certificate(&node, HAPROXY.0);
    assert_ne!(new.serial, old.certificate.serial);
    assert!(new.not_after > old.certificate.not_after);
    assert_eq!(new.subject_der, old.certificate.subject_der);
    assert_eq!(new.subject_alt_names, old.certificate.subject_alt_names);
    assert_eq!(new.extended_key_usage, old.certificate.extended_key_usage);
    assert!(new.is_signed_by(node.ca.certificate()));
    assert!(key_fits(&node, HAPROXY));
    assert_eq!(node.serial("apiserver"), before);
    let modes = [HAPROXY.0, HAPROXY.1].map(|path| fs::metadata(node.path(path)).unwrap().mode());
    assert_eq!(modes.map(|mode| mode & 0o7777), [0o644, 0o600]);
    // Below another root nobody is told.
    let receipt = said(&node.run(&["history", "show", &operation(&node)]));
    assert!(receipt.contains("haproxy.service"), "{receipt}");

    let output = node.run(&["rollback", "last"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(certificate(&node, HAPROXY.0).serial, old.certificate.serial);
    assert!(key_fits(&node, HAPROXY));
}

#[test]
fn all_and_the_daemon_renew_it_beside_kubeadms_and_skip_keeps_it() {
    for arguments in [&["renew", "all"][..], &["run", "--once"]] {
        let node = Node::due();
        let old = node.haproxy();
        node.configure(HAPROXY_TABLE);
        let before = node.serial("apiserver");
        let output = node.run(arguments);
        assert!(output.status.success(), "{}", said(&output));
        assert_ne!(node.serial("apiserver"), before, "{arguments:?}");
        assert_ne!(
            certificate(&node, HAPROXY.0).serial,
            old.certificate.serial,
            "{arguments:?}: {}",
            said(&output)
        );
        // Each has an operation of its own.
        let history = said(&node.run(&["history", "-o", "json"]));
        assert_eq!(history.matches("\"certificates\"").count(), 2, "{history}");
    }
    for skip in ["skip = true\n", "[renewal]\nskip = [\"haproxy\"]\n"] {
        let node = Node::due();
        let old = node.haproxy();
        node.configure(&format!("{HAPROXY_TABLE}{skip}"));
        let output = node.run(&["run", "--once"]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(certificate(&node, HAPROXY.0).serial, old.certificate.serial);
        let within = node.run(&["check-expiration", "--within", "30d"]);
        assert!(within.status.success(), "{}", said(&within));
    }
}

#[test]
fn key_and_certificate_may_be_in_one_file() {
    let node = Node::fresh();
    let old = due_of(&node.ca);
    let path = "/etc/haproxy/both.pem";
    let file = node.write(path, old.certificate_pem() + &old.key_pem());
    testkit::others::close(&node, &file);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    node.configure(&format!(
        "[certificate.both]\nfile = \"{path}\"\nissuer = \"ca\"\n"
    ));
    let output = node.run(&["renew", "both"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_ne!(certificate(&node, path).serial, old.certificate.serial);
    assert!(key_fits(&node, (path, path)));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn new_files_get_what_the_configuration_says() {
    let node = Node::fresh();
    node.haproxy();
    node.write(
        "/etc/passwd",
        "root:x:0:0::/:/bin/sh\nhaproxy:x:117:120::/:/bin/false\n",
    );
    node.write("/etc/group", "haproxy:x:120:\n");
    node.configure(&format!(
        "{HAPROXY_TABLE}owner = \"haproxy\"\ngroup = \"haproxy\"\nmode = \"0640\"\n"
    ));
    let output = node.run(&["renew", "haproxy"]);
    assert!(output.status.success(), "{}", said(&output));
    for (path, mode) in [(HAPROXY.0, 0o644), (HAPROXY.1, 0o640)] {
        let found = fs::metadata(node.path(path)).unwrap();
        assert_eq!((found.uid(), found.gid()), (117, 120), "{path}");
        assert_eq!(found.mode() & 0o7777, mode, "{path}");
    }
    // Old contents, and still the owner that is wanted.
    assert!(node.run(&["rollback", "last"]).status.success());
    let found = fs::metadata(node.path(HAPROXY.1)).unwrap();
    assert_eq!((found.uid(), found.mode() & 0o7777), (117, 0o640));

    node.configure(&format!("{HAPROXY_TABLE}owner = \"nobody-knows\"\n"));
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("no such name"), "{told}");

    // Somebody's full name need not be UTF-8, and the number of no user is none.
    let users = b"jos\xe9:x:1000:1000:Jos\xe9:/home/jose:/bin/sh\nhaproxy:x:118:120::/:/bin/false\nnone:x:4294967295:1::/:/bin/sh\n";
    node.write("/etc/passwd", users);
    node.configure(&format!("{HAPROXY_TABLE}owner = \"haproxy\"\n"));
    fs::set_permissions(node.path(HAPROXY.1), Permissions::from_mode(0o600)).unwrap();
    for path in [HAPROXY.0, HAPROXY.1] {
        std::os::unix::fs::chown(node.path(path), Some(0), Some(0)).unwrap();
    }
    let output = node.run(&["renew", "haproxy"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::metadata(node.path(HAPROXY.1)).unwrap().uid(), 118);
    node.configure(&format!("{HAPROXY_TABLE}owner = \"none\"\n"));
    assert!(renew_in_vain(&node, "haproxy").contains("no such name"));
    // What cannot be read is not the same as what has no such name.
    node.remove("/etc/passwd");
    fs::create_dir(node.path("/etc/passwd")).unwrap();
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("/etc/passwd cannot be read"), "{told}");
}

/// What is said of a key, and what makes it so.
type Spoiled = (&'static str, fn(&Node));

#[test]
fn only_its_own_key_is_replaced() {
    let cases: [Spoiled; 4] = [
        ("key of another certificate", |node| {
            node.write(HAPROXY.1, due_of(&node.ca).key_pem());
        }),
        ("holds no key", |node| {
            node.write(HAPROXY.1, "listen = 443\n");
        }),
        ("is not there", |node| node.remove(HAPROXY.1)),
        ("the key of the authority", |node| {
            node.remove(HAPROXY.1);
            fs::hard_link(node.pki_path("ca.key"), node.path(HAPROXY.1)).unwrap();
        }),
    ];
    for (words, spoil) in cases {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        spoil(&node);
        let told = renew_in_vain(&node, "haproxy");
        assert!(told.contains(words), "{words}: {told}");
        assert!(!node.run(&["renew", "haproxy", "--force"]).status.success());
    }
}

#[test]
fn neither_a_ca_nor_what_another_ca_signed_nor_what_is_no_certificate_is_renewed() {
    let other = authority(
        "kubernetes",
        due().not_before,
        jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 900),
    );
    let chained = due_of(&other);
    let huge = "# nothing\n".repeat(70_000) + &due_of(&other).certificate_pem();
    let cases: [(&str, String, String); 5] = [
        ("issued by", chained.certificate_pem(), chained.key_pem()),
        // With the other CA's certificate in the file.
        (
            "issued by",
            chained.certificate_pem() + &kubecertd::pki::certificates_to_pem([other.certificate()]),
            chained.key_pem(),
        ),
        (
            "CA's certificate where a leaf should be",
            kubecertd::pki::certificates_to_pem([other.certificate()]),
            other.key().to_pem().unwrap().to_string(),
        ),
        ("larger than", huge, chained.key_pem()),
        ("no PEM block", "hello\n".to_owned(), chained.key_pem()),
    ];
    for (words, certificate, key) in cases {
        let node = Node::fresh();
        node.haproxy();
        node.write(HAPROXY.0, certificate);
        node.write(HAPROXY.1, key);
        node.configure(HAPROXY_TABLE);
        let told = renew_in_vain(&node, "haproxy");
        assert!(told.contains(words), "{words}: {told}");
        let once = node.run(&["run", "--once"]);
        assert!(!said(&once).contains("panic"), "{}", said(&once));
        assert!(!node.path("/var/lib/kubecertd/outbox/haproxy.csr").exists());
    }
    // The node's own CA in the place of a leaf, with its key.
    let node = Node::fresh();
    node.configure("[certificate.own]\nfile = \"/etc/kubernetes/pki/ca.crt\"\nkey = \"/etc/kubernetes/pki/ca.key\"\nissuer = \"ca\"\n");
    let told = renew_in_vain(&node, "own");
    assert!(told.contains("authority ca"), "{told}");
}

#[test]
fn what_is_kubeadms_or_anothers_is_not_renewed_twice() {
    let node = Node::fresh();
    node.haproxy();
    node.link(
        "/etc/mine/apiserver.crt",
        "/etc/kubernetes/pki/apiserver.crt",
    );
    node.configure(&format!(
        "{HAPROXY_TABLE}[certificate.mine]\nfile = \"/etc/mine/apiserver.crt\"\nkey = \"/etc/mine/apiserver.key\"\nissuer = \"ca\"\n\
         [certificate.zwei]\nfile = \"/etc/haproxy/tls.crt\"\nkey = \"/etc/haproxy/tls.key\"\nissuer = \"ca\"\n"
    ));
    let told = renew_in_vain(&node, "mine");
    assert!(told.contains("also a file of apiserver"), "{told}");
    let told = renew_in_vain(&node, "zwei");
    assert!(told.contains("also a file of haproxy"), "{told}");
    assert!(node.run(&["renew", "haproxy"]).status.success());
}

#[test]
fn a_name_that_the_configuration_took_from_a_stray_file_is_its_own() {
    let node = Node::fresh();
    node.haproxy();
    node.write_leaf("old", &due_of(&node.ca));
    node.configure(&HAPROXY_TABLE.replace("certificate.haproxy", "certificate.\"old.crt\""));
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("/etc/kubernetes/pki/old.crt"), "{all}");
    let stray = certificate(&node, "/etc/kubernetes/pki/old.crt").serial;
    let output = node.run(&["renew", "old.crt"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        certificate(&node, "/etc/kubernetes/pki/old.crt").serial,
        stray
    );
}

#[test]
fn kubeadms_own_are_as_without_any() {
    let node = Node::due();
    let before: Vec<String> = ELEVEN.iter().map(|name| node.serial(name)).collect();
    node.configure(HAPROXY_TABLE);
    // Its file is missing.
    let output = node.run(&["run", "--once"]);
    assert!(output.status.success(), "{}", said(&output));
    let after: Vec<String> = ELEVEN.iter().map(|name| node.serial(name)).collect();
    assert!(before.iter().zip(&after).all(|(old, new)| old != new));
    let told = said(&node.run(&["plan"]));
    assert!(
        told.contains("haproxy") && told.contains("no such file"),
        "{told}"
    );
}
