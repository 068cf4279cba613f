//! A CA whose key is elsewhere: requests, what comes back for them, and that it is put in place. OpenSSL is the CA.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use testkit::daemon::{Daemon, wait_until};
use testkit::{Node, said};

use crate::away::{BY_CA, Elsewhere, INBOX, ORDERS, OUTBOX, asked, openssl};

#[test]
fn what_is_signed_elsewhere_is_asked_for_accepted_and_put_in_place() {
    let here = Elsewhere::of(Node::due());
    let before: Vec<String> = BY_CA.iter().map(|name| here.node.serial(name)).collect();
    here.once();
    assert_eq!(
        here.names(OUTBOX).len(),
        BY_CA.len(),
        "{:?}",
        here.names(OUTBOX)
    );
    for (index, name) in BY_CA.iter().enumerate() {
        let signed = here.sign(&here.request(name), &[]);
        here.deliver(&format!("{index}.pem"), std::fs::read(signed).unwrap());
    }
    let said = here.once();
    for (name, before) in BY_CA.iter().zip(before) {
        let now = here.node.certificate(name);
        assert_ne!(now.serial, before, "{name}: {said}");
    }
    for directory in [OUTBOX, INBOX, ORDERS] {
        assert!(here.names(directory).is_empty(), "{directory}");
    }
    // Nothing more is asked for.
    here.once();
    assert!(here.names(OUTBOX).is_empty());
}

#[test]
fn an_answer_is_taken_in_every_form_that_cas_hand_out() {
    let here = Elsewhere::of(Node::due());
    here.once();
    let pem = |name: &str| std::fs::read(here.sign(&here.request(name), &[])).unwrap();
    let file = |name: &str| here.ca.path().join(name).to_str().unwrap().to_owned();
    let write =
        |name: &str, content: &[u8]| std::fs::write(here.ca.path().join(name), content).unwrap();
    let ca = std::fs::read(file("ca.crt")).unwrap();

    // DER, with nothing around it.
    write("one.pem", &pem("apiserver"));
    openssl(&[
        "x509",
        "-in",
        &file("one.pem"),
        "-outform",
        "DER",
        "-out",
        &file("one.cer"),
    ]);
    here.deliver("apiserver.cer", std::fs::read(file("one.cer")).unwrap());
    // PKCS#7 in DER and in PEM, with the CA along.
    for (name, form) in [("admin.conf", "DER"), ("scheduler.conf", "PEM")] {
        write("one.pem", &pem(name));
        let (ca, one, p7) = (file("ca.crt"), file("one.pem"), file("one.p7b"));
        openssl(&[
            "crl2pkcs7",
            "-nocrl",
            "-certfile",
            &ca,
            "-certfile",
            &one,
            "-outform",
            form,
            "-out",
            &p7,
        ]);
        here.deliver(&format!("{name}.p7b"), std::fs::read(p7).unwrap());
    }
    // Two answers in one file, the CA before them, with what `openssl x509 -text` puts around.
    let several = [
        b"0 s:CN = kubernetes\n".to_vec(),
        ca,
        b"Certificate:\n    Data:\n".to_vec(),
        pem("controller-manager.conf"),
        pem("super-admin.conf"),
    ];
    here.deliver("several.txt", several.concat());
    let before: Vec<String> = BY_CA.iter().map(|name| here.node.serial(name)).collect();
    let said = here.once();
    for (name, before) in BY_CA.iter().zip(before) {
        let is_new = here.node.serial(name) != before;
        assert_eq!(
            is_new,
            *name != "apiserver-kubelet-client",
            "{name}: {said}"
        );
    }
    assert_eq!(here.names(INBOX), [""; 0], "all of them were used");
    assert_eq!(here.names(OUTBOX).len(), 1);
}

