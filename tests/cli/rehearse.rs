//! `kubecertd rehearse`: everything is tried, nothing is changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{
    CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, SubjectAltName,
    Validity, certificates_from_pem, certificates_to_pem,
};
use testkit::secret_search::Secrets;
use testkit::{ELEVEN, Node, contents, text};

#[test]
fn a_node_is_rehearsed_and_left_as_it_was() {
    let node = Node::due();
    let before = contents(node.directory.path());
    let output = node.run(&["rehearse"]);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}{}", text(&output.stderr));
    for name in ELEVEN {
        assert!(
            told.contains(&format!("pass  {name}")),
            "{name} in:\n{told}"
        );
    }
    assert!(told.contains("0 failed"), "{told}");
    assert_eq!(contents(node.directory.path()), before);
}

/// A node on which a pair is another cluster's, as after a CA rotation that forgot it.
fn with_foreign(base: &str) -> Node {
    let node = Node::fresh();
    let other = Node::fresh();
    for ending in ["crt", "key"] {
        let path = format!("/etc/kubernetes/pki/{base}.{ending}");
        std::fs::copy(other.path(&path), node.path(&path)).unwrap();
    }
    node
}

#[test]
fn what_would_be_left_although_it_is_there_fails_the_rehearsal() {
    let node = with_foreign("apiserver-etcd-client");
    let before = contents(node.directory.path());
    let output = node.run(&["rehearse"]);
    let told = text(&output.stdout);
    assert!(told.contains("left  apiserver-etcd-client"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(contents(node.directory.path()), before);
    // What may be missing may be left.
    let joined = Node::fresh();
    std::fs::remove_file(joined.path("/etc/kubernetes/super-admin.conf")).unwrap();
    let output = joined.run(&["rehearse"]);
    let told = text(&output.stdout);
    assert!(told.contains("left  super-admin.conf"), "{told}");
    assert_eq!(output.status.code(), Some(0), "{told}");
}

#[test]
fn a_server_that_its_clients_would_refuse_fails_the_rehearsal() {
    let output = with_foreign("etcd/server").run(&["rehearse"]);
    let told = text(&output.stdout);
    for client in ["apiserver-etcd-client", "etcd-healthcheck-client"] {
        assert!(told.contains(&format!("FAIL  {client}")), "{told}");
    }
    assert!(told.contains("pass  front-proxy-client"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn a_machine_without_kubernetes_is_told_about_the_sample() {
    let empty = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(empty.path())
        .arg("rehearse")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("--sample"));
}

/// The lines about one certificate.
fn lines<'told>(told: &'told str, name: &str) -> Vec<&'told str> {
    told.lines()
        .filter(|line| {
            ["pass", "note", "FAIL", "left"].iter().any(|verdict| {
                line.strip_prefix(verdict)
                    .is_some_and(|rest| rest.trim_start().starts_with(&format!("{name} ")))
            })
        })
        .collect()
}

fn rehearsed(node: &Node) -> (String, Output) {
    let output = node.run(&["rehearse"]);
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    // Another test's, which was killed.
    let of_this_one = told.lines().filter(|line| !line.starts_with("Removed "));
    assert!(
        !of_this_one
            .collect::<String>()
            .contains("kubecertd-rehearsal-"),
        "the copy is gone, nobody can look at it:\n{told}"
    );
    (told, output)
}

/// A rehearsal that stops in the middle: its output is a pipe that holds one line, and nobody reads after the first line
/// about the keys that are made.
struct Stopped {
    child: std::process::Child,
    directory: PathBuf,
    _output: File,
}

impl Stopped {
    fn in_the_middle_of(node: &Node, temporary: &Path) -> Self {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        // In packet mode each line takes a page, and the pipe has one.
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC).unwrap();
        fcntl(reader.as_fd(), FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        let child = node
            .command()
            .arg("rehearse")
            .env("TMPDIR", temporary)
            .stdout(writer)
            .spawn()
            .unwrap();
        let mut output = File::from(reader);
        let mut line = [0; 4096];
        loop {
            let length = output.read(&mut line).unwrap();
            assert!(length > 0, "the rehearsal ended");
            if text(&line[..length]).contains("making 11 keys") {
                break;
            }
        }
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        let directory = open
            .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
            .find(|path| path.to_string_lossy().contains("kubecertd-rehearsal-"))
            .unwrap();
        Self {
            child,
            directory: directory
                .ancestors()
                .find(|path| {
                    path.file_name().is_some_and(|name| {
                        name.to_string_lossy().starts_with("kubecertd-rehearsal-")
                    })
                })
                .unwrap()
                .to_path_buf(),
            _output: output,
        }
    }

    fn kill(mut self) -> PathBuf {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.directory
    }
}

#[test]
fn the_copy_holds_no_key_of_the_node_and_what_is_killed_is_swept() {
    let node = Node::due();
    // Also what other users of a kubeconfig have stays where it is.
    let admin = node.path("/etc/kubernetes/admin.conf");
    let mut kubeconfig = std::fs::read_to_string(&admin).unwrap();
    kubeconfig.push_str("- name: other\n  user:\n    token: not-for-anybodys-eyes\n");
    std::fs::write(&admin, kubeconfig).unwrap();
    let secrets = Secrets::below(&node.path("/etc/kubernetes"));
    assert_eq!(secrets.count, 15);
    let temporary = tempfile::tempdir().unwrap();
    let stopped = Stopped::in_the_middle_of(&node, temporary.path());
    let directory = stopped.directory.clone();
    let copies = contents(&directory);
    assert!(
        copies
            .keys()
            .any(|path| path.ends_with("copy/etc/kubernetes/pki/ca.key")),
        "{copies:?}"
    );
    for (path, bytes) in &copies {
        assert_eq!(secrets.find(bytes), None, "{}", path.display());
        assert!(
            !text(bytes).contains("not-for-anybodys-eyes"),
            "{}",
            path.display()
        );
    }
    // What is signed there is of no use anywhere else.
    let real = testkit::first_certificate(&node.path("/etc/kubernetes/pki/ca.crt"));
    let leaf = "copy/etc/kubernetes/pki/apiserver-kubelet-client.crt";
    let double = testkit::first_certificate(&directory.join(leaf));
    assert_eq!(double.issuer_der, real.subject_der);
    assert!(!double.is_signed_by(&real));
    // While it runs, another one leaves it alone.
    let another = |temporary: &Path| {
        let output = node
            .command()
            .arg("rehearse")
            .env("TMPDIR", temporary)
            .output();
        text(&output.unwrap().stdout)
    };
    let told = another(temporary.path());
    assert!(told.contains("0 failed") && directory.exists(), "{told}");
    assert_eq!(stopped.kill(), directory);
    let told = another(temporary.path());
    assert!(!directory.exists(), "{told}");
    let mut is_said = told.contains(&format!("Removed {}", directory.display()));
    // Any rehearsal of another test may have been quicker.
    for _ in 0..10 {
        if is_said {
            return;
        }
        let left = Stopped::in_the_middle_of(&node, temporary.path()).kill();
        let told = another(temporary.path());
        assert!(!left.exists(), "{told}");
        is_said = told.contains(&format!("Removed {}", left.display()));
    }
    assert!(is_said, "{told}");
}

fn authority(node: &Node) -> CertificateAuthority {
    let read = |path: &str| std::fs::read(node.path(path)).unwrap();
    let certificates = certificates_from_pem(&read("/etc/kubernetes/pki/ca.crt")).unwrap();
    let key = PrivateKey::from_pem(&read("/etc/kubernetes/pki/ca.key")).unwrap();
    CertificateAuthority::new(&certificates, key).unwrap()
}

fn validity() -> Validity {
    let now = Timestamp::now();
    Validity {
        not_before: now - SignedDuration::from_hours(24),
        not_after: now + SignedDuration::from_hours(24 * 300),
    }
}

/// Another API server's certificate, with these names.
fn serve_under(node: &Node, names: &[&str]) {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let certificate = NewLeaf {
        common_name: "kube-apiserver".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) if !name.ends_with(".1") => SubjectAltName::Ip(address),
                _ => SubjectAltName::Dns((*name).to_owned()),
            })
            .collect(),
        server_auth: true,
        client_auth: false,
    }
    .sign(&key, &authority(node), validity())
    .unwrap();
    let path = |ending| node.path(&format!("/etc/kubernetes/pki/apiserver.{ending}"));
    std::fs::write(path("crt"), certificates_to_pem([&certificate])).unwrap();
    std::fs::write(path("key"), key.to_pem().unwrap().as_bytes()).unwrap();
}

