//! Bad input: each file gets a message that names it and says what to do, and the rest is read as ever.

// Helpers of tests are tests to us, though not to clippy.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubecertd::node::{AuthorityState, CertificateState, Inventory, KeyState, Signer};
use kubecertd::pki::{AuthorityId, certificates_to_pem};
use testkit::Node;
use testkit::kubeadm::{kubeconfig_with, leaf};

/// The path and the reason of an entry that could not be read, after a look at all the others.
#[track_caller]
fn unreadable(tree: &Node, name: &str) -> (PathBuf, String) {
    let inventory = tree.observe();
    for entry in &inventory.entries {
        if entry.id.as_str() != name {
            assert!(
                entry.present().is_some(),
                "{} cannot be read either",
                entry.id
            );
        }
    }
    match &inventory.find(name).unwrap().state {
        CertificateState::Unreadable(problem) => (problem.path.clone(), problem.fault.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_unreadable(tree: &Node, name: &str, path: &str, reason: &str) {
    let (found_path, found_reason) = unreadable(tree, name);
    assert_eq!(found_path, tree.path(path));
    assert!(found_reason.contains(reason), "{found_reason}");
}

fn key<'a>(inventory: &'a Inventory, name: &str) -> &'a KeyState {
    &inventory.find(name).unwrap().present().unwrap().key
}

#[track_caller]
pub(crate) fn assert_problem(inventory: &Inventory, path: PathBuf, reason: &str) {
    assert!(
        inventory
            .problems
            .iter()
            .any(|problem| problem.path == path && problem.fault.to_string().contains(reason)),
        "{:#?}",
        inventory.problems
    );
}

#[test]
fn damaged_certificates() {
    let crt = "/etc/kubernetes/pki/apiserver.crt";
    let tree = Node::as_kubeadm_made_it();
    let good = std::fs::read_to_string(tree.path(crt)).unwrap();
    let der = tree
        .observe()
        .find("apiserver")
        .unwrap()
        .present()
        .unwrap()
        .leaf
        .der()
        .to_vec();
    let key = std::fs::read_to_string(tree.pki_path("apiserver.key")).unwrap();
    let cases: [(&[u8], &str); 8] = [
        (b"", "is empty; restore it from a backup"),
        (b" \n", "is empty; restore it from a backup"),
        (
            &good.as_bytes()[..good.len() / 2],
            "is truncated, the end of the certificate is missing",
        ),
        (
            b"\x00\xff\x80\x00binary",
            "holds binary data and no PEM certificate",
        ),
        (
            &der,
            "is a certificate in DER form, not PEM; convert it with",
        ),
        (
            key.as_bytes(),
            "holds a PEM block EC PRIVATE KEY where CERTIFICATE should be",
        ),
        (b"hello\n", "holds no PEM block CERTIFICATE"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "holds a damaged certificate: ",
        ),
    ];
    for (content, reason) in cases {
        tree.write(crt, content);
        assert_unreadable(&tree, "apiserver", crt, reason);
    }
}

#[test]
fn what_is_no_file() {
    let crt = "/etc/kubernetes/pki/apiserver.crt";
    let tree = Node::as_kubeadm_made_it();
    let path = tree.path(crt);

    tree.remove(crt);
    std::fs::create_dir(&path).unwrap();
    assert_unreadable(&tree, "apiserver", crt, "is a directory, not a file");

    tree.remove(crt);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_unreadable(&tree, "apiserver", crt, "is a FIFO, not a file");

    tree.remove(crt);
    std::fs::File::create(&path)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    assert_unreadable(&tree, "apiserver", crt, "is larger than 10 MiB");

    tree.remove(crt);
    symlink("/nowhere/x.crt", &path).unwrap();
    assert_unreadable(
        &tree,
        "apiserver",
        crt,
        "symbolic link to /nowhere/x.crt, which does not exist",
    );

    tree.remove(crt);
    symlink("apiserver.crt", &path).unwrap();
    assert_unreadable(&tree, "apiserver", crt, "is a loop of symbolic links");
}

#[test]
fn a_linked_directory_that_is_gone() {
    let tree = Node::as_kubeadm_made_it();
    tree.remove("/etc/kubernetes/pki");
    symlink("/mnt/pki", tree.path("/etc/kubernetes/pki")).unwrap();
    let inventory = tree.observe();
    let CertificateState::Unreadable(problem) = &inventory.find("apiserver").unwrap().state else {
        panic!("{:?}", inventory.find("apiserver"));
    };
    assert_eq!(
        problem.fault.to_string(),
        "its directory /etc/kubernetes/pki is a symbolic link to /mnt/pki, which does not exist; restore the target \
         or replace the link"
    );
    assert!(inventory.find("admin.conf").unwrap().present().is_some());
}

/// Only where the tests do not run as root, who may read everything.
#[test]
fn unreadable_modes() {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = Node::as_kubeadm_made_it();
    let set_mode = |path: &str, mode| {
        std::fs::set_permissions(tree.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode("/etc/kubernetes/pki/apiserver.crt", 0);
    set_mode("/etc/kubernetes/pki/etcd/peer.key", 0);
    if std::fs::read(tree.pki_path("apiserver.crt")).is_ok() {
        testkit::not_on_this_machine("root reads files of any mode");
        return;
    }
    assert_unreadable(
        &tree,
        "apiserver",
        "/etc/kubernetes/pki/apiserver.crt",
        "permission denied; run as root",
    );
    assert!(matches!(
        key(&tree.observe(), "etcd-peer"),
        KeyState::OutOfReach(problem) if problem.fault.to_string() == "permission denied; run as root"
    ));
}

#[test]
fn keys_that_are_of_no_use() {
    let tree = Node::as_kubeadm_made_it();
    let other = leaf(&tree.ca, "other", 10);
    let file = "/etc/kubernetes/pki/apiserver.key";
    let good = std::fs::read_to_string(tree.path(file)).unwrap();

    tree.write(file, other.key_pem());
    assert_eq!(key(&tree.observe(), "apiserver"), &KeyState::Mismatched);
    tree.remove(file);
    assert_eq!(key(&tree.observe(), "apiserver"), &KeyState::Missing);

    let cases: [(&[u8], &str); 5] = [
        (b"", "is empty"),
        (
            &good.as_bytes()[..good.len() - 30],
            "is truncated, the end of the key is missing",
        ),
        (b"\xff\x00\xfe", "holds binary data and no PEM key"),
        (
            other.certificate_pem().leak().as_bytes(),
            "holds a PEM block CERTIFICATE where a private key should be",
        ),
        (
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "encrypted",
        ),
    ];
    for (content, reason) in cases {
        tree.write(file, content);
        let inventory = tree.observe();
        match key(&inventory, "apiserver") {
            KeyState::Damaged(problem) => {
                assert_eq!(problem.path, tree.path(file));
                assert!(
                    problem.fault.to_string().contains(reason),
                    "{}",
                    problem.fault
                );
            }
            other => panic!("{reason}: {other:?}"),
        }
    }
}

#[test]
fn service_account_keys() {
    let tree = Node::as_kubeadm_made_it();
    let other = leaf(&tree.ca, "other", 10);
    // Whose it is cannot be known: it is never read.
    tree.write_pki("sa.key", other.key_pem());
    assert_eq!(tree.observe().service_account.key, KeyState::Unread);
    // While the key is changed the file holds both.
    let old = std::fs::read_to_string(tree.pki_path("sa.pub")).unwrap();
    tree.write_pki(
        "sa.pub",
        old + &testkit::kubeadm::public_key_pem(&other.key),
    );
    assert_eq!(tree.observe().service_account.key, KeyState::Unread);
    tree.write_pki("sa.key", "");
    assert!(matches!(
        tree.observe().service_account.key,
        KeyState::Damaged(problem) if problem.fault.to_string().starts_with("is empty")
    ));
    tree.remove("/etc/kubernetes/pki/sa.key");
    assert_eq!(tree.observe().service_account.key, KeyState::Missing);
    tree.write_pki("sa.key", other.key_pem());
    for (content, reason) in [
        ("", "holds no PEM block PUBLIC KEY"),
        ("-----BEGIN X-----\n", "no PEM"),
    ] {
        tree.write_pki("sa.pub", content);
        let key = tree.observe().service_account.key;
        assert!(
            matches!(&key, KeyState::Damaged(problem) if problem.fault.to_string().contains(reason)),
            "{key:?}"
        );
    }
    tree.remove("/etc/kubernetes/pki/sa.pub");
    let found = tree.observe().service_account;
    assert!(found.key == KeyState::Unread && !found.public_key_present);
}

#[test]
fn authorities_that_are_of_no_use() {
    let tree = Node::as_kubeadm_made_it();
    let file = "/etc/kubernetes/pki/ca.crt";
    let state = |tree: &Node| {
        let inventory = tree.observe();
        assert_eq!(
            inventory
                .find("apiserver")
                .unwrap()
                .present()
                .unwrap()
                .signer,
            Signer::Unknown
        );
        inventory
            .authority(AuthorityId::Kubernetes)
            .unwrap()
            .state
            .clone()
    };
    let no_authority = leaf(&tree.ca, "no-authority", 10);
    tree.write(file, no_authority.certificate_pem());
    let AuthorityState::Unreadable(problem) = state(&tree) else {
        panic!("a leaf as authority");
    };
    assert!(
        problem
            .fault
            .to_string()
            .starts_with("is no CA certificate but one for CN=no-authority"),
        "{}",
        problem.fault
    );

    tree.write(file, "");
    assert!(
        matches!(state(&tree), AuthorityState::Unreadable(problem) if problem.fault.to_string().starts_with("is empty"))
    );
    tree.remove(file);
    assert!(matches!(state(&tree), AuthorityState::Missing));

    let other = testkit::kubeadm::authority("kubernetes");
    tree.write(file, certificates_to_pem([other.certificate()]));
    let inventory = tree.observe();
    assert!(matches!(
        &inventory.authority(AuthorityId::Kubernetes).unwrap().state,
        AuthorityState::Present {
            key: KeyState::Unread,
            ..
        }
    ));
    // The same name, but not the same key.
    assert_eq!(
        inventory
            .find("apiserver")
            .unwrap()
            .present()
            .unwrap()
            .signer,
        Signer::Foreign("CN=kubernetes".to_owned())
    );
}

#[test]
fn kubeconfigs() {
    let tree = Node::as_kubeadm_made_it();
    let file = "/etc/kubernetes/scheduler.conf";
    let ca = certificates_to_pem([tree.ca.certificate()]);
    let good = std::fs::read_to_string(tree.path(file)).unwrap();
    let pem = STANDARD.encode("no certificate");
    for (content, reason) in [
        (String::new(), "the file is empty; restore it from a backup"),
        ("\u{0}".to_owned(), "not a kubeconfig: "),
        (
            good[..good.find("    client-key-data").unwrap()].to_owned(),
            "has a client certificate but no key",
        ),
        (
            good.replace("current-context: me@kubernetes\n", ""),
            "current-context is not set",
        ),
        (
            good.replace("current-context: me", "current-context: you"),
            "names the context \"you@kubernetes\"",
        ),
        (
            format!("{good}- name: me\n  user: {{}}\n"),
            "two users are called \"me\"",
        ),
        (
            kubeconfig_with(&ca, "token: secret"),
            "has no client certificate but a token",
        ),
        (
            kubeconfig_with(
                &ca,
                &format!("client-certificate-data: {pem}\n    client-key-data: {pem}"),
            ),
            "users[me].client-certificate-data holds no PEM block CERTIFICATE",
        ),
    ] {
        tree.write(file, &content);
        assert_unreadable(&tree, "scheduler.conf", file, reason);
    }
    tree.write(file, b"\xff\xfe");
    assert_unreadable(&tree, "scheduler.conf", file, "is not text (binary data)");

    tree.write(
        file,
        kubeconfig_with(
            &ca,
            "client-certificate: gone.crt\n    client-key: gone.key",
        ),
    );
    assert_unreadable(
        &tree,
        "scheduler.conf",
        "/etc/kubernetes/gone.crt",
        "does not exist, but /etc/kubernetes/scheduler.conf refers to it",
    );
}

#[test]
fn a_kubeconfig_that_trusts_nothing_is_read_all_the_same() {
    let tree = Node::as_kubeadm_made_it();
    let file = "/etc/kubernetes/admin.conf";
    let good = std::fs::read_to_string(tree.path(file)).unwrap();
    let ca = STANDARD.encode(certificates_to_pem([tree.ca.certificate()]));
    tree.write(file, good.replace(&ca, &STANDARD.encode("nothing")));
    let inventory = tree.observe();
    assert!(inventory.find("admin.conf").unwrap().present().is_some());
    assert_problem(
        &inventory,
        tree.path(file),
        "clusters[kubernetes].certificate-authority-data holds no PEM block CERTIFICATE",
    );
    tree.write(file, good.replace(&format!("-data: {ca}"), ": missing.crt"));
    assert_problem(
        &tree.observe(),
        tree.path("/etc/kubernetes/missing.crt"),
        "does not exist, but /etc/kubernetes/admin.conf refers to it as certificate-authority",
    );
}
