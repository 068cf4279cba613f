//! Certificates that are not kubeadm's and that the configuration describes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

use crate::hostile_links::operation;
use kubecertd::pki::{Certificate, NewLeaf, PrivateKey, Validity};
use testkit::others::{HAPROXY, HAPROXY_TABLE, due, due_of, put, server_leaf};
use testkit::pair::{Pair, authority};
use testkit::tree::Tree;
use testkit::{ELEVEN, Node, contents, first_certificate, said};

/// The first certificate of a file of the tree.
fn certificate(tree: &Tree, path: &str) -> Certificate {
    first_certificate(&tree.path(path))
}

fn key_fits(tree: &Tree, (certificate, key): (&str, &str)) -> bool {
    let leaf = first_certificate(&tree.path(certificate));
    PrivateKey::from_pem(tree.read(key).as_bytes())
        .unwrap()
        .matches(&leaf)
}

/// What is printed, and whether the files stayed.
fn renew_in_vain(node: &Node, name: &str) -> String {
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
}

/// Whoever else can write a file or a directory above it could have root renew, or write, what he likes.
#[test]
fn nothing_is_written_where_others_could_have_put_it() {
    for (path, mode) in [
        ("/etc/haproxy", 0o777),
        ("/etc/haproxy", 0o1777),
        ("/etc/haproxy", 0o775),
        ("/etc", 0o757),
        (HAPROXY.0, 0o666),
        (HAPROXY.1, 0o620),
    ] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        fs::set_permissions(node.path(path), Permissions::from_mode(mode)).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(
            told.contains("written by others"),
            "{path} {mode:o}: {told}"
        );
        let plan = said(&node.run(&["plan", "-o", "json"]));
        assert!(plan.contains("not-replaceable"), "{plan}");
        fs::set_permissions(node.path(path), Permissions::from_mode(mode & !0o022)).unwrap();
        assert!(node.run(&["renew", "haproxy"]).status.success(), "{path}");
    }
    for path in ["/etc/haproxy", HAPROXY.0, HAPROXY.1] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        chown(node.path(path), Some(1234), None).unwrap();
        let told = renew_in_vain(&node, "haproxy");
        assert!(told.contains("belongs to user 1234"), "{told}");
        // Another than the one that is named.
        node.configure(&format!("{HAPROXY_TABLE}owner = \"4321\"\n"));
        assert!(renew_in_vain(&node, "haproxy").contains("user 1234"));
        node.configure(&format!("{HAPROXY_TABLE}owner = \"1234\"\n"));
        let output = node.run(&["renew", "haproxy"]);
        assert!(output.status.success(), "{path}: {}", said(&output));
    }
}