#[test]
fn names_that_were_wrong_before_are_not_the_renewals_fault() {
    let node = Node::fresh();
    // An address written as a DNS name: no client finds it there, before and after.
    serve_under(&node, &["kubernetes.default", "10.96.0.1", "192.0.2.11"]);
    let (told, output) = rehearsed(&node);
    let noted: Vec<&str> = lines(&told, "apiserver")
        .into_iter()
        .filter(|line| line.starts_with("note") && line.contains("as server under"))
        .collect();
    assert_eq!(noted.len(), 1, "{told}");
    assert!(
        noted[0].contains("10.96.0.1") && noted[0].contains("it was so before the renewal"),
        "{told}"
    );
    assert!(
        told.contains(" 0 failed") && !told.contains("FAIL"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(0), "{told}");

    // The name in the kubeconfigs is not among the certificate's.
    let node = Node::fresh();
    serve_under(&node, &["kubernetes.default"]);
    let (told, output) = rehearsed(&node);
    assert!(
        told.contains("as server under 192.0.2.11, as admin.conf calls it"),
        "{told}"
    );
    assert_eq!(lines(&told, "admin.conf").len(), 1, "{told}");
    assert_eq!(output.status.code(), Some(0), "{told}");
}

#[test]
fn every_certificate_has_a_line() {
    let node = Node::fresh();
    // No client could connect to it under any name.
    serve_under(&node, &[]);
    let (told, _) = rehearsed(&node);
    for name in ELEVEN {
        assert!(!lines(&told, name).is_empty(), "{name} in:\n{told}");
    }
}

#[test]
fn a_client_that_does_not_trust_the_new_signer_fails_the_rehearsal() {
    let node = Node::fresh();
    let old = authority(&node);
    let new = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: old.certificate().not_before,
        not_after: old.certificate().not_after,
    })
    .unwrap();
    let bundle = certificates_to_pem([new.certificate(), old.certificate()]);
    std::fs::write(node.path("/etc/kubernetes/pki/ca.crt"), bundle).unwrap();
    let key = new.key().to_pem().unwrap();
    std::fs::write(node.path("/etc/kubernetes/pki/ca.key"), key.as_bytes()).unwrap();
    let (told, output) = rehearsed(&node);
    // The kubelet's kubeconfig still trusts the old one only.
    let kubelet = lines(&told, "kubelet.conf").join("\n");
    assert!(
        kubelet.contains("FAIL")
            && kubelet.contains("the client refuses the server's certificate")
            && !kubelet.contains("before the renewal"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1), "{told}");
}