#[test]
fn what_is_no_answer_is_rejected_with_what_was_expected_and_what_came() {
    let (here, before) = asked();
    let request = here.request("apiserver");
    let other = Elsewhere::of(Node::due());
    let config = |name: &str, text: &str| {
        let path = here.ca.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let few = config(
        "few",
        "subjectAltName=DNS:kubernetes\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n",
    );
    let key = |bits: &str| {
        let (key, request) = (here.ca.path().join("k.pem"), here.ca.path().join("k.csr"));
        let (key, request_path) = (key.to_str().unwrap(), request.to_str().unwrap());
        let kind = format!("rsa:{bits}");
        openssl(&[
            "req",
            "-new",
            "-newkey",
            &kind,
            "-nodes",
            "-keyout",
            key,
            "-subj",
            "/CN=kube-apiserver",
            "-out",
            request_path,
        ]);
        request
    };
    let signed = |extra: &[&str]| std::fs::read(here.sign(&request, extra)).unwrap();
    let signed_as = |extensions: &str| {
        let path = here.ca.path().join("as.pem");
        let ca = ["ca.crt", "ca.key"].map(|name| here.ca.path().join(name));
        let paths = [&request, &ca[0], &ca[1], &path].map(|path| path.to_str().unwrap());
        openssl(&[
            "x509",
            "-req",
            "-in",
            paths[0],
            "-CA",
            paths[1],
            "-CAkey",
            paths[2],
            "-out",
            paths[3],
            "-CAcreateserial",
            "-days",
            "365",
            "-extfile",
            extensions,
        ]);
        std::fs::read(path).unwrap()
    };
    let as_ca = config("as-ca", "basicConstraints=critical,CA:TRUE\n");
    let cases: [(Vec<u8>, &str); 7] = [
        (
            std::fs::read(other.sign(&request, &[])).unwrap(),
            "not signed by an authority that its users trust",
        ),
        (signed_as(&few), "lacks what the old one had: the name"),
        (
            std::fs::read(here.sign(&key("1024"), &[])).unwrap(),
            "is for another key than the open request for apiserver",
        ),
        (signed(&["-days", "1"]), "not later than the old one"),
        (signed_as(&as_ca), "the new certificate would be a CA's"),
        (
            std::fs::read(here.ca.path().join("ca.crt")).unwrap(),
            "holds only certificates of CAs",
        ),
        (
            signed(&[])[..300].to_vec(),
            "it is looked at again when it changes",
        ),
    ];
    for (content, why) in cases {
        here.deliver("answer.pem", content);
        let said = here.once();
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(here.node.serial("apiserver"), before, "{why}");
        assert_eq!(here.names(INBOX), ["answer.pem"], "{why}: it stays");
        let plan = said_plan(&here);
        if why.contains("lacks") {
            assert!(
                plan.contains("expected CN=kube-apiserver (names: "),
                "{plan}"
            );
            assert!(
                plan.contains("came CN=kube-apiserver (names: kubernetes;"),
                "{plan}"
            );
        }
    }
    // Half of it was rejected above; the whole file is not.
    here.deliver("answer.pem", signed(&[]));
    let said = here.once();
    assert_ne!(here.node.serial("apiserver"), before, "{said}");
}

fn said_plan(here: &Elsewhere) -> String {
    said(&here.node.run(&["plan"]))
}

#[test]
fn an_inbox_of_links_devices_floods_and_junk_changes_nothing_and_holds_nothing_up() {
    let (here, before) = asked();
    let inbox = here.node.path(INBOX);
    let secret = here.node.path("/etc/kubernetes/pki/sa.key");
    std::os::unix::fs::symlink(&secret, inbox.join("link.pem")).unwrap();
    std::os::unix::fs::symlink(&inbox, inbox.join("loop")).unwrap();
    std::fs::create_dir(inbox.join("directory.pem")).unwrap();
    nix::unistd::mkfifo(&inbox.join("pipe.pem"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::File::create(inbox.join("huge.pem"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    here.deliver("empty.pem", "");
    here.deliver("key.pem", std::fs::read(&secret).unwrap());
    here.deliver("bytes", (0..=255).cycle().take(4096).collect::<Vec<u8>>());
    let many = std::fs::read(here.ca.path().join("ca.crt"))
        .unwrap()
        .repeat(65);
    here.deliver("many.pem", many);
    let said = here.once();
    for why in [
        "link.pem",
        "directory.pem",
        "pipe.pem",
        "huge.pem",
        "empty.pem",
        "key.pem",
        "bytes",
        "many.pem",
    ] {
        assert!(said.contains(why), "{why}: {said}");
    }
    assert!(!said.contains("BEGIN") && !said.contains("MII"), "{said}");
    assert_eq!(here.node.serial("apiserver"), before);
    let signed = here.sign(&here.request("apiserver"), &[]);
    here.deliver("the-one.pem", std::fs::read(signed).unwrap());
    let said = here.once();
    assert_ne!(here.node.serial("apiserver"), before, "{said}");
}

#[test]
fn nothing_is_read_of_an_inbox_that_others_may_write_to() {
    use std::os::unix::fs::PermissionsExt as _;
    let (here, before) = asked();
    let signed = here.sign(&here.request("apiserver"), &[]);
    here.deliver("answer.pem", std::fs::read(signed).unwrap());
    let inbox = here.node.path(INBOX);
    let set =
        |mode| std::fs::set_permissions(&inbox, std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        set(mode);
        let said = here.once();
        assert!(
            said.contains("others than root may write to it"),
            "{mode:o}: {said}"
        );
        assert_eq!(here.node.serial("apiserver"), before, "{mode:o}");
    }
    set(0o750);
    here.once();
    assert_ne!(here.node.serial("apiserver"), before);
}

#[test]
fn a_request_is_closed_when_it_is_overtaken_and_its_key_is_gone() {
    let here = Elsewhere::of(Node::due());
    here.once();
    // A restart of the program changes nothing, and the key is nobody else's to read.
    let first = here.names(ORDERS);
    here.once();
    assert_eq!(here.names(ORDERS), first);
    for name in &first {
        let directory = here.node.path(ORDERS).join(name);
        for path in [directory.clone(), directory.join("key.pem")] {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }
    // One is to be left alone.
    here.node
        .configure("[certificate.\"scheduler.conf\"]\nskip = true\n");
    let said = here.once();
    assert!(
        said.contains("scheduler.conf: request closed, because the configuration"),
        "{said}"
    );
    here.node.configure("");
    here.once();
    // One is replaced by a certificate with fewer names that ends as soon: that is another request, with another key.
    let path = |name: &str| here.ca.path().join(name).to_str().unwrap().to_owned();
    let crt = here
        .node
        .path("/etc/kubernetes/pki/apiserver-kubelet-client.crt");
    let pem = std::fs::read(&crt).unwrap();
    std::fs::write(path("few"), "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:x\n").unwrap();
    let key = here
        .node
        .path("/etc/kubernetes/pki/apiserver-kubelet-client.key");
    openssl(&[
        "x509",
        "-x509toreq",
        "-in",
        crt.to_str().unwrap(),
        "-signkey",
        key.to_str().unwrap(),
        "-out",
        &path("few.csr"),
    ]);
    openssl(&[
        "x509",
        "-req",
        "-in",
        &path("few.csr"),
        "-CA",
        &path("ca.crt"),
        "-CAkey",
        &path("ca.key"),
        "-CAcreateserial",
        "-days",
        "9",
        "-extfile",
        &path("few"),
        "-out",
        &path("few.crt"),
    ]);
    let old = here.request("apiserver-kubelet-client");
    std::fs::copy(path("few.crt"), &crt).unwrap();
    let said = here.once();
    assert!(
        said.contains("another subject, other names or usages"),
        "{said}"
    );
    // Nine days of nine are left, so that nothing is asked for yet.
    assert!(
        !here
            .names(OUTBOX)
            .iter()
            .any(|name| name.starts_with("apiserver-kubelet-client"))
    );
    std::fs::write(&crt, pem).unwrap();
    here.once();
    assert_ne!(here.request("apiserver-kubelet-client"), old);
    // An administrator renews one by hand.
    let key = here.ca.path().join("new.key");
    let (key, csr) = (key.to_str().unwrap(), here.ca.path().join("new.csr"));
    let old = here.node.path("/etc/kubernetes/pki/apiserver.crt");
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        key,
    ]);
    openssl(&[
        "x509",
        "-x509toreq",
        "-copy_extensions",
        "copyall",
        "-in",
        old.to_str().unwrap(),
        "-signkey",
        key,
        "-out",
        csr.to_str().unwrap(),
    ]);
    std::fs::copy(here.sign(&csr, &[]), &old).unwrap();
    std::fs::copy(key, here.node.path("/etc/kubernetes/pki/apiserver.key")).unwrap();
    let said = here.once();
    assert!(said.contains("apiserver: request closed"), "{said}");
    assert_eq!(here.names(ORDERS).len(), first.len() - 1);
    assert_eq!(here.names(OUTBOX).len(), first.len() - 1);
    // The CA's key comes back.
    std::fs::copy(
        here.ca.path().join("ca.key"),
        here.node.path("/etc/kubernetes/pki/ca.key"),
    )
    .unwrap();
    here.once();
    assert!(here.names(ORDERS).is_empty() && here.names(OUTBOX).is_empty());
}

/// With an intermediate CA, whose certificate is not on the node before it comes with an answer.
#[test]
fn a_chain_in_any_order_goes_behind_the_leaf_and_is_renewed_by_its_own_issuer() {
    let (here, before) = asked();
    let file = |name: &str| here.ca.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| std::fs::write(file(name), text).unwrap();
    write(
        "ca-extensions",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n",
    );
    openssl(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=between",
        "-keyout",
        &file("between.key"),
        "-out",
        &file("between.csr"),
    ]);
    openssl(&[
        "x509",
        "-req",
        "-in",
        &file("between.csr"),
        "-CA",
        &file("ca.crt"),
        "-CAkey",
        &file("ca.key"),
        "-CAcreateserial",
        "-days",
        "730",
        "-extfile",
        &file("ca-extensions"),
        "-out",
        &file("between.crt"),
    ]);
    let by_between = |request: &std::path::Path, days: &str| {
        openssl(&[
            "x509",
            "-req",
            "-in",
            request.to_str().unwrap(),
            "-CA",
            &file("between.crt"),
            "-CAkey",
            &file("between.key"),
            "-CAcreateserial",
            "-days",
            days,
            "-copy_extensions",
            "copyall",
            "-out",
            &file("leaf.pem"),
        ]);
        std::fs::read(file("leaf.pem")).unwrap()
    };
    let between = std::fs::read(file("between.crt")).unwrap();
    let leaf = by_between(&here.request("apiserver"), "30");
    // Without the one between nothing leads to the CA.
    here.deliver("answer.pem", &leaf);
    let said = here.once();
    assert!(
        said.contains("not signed by an authority that its users trust"),
        "{said}"
    );
    here.deliver("answer.pem", [between, leaf].concat());
    let said = here.once();
    let first = here.node.serial("apiserver");
    assert_ne!(first, before, "{said}");
    let bundle = || {
        kubecertd::pki::certificates_from_pem(
            here.node
                .read("/etc/kubernetes/pki/apiserver.crt")
                .as_bytes(),
        )
        .unwrap()
    };
    let subjects = |bundle: &[kubecertd::pki::Certificate]| -> Vec<String> {
        bundle.iter().map(|one| one.subject.clone()).collect()
    };
    assert_eq!(subjects(&bundle()), ["CN=kube-apiserver", "CN=between"]);
    // The next one, without its chain: that is in the file.
    let said = testkit::said(&here.node.run(&["renew", "apiserver"]));
    assert!(said.contains("request written"), "{said}");
    here.deliver("next.pem", by_between(&here.request("apiserver"), "300"));
    let said = here.once();
    assert_ne!(here.node.serial("apiserver"), first, "{said}");
    assert_eq!(subjects(&bundle()), ["CN=kube-apiserver", "CN=between"]);
}

/// The daemon is killed while the request is open, and sees the answer when the last of its parts is there.
#[test]
fn the_daemon_keeps_a_request_over_restarts_and_takes_an_answer_that_comes_slowly() {
    let (here, before) = asked();
    let order = here.names(ORDERS);
    let mut daemon = Daemon::start(&here.node);
    daemon.expect("READY=1");
    let signed = std::fs::read(here.sign(&here.request("apiserver"), &[])).unwrap();
    for part in 1..4 {
        here.deliver("slow.pem", &signed[..signed.len() * part / 4]);
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    daemon.stop();
    assert_eq!(here.names(ORDERS), order, "the same request");
    assert_eq!(here.node.serial("apiserver"), before);
    let mut daemon = Daemon::start(&here.node);
    daemon.expect("READY=1");
    here.deliver("slow.pem", &signed);
    wait_until("the answer is in place", || {
        here.node.serial("apiserver") != before
    });
    wait_until("the request is closed", || here.names(ORDERS).is_empty());
    wait_until("the answer is gone", || here.names(INBOX).is_empty());
    daemon.stop();
}