/// An owner who has the key of an old certificate of an administrator's would have it renewed for ever.
#[test]
fn a_client_of_the_api_server_is_not_renewed_in_the_hands_of_another_user() {
    let node = Node::fresh();
    let stolen = NewLeaf {
        common_name: "kubernetes-admin".to_owned(),
        organizations: vec!["system:masters".to_owned()],
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    put(&node, HAPROXY, &Pair::sign(&stolen, &node.ca, due()));
    chown(node.path(HAPROXY.0), Some(1234), None).unwrap();
    node.configure(&format!("{HAPROXY_TABLE}owner = \"1234\"\n"));
    let told = renew_in_vain(&node, "haproxy");
    assert!(told.contains("by a client"), "{told}");
    // Root's own may be whatever root put there.
    chown(node.path(HAPROXY.0), Some(0), None).unwrap();
    assert!(node.run(&["renew", "haproxy"]).status.success());
}

#[test]
fn a_link_on_the_way_is_not_followed_out_of_the_place() {
    for link in [HAPROXY.0, HAPROXY.1, "/etc/haproxy"] {
        let node = Node::fresh();
        node.haproxy();
        node.configure(HAPROXY_TABLE);
        let elsewhere = node.place("/opt/elsewhere/x");
        fs::rename(node.path(link), &elsewhere).unwrap();
        symlink("/opt/elsewhere/x", node.path(link)).unwrap();
        let before = contents(&node.path("/opt"));
        let output = node.run(&["renew", "haproxy"]);
        let told = said(&output);
        let followed = link == "/etc/haproxy";
        assert_eq!(output.status.success(), followed, "{link}: {told}");
        assert_eq!(contents(&node.path("/opt")) == before, !followed, "{link}");
        if followed {
            // Root's links alone are followed; others' are not.
            std::os::unix::fs::lchown(node.path(link), Some(1234), None).unwrap();
            assert!(!node.run(&["renew", "haproxy", "--force"]).status.success());
        }
    }
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
fn a_pattern_stands_for_several_and_passes_authorities_over() {
    let node = Node::fresh();
    let ending = |name: &str, end: &str| format!("/etc/etcd/pki/{name}.{end}");
    for name in ["server", "peer"] {
        let pair = due_of(&node.etcd_ca);
        put(&node, (&ending(name, "crt"), &ending(name, "key")), &pair);
    }
    fs::copy(
        node.pki_path("etcd/ca.crt"),
        node.path("/etc/etcd/pki/ca.crt"),
    )
    .unwrap();
    node.configure(
        "[certificate.etcd-host]\nfile = \"/etc/etcd/pki/*.crt\"\nkey = \"/etc/etcd/pki/*.key\"\nissuer = \"etcd-ca\"\nbefore = \"10d\"\n",
    );
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(
        all.contains("etcd-host/server") && all.contains("etcd-host/peer"),
        "{all}"
    );
    assert!(!all.contains("etcd-host/ca"), "{all}");
    let old = ["server", "peer"].map(|name| certificate(&node, &ending(name, "crt")).serial);
    // The table's `before` holds for all of them: twenty days are left.
    assert!(node.run(&["run", "--once"]).status.success());
    let same = ["server", "peer"].map(|name| certificate(&node, &ending(name, "crt")).serial);
    assert_eq!(same, old);
    let output = node.run(&["renew", "etcd-host/peer"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(certificate(&node, &ending("server", "crt")).serial, old[0]);
    assert_ne!(certificate(&node, &ending("peer", "crt")).serial, old[1]);
    assert!(key_fits(
        &node,
        (&ending("peer", "crt"), &ending("peer", "key"))
    ));
    let output = node.run(&["renew", "etcd-host/pear"]);
    assert!(
        said(&output).contains("did you mean \"etcd-host/peer\"?"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_pattern_that_matches_hundreds_is_bounded() {
    let node = Node::fresh();
    let pair = due_of(&node.ca);
    for number in 0..300 {
        let base = format!("/etc/many/{number:03}");
        put(
            &node,
            (&format!("{base}.crt"), &format!("{base}.key")),
            &pair,
        );
    }
    // No names for any command.
    for odd in ["a\nb.crt", "\u{1b}[2J.crt"] {
        fs::write(node.path("/etc/many").join(odd), pair.certificate_pem()).unwrap();
    }
    node.configure("[certificate.many]\nfile = \"/etc/many/*.crt\"\nkey = \"/etc/many/*.key\"\nissuer = \"ca\"\n");
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("more than 64 files"), "{all}");
    assert!(
        all.contains("many/063") && !all.contains("many/064"),
        "{all}"
    );
    node.configure("[certificate.none]\nfile = \"/etc/none/*.crt\"\nkey = \"/etc/none/*.key\"\nissuer = \"ca\"\n");
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(all.contains("[certificate.none] names it"), "{all}");
}

#[test]
fn a_host_that_has_only_those_is_a_node() {
    let node = Node::with_authorities();
    let (now, days) = (jiff::Timestamp::now(), |days: i64| {
        jiff::SignedDuration::from_hours(24 * days)
    });
    let validity = Validity {
        not_before: now - days(28),
        not_after: now + days(2),
    };
    let pair = Pair::sign(&server_leaf(), &node.etcd_ca, validity);
    put(
        &node,
        ("/etc/etcd/pki/server.crt", "/etc/etcd/pki/server.key"),
        &pair,
    );
    for path in [
        "ca.crt",
        "ca.key",
        "front-proxy-ca.crt",
        "front-proxy-ca.key",
    ] {
        fs::remove_file(node.pki_path(path)).unwrap();
    }
    for arguments in [&["plan"][..], &["check-expiration"], &["run", "--once"]] {
        // Without a description it is no such node.
        if arguments != ["run", "--once"] {
            continue;
        }
        fs::remove_file(node.pki_path("etcd/ca.key")).unwrap();
        let output = node.run(arguments);
        assert!(!output.status.success(), "{}", said(&output));
        fs::write(
            node.pki_path("etcd/ca.key"),
            node.etcd_ca.key().to_pem().unwrap().as_bytes(),
        )
        .unwrap();
    }
    node.configure(
        "[certificate.etcd-host]\nfile = \"/etc/etcd/pki/server.crt\"\nkey = \"/etc/etcd/pki/server.key\"\nissuer = \"etcd-ca\"\n",
    );
    // So its daemon speaks to no API.
    let loaded = kubecertd::config::load(&node.root, None).unwrap();
    assert!(!kubecertd::node::observe(&node.root, &loaded.config.locations).is_kubeadms());
    for arguments in [
        &["plan"][..],
        &["preflight"],
        &["check-expiration"],
        &["check-expiration", "--all", "--within", "1d"],
    ] {
        let output = node.run(arguments);
        let told = said(&output);
        assert!(output.status.success(), "{arguments:?}: {told}");
        for absent in [
            "apiserver",
            "admin.conf",
            "kubeadm init",
            "manifest directory",
            "front-proxy",
        ] {
            assert!(!told.contains(absent), "{arguments:?} {absent}: {told}");
        }
    }
    let output = node.run(&["run", "--once"]);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert_ne!(
        certificate(&node, "/etc/etcd/pki/server.crt").serial,
        pair.certificate.serial,
        "{told}"
    );
    for absent in ["apiserver", "admin.conf", "does not exist"] {
        assert!(!told.contains(absent), "{absent}: {told}");
    }
    // A node that lost kubeadm's certificates and still has its pods is none.
    node.write(
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver}\nspec:\n  containers:\n  - {name: kube-apiserver, image: x, command: [kube-apiserver]}\n",
    );
    let plan = said(&node.run(&["plan"]));
    assert!(plan.contains("apiserver"), "{plan}");
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

#[test]
fn a_ca_of_its_own_signs_on_a_host_without_kubeadm() {
    let tree = || {
        let node = Node::with_authorities();
        for name in ["ca", "front-proxy-ca", "etcd/ca"] {
            for end in ["crt", "key"] {
                fs::remove_file(node.pki_path(&format!("{name}.{end}"))).unwrap();
            }
        }
        let now = jiff::Timestamp::now();
        let hours = jiff::SignedDuration::from_hours;
        let ca = authority("hosts", now - hours(24 * 400), now + hours(24 * 4000));
        let pem = kubecertd::pki::certificates_to_pem([ca.certificate()]);
        let path = node.write("/etc/etcd/ca/ca.crt", pem);
        testkit::others::close(&node, &path);
        let key = node.write("/etc/etcd/ca/ca.key", ca.key().to_pem().unwrap().as_bytes());
        fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        let pair = due_of(&ca);
        put(&node, ("/etc/etcd/pki/a.crt", "/etc/etcd/pki/a.key"), &pair);
        node.configure(
            "[certificate.host]\nfile = \"/etc/etcd/pki/*.crt\"\nkey = \"/etc/etcd/pki/*.key\"\nca = \"/etc/etcd/ca/ca.crt\"\n\
             ca-key = \"/etc/etcd/ca/ca.key\"\n",
        );
        (node, ca, pair.certificate.serial)
    };
    let (node, ca, old) = tree();
    let output = node.run(&["check-expiration"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("ca.crt"), "{}", said(&output));
    let all = said(&node.run(&["check-expiration", "--all"]));
    assert!(
        all.contains("/etc/etcd/ca/ca.crt") && all.contains("host/a"),
        "{all}"
    );
    let output = node.run(&["run", "--once"]);
    assert!(output.status.success(), "{}", said(&output));
    let new = certificate(&node, "/etc/etcd/pki/a.crt");
    assert_ne!(new.serial, old, "{}", said(&output));
    assert!(new.is_signed_by(ca.certificate()));
    assert!(key_fits(
        &node,
        ("/etc/etcd/pki/a.crt", "/etc/etcd/pki/a.key")
    ));
    assert!(node.run(&["rollback", "last"]).status.success());
    assert_eq!(certificate(&node, "/etc/etcd/pki/a.crt").serial, old);

    // Who can change what counts as the CA is one.
    for (path, mode) in [("/etc/etcd/ca", 0o777), ("/etc/etcd/ca/ca.crt", 0o666)] {
        let (node, _, _) = tree();
        fs::set_permissions(node.path(path), Permissions::from_mode(mode)).unwrap();
        let told = renew_in_vain(&node, "host/a");
        assert!(told.contains("written by others"), "{told}");
    }
    // Its key is opened to sign, and by no other name.
    let (node, _, _) = tree();
    fs::hard_link(
        node.path("/etc/etcd/ca/ca.key"),
        node.path("/etc/etcd/pki/b.key"),
    )
    .unwrap();
    fs::copy(
        node.path("/etc/etcd/pki/a.crt"),
        node.path("/etc/etcd/pki/b.crt"),
    )
    .unwrap();
    let told = renew_in_vain(&node, "host/b");
    assert!(told.contains("the key of the authority"), "{told}");
    // The key elsewhere: a request is written for it.
    let (node, _, old) = tree();
    node.remove("/etc/etcd/ca/ca.key");
    let output = node.run(&["run", "--once"]);
    assert_eq!(certificate(&node, "/etc/etcd/pki/a.crt").serial, old);
    let outbox = fs::read_dir(node.path("/var/lib/kubecertd/outbox"))
        .unwrap()
        .count();
    assert_eq!(outbox, 1, "{}", said(&output));
}