/// An API server's certificate that is marked as a CA's, as some scripts around openssl make them.
fn marked_as_ca(node: &Node) {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer,
        KeyPair,
    };
    let read = |path: &str| std::fs::read_to_string(node.path(path)).unwrap();
    let key = KeyPair::from_pem(&read("/etc/kubernetes/pki/ca.key")).unwrap();
    let mut authority = CertificateParams::default();
    let name = DnValue::PrintableString("kubernetes".try_into().unwrap());
    authority.distinguished_name = DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, name);
    let issuer = Issuer::new(authority, key);
    let names = ["kubernetes.default".to_owned(), "192.0.2.11".to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(300);
    let own = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let path = |ending| node.path(&format!("/etc/kubernetes/pki/apiserver.{ending}"));
    std::fs::write(path("crt"), certificate.pem()).unwrap();
    std::fs::write(path("key"), own.serialize_pem()).unwrap();
}

#[test]
fn a_leaf_that_is_marked_as_a_ca_spoils_no_other_line() {
    let node = Node::fresh();
    marked_as_ca(&node);
    let (told, _) = rehearsed(&node);
    assert!(!told.contains("FAIL"), "{told}");
    assert!(told.contains("0 failed"), "{told}");
    assert!(!lines(&told, "apiserver").is_empty(), "{told}");
    for name in ELEVEN.iter().filter(|name| **name != "apiserver") {
        assert!(
            told.contains(&format!("pass  {name}")),
            "{name} in:\n{told}"
        );
    }
}

#[test]
fn a_rehearsal_that_renewed_nothing_fails_and_says_why_once() {
    let node = Node::fresh();
    for key in ["ca.key", "etcd/ca.key", "front-proxy-ca.key"] {
        std::fs::remove_file(node.path(&format!("/etc/kubernetes/pki/{key}"))).unwrap();
    }
    let (told, output) = rehearsed(&node);
    assert!(told.contains("no certificate was renewed"), "{told}");
    assert_eq!(
        told.matches("the key of etcd-ca is not on this node")
            .count(),
        1,
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn what_is_wrong_is_said_with_the_nodes_paths() {
    let node = Node::fresh();
    std::fs::write(node.path("/etc/kubernetes/pki/ca.key"), "damaged").unwrap();
    std::fs::write(node.path("/etc/kubernetes/pki/etcd/peer.crt"), "damaged").unwrap();
    let (told, output) = rehearsed(&node);
    for path in [
        "/etc/kubernetes/pki/ca.key",
        "/etc/kubernetes/pki/etcd/peer.crt",
    ] {
        assert!(told.contains(node.path(path).to_str().unwrap()), "{told}");
    }
    assert_eq!(output.status.code(), Some(1), "{told}");
    // A kubeconfig that cannot be edited where it is, although the copy's could.
    let node = Node::fresh();
    let admin = node.path("/etc/kubernetes/admin.conf");
    let kubeconfig = std::fs::read_to_string(&admin).unwrap();
    let (rest, credentials) =
        kubeconfig.split_at(kubeconfig.find("client-certificate-data: ").unwrap());
    let credentials = credentials.replace("\n    ", "\n  ");
    let kubeconfig = format!(
        "x-user: &user\n  {}\n{rest}<<: *user\n",
        credentials.trim_end()
    );
    std::fs::write(&admin, kubeconfig).unwrap();
    let (told, output) = rehearsed(&node);
    assert!(told.contains("FAIL  admin.conf"), "{told}");
    assert!(told.contains("merge key"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn what_the_node_would_refuse_is_not_rehearsed_as_if_it_would_not() {
    // As root in the etcd pod could make it.
    let node = Node::fresh();
    let key = node.path("/etc/kubernetes/pki/etcd/server.key");
    std::fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink("../ca.key", &key).unwrap();
    let before = contents(node.directory.path());
    let (told, output) = rehearsed(&node);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(!told.contains("etcd-server renewed"), "{told}");
    assert!(told.contains("pki/etcd/server.key"), "{told}");
    assert_eq!(contents(node.directory.path()), before);
}
