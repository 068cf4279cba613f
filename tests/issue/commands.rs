//! A program that asks the CA: what it is told, what it may answer, and what it must not. Among them those of `config/issuers`, with
//! servers that the test plays.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use testkit::daemon::{Daemon, wait_until};
use testkit::{ELEVEN, Node, said};

use crate::away::{BY_CA, Elsewhere, ORDERS, OUTBOX, openssl};

/// Beside the node: the issuer runs on the machine, not below the root.
fn script(here: &Elsewhere, text: &str) -> PathBuf {
    let path = here.ca.path().join("issuer");
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config/issuers")
        .join(name)
}

fn configure(here: &Elsewhere, command: &[&str], more: &str) {
    let words: Vec<String> = command.iter().map(|word| format!("{word:?}")).collect();
    here.node.configure(&format!(
        "[issuer.test]\ncommand = [{}]\n{more}",
        words.join(", ")
    ));
}

/// With one program and one certificate to ask it for.
fn with(text: &str, more: &str) -> (Elsewhere, String) {
    let here = Elsewhere::of(Node::due());
    let path = script(&here, text);
    configure(&here, &[path.to_str().unwrap()], more);
    let skip: Vec<String> = ELEVEN
        .iter()
        .filter(|name| **name != "apiserver")
        .map(|name| format!("[certificate.{name:?}]\nskip = true\n"))
        .collect();
    let before = here.node.read("/etc/kubecertd/kubecertd.toml");
    here.node.configure(&(before + &skip.concat()));
    let serial = here.node.serial("apiserver");
    (here, serial)
}

fn path_of(here: &Elsewhere, name: &str) -> String {
    here.ca.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn openssl_signs_what_is_due_in_one_pass() {
    let here = Elsewhere::of(Node::due());
    let (ca, key) = (path_of(&here, "ca.crt"), path_of(&here, "ca.key"));
    configure(
        &here,
        &[example("openssl").to_str().unwrap(), &ca, &key],
        "",
    );
    let before: Vec<String> = BY_CA.iter().map(|name| here.node.serial(name)).collect();
    let said = here.once();
    for (name, before) in BY_CA.iter().zip(before) {
        assert_ne!(here.node.serial(name), before, "{name}: {said}");
    }
    here.once();
    assert!(here.names(ORDERS).is_empty() && here.names(OUTBOX).is_empty());
}

#[test]
fn step_ca_is_asked_by_its_client() {
    let here = Elsewhere::of(Node::due());
    let client = here.ca.path().join("step");
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'ca sign' ] || exit 9\ncase \"$*\" in *'--provisioner kubernetes'*) ;; *) exit 9;; esac\n\
         if [ -e {0}/away ]; then echo 'dial tcp: connection refused' >&2; exit 1; fi\n\
         openssl x509 -req -in \"$3\" -CA {0}/ca.crt -CAkey {0}/ca.key -CAcreateserial -days 365 -copy_extensions copyall -out \"$4\"\n",
        here.ca.path().display()
    );
    std::fs::write(&client, text).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = path_of(&here, "ca.crt");
    configure(
        &here,
        &[
            example("step-ca").to_str().unwrap(),
            "https://ca.example:9000",
            &root,
            "kubernetes",
            "/dev/null",
            client.to_str().unwrap(),
        ],
        "",
    );
    let before = here.node.serial("apiserver");
    let away = here.ca.path().join("away");
    std::fs::write(&away, "").unwrap();
    here.once();
    assert_eq!(here.node.serial("apiserver"), before);
    let contact = contact(&here, "apiserver");
    assert!(
        contact["refused"].is_null(),
        "asked again, not refused: {contact}"
    );
    std::fs::remove_file(away).unwrap();
    // By hand it is asked at once, whatever it said of a pause.
    let said = said(&here.node.run(&["renew", "apiserver"]));
    assert_ne!(here.node.serial("apiserver"), before, "{said}");
    let open = here.names(ORDERS);
    assert!(
        !open
            .iter()
            .any(|name| name.starts_with("apiserver-") && name.len() == 18),
        "{open:?}"
    );
}

#[test]
fn vault_is_asked_over_http_with_its_token() {
    let here = Elsewhere::of(Node::due());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let directory = here.ca.path().to_path_buf();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve_as_vault(stream.unwrap(), &directory);
        }
    });
    let token = path_of(&here, "token");
    std::fs::write(&token, "s.secret\n").unwrap();
    configure(
        &here,
        &[
            example("vault").to_str().unwrap(),
            &address,
            "pki/sign-verbatim",
            &token,
        ],
        "",
    );
    let before = here.node.serial("apiserver");
    // The first answer is that it is sealed.
    std::fs::write(here.ca.path().join("sealed"), "").unwrap();
    here.once();
    assert_eq!(here.node.serial("apiserver"), before);
    std::fs::remove_file(here.ca.path().join("sealed")).unwrap();
    forget_contacts(&here);
    let said = here.once();
    assert_ne!(here.node.serial("apiserver"), before, "{said}");
    // A wrong token is a refusal, with what Vault says.
    let other = Elsewhere::of(Node::due());
    std::fs::write(path_of(&other, "token"), "wrong").unwrap();
    let (vault, token) = (example("vault"), path_of(&other, "token"));
    configure(
        &other,
        &[
            vault.to_str().unwrap(),
            &address,
            "pki/sign-verbatim",
            &token,
        ],
        "",
    );
    let said = other.once();
    assert!(
        said.contains("answered 403: {\"errors\":[\"permission denied\"]}"),
        "{said}"
    );
}

fn serve_as_vault(mut stream: std::net::TcpStream, directory: &Path) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut is_allowed, mut path) = (0, false, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() <= 2 {
            break;
        }
        if line.starts_with("POST ") {
            path = line.clone();
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        is_allowed |= line.trim_end() == "x-vault-token: s.secret";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let (status, answer) = if directory.join("sealed").exists() {
        (503, serde_json::json!({"errors": ["Vault is sealed"]}))
    } else if !is_allowed || !path.starts_with("POST /v1/pki/sign-verbatim ") {
        (403, serde_json::json!({"errors": ["permission denied"]}))
    } else {
        let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        std::fs::write(file("r.csr"), body["csr"].as_str().unwrap()).unwrap();
        assert_eq!(body["ttl"], "31536000s");
        openssl(&[
            "x509",
            "-req",
            "-in",
            &file("r.csr"),
            "-CA",
            &file("ca.crt"),
            "-CAkey",
            &file("ca.key"),
            "-CAcreateserial",
            "-days",
            "365",
            "-copy_extensions",
            "copyall",
            "-out",
            &file("r.crt"),
        ]);
        let read = |name: &str| {
            std::fs::read_to_string(file(name))
                .unwrap()
                .trim()
                .to_owned()
        };
        let data = serde_json::json!({
            "ca_chain": [read("ca.crt")], "certificate": read("r.crt"), "issuing_ca": read("ca.crt"),
        });
        (200, serde_json::json!({"request_id": "x", "data": data}))
    };
    let answer = answer.to_string();
    let length = answer.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all((head + &answer).as_bytes()).unwrap();
}

fn contact(here: &Elsewhere, certificate: &str) -> serde_json::Value {
    let names = here.names(ORDERS);
    let name = names
        .iter()
        .find(|name| name.starts_with(&format!("{certificate}-")));
    let path = format!("{ORDERS}/{}/contact.json", name.unwrap());
    serde_json::from_str(&here.node.read(&path)).unwrap()
}

/// As if the pauses were over.
fn forget_contacts(here: &Elsewhere) {
    for name in here.names(ORDERS) {
        let path = here.node.path(ORDERS).join(name).join("contact.json");
        let _ = std::fs::remove_file(path);
    }
}

#[test]
fn one_that_answers_later_is_given_its_token_back_and_told_what_is_asked_for() {
    let (here, before) = with(
        "cat > \"$0.request\"; env > \"$0.environment\"\nif [ -z \"$KUBECERTD_TOKEN\" ]; then echo 'token order 7'; echo 'ask-again 1'; exit 75; fi\n\
         [ \"$KUBECERTD_TOKEN\" = 'order 7' ] || exit 1\ndirectory=${0%/*}\n\
         openssl x509 -req -in \"$0.request\" -CA $directory/ca.crt -CAkey $directory/ca.key -CAcreateserial -days 365 -copy_extensions copyall",
        "",
    );
    here.once();
    assert_eq!(here.node.serial("apiserver"), before);
    let environment = std::fs::read_to_string(path_of(&here, "issuer.environment")).unwrap();
    for line in [
        "KUBECERTD_CERTIFICATE=apiserver\n",
        "KUBECERTD_AUTHORITY=ca\n",
        "KUBECERTD_ISSUER=test\n",
        "KUBECERTD_COMMON_NAME=kube-apiserver\n",
        "KUBECERTD_USAGES=server\n",
        "KUBECERTD_VALIDITY_SECONDS=31536000\n",
    ] {
        assert!(environment.contains(line), "{line}: {environment}");
    }
    let dns = environment
        .lines()
        .find_map(|line| line.strip_prefix("KUBECERTD_DNS_NAMES="));
    assert!(
        dns.unwrap().split(',').any(|name| name == "kubernetes"),
        "{environment}"
    );
    let request = std::fs::read(path_of(&here, "issuer.request")).unwrap();
    assert!(request.starts_with(b"-----BEGIN CERTIFICATE REQUEST-----"));
    let plan = said(&here.node.run(&["plan"]));
    assert!(
        plan.contains("waiting for the answer of the issuer test"),
        "{plan}"
    );
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let said = here.once();
    assert_ne!(here.node.serial("apiserver"), before, "{said}");
}

#[test]
fn one_that_hangs_floods_forks_refuses_or_prints_a_key_changes_nothing() {
    for (text, why) in [
        ("exec sleep 600", "ended after"),
        ("cat /dev/zero", "ended after"),
        ("head -c 400000 /dev/zero", "printed more than 256 KiB"),
        ("sleep 600 & sleep 600 & echo x; exit 3", "exited with 3"),
        (
            "echo 'not on my watch' >&2; exit 1",
            "exited with 1: not on my watch",
        ),
        (
            "openssl genpkey -algorithm ED25519",
            "printed a private key",
        ),
        ("echo hello", "no PEM block CERTIFICATE"),
        ("kill -9 $$", "signal: 9"),
    ] {
        let (here, before) = with(text, "time-limit = \"1s\"\n");
        let begun = Instant::now();
        let said = here.once();
        assert!(
            begun.elapsed().as_secs() < 8,
            "{text}: {:?}",
            begun.elapsed()
        );
        assert!(said.contains(why), "{text}: {said}");
        assert!(!said.contains("PRIVATE KEY---"), "{said}");
        assert_eq!(here.node.serial("apiserver"), before, "{text}");
        let kept = testkit::contents(&here.node.path(ORDERS));
        let keys = kept.keys().filter(|path| path.ends_with("key.pem"));
        assert_eq!(keys.count(), 1);
        let answer = kept.iter().find(|(path, _)| path.ends_with("answer.pem"));
        let is_key = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("PRIVATE");
        assert!(answer.is_none_or(|(_, bytes)| !is_key(bytes)));
        // It is not asked again at once.
        let contact = contact(&here, "apiserver");
        assert_eq!(contact["failures"], 1, "{contact}");
        here.once();
        assert_eq!(self::contact(&here, "apiserver"), contact, "{text}");
    }
}

#[test]
fn one_that_cannot_be_run_is_said_with_what_to_do() {
    let here = Elsewhere::of(Node::due());
    configure(&here, &["/nowhere/issuer"], "");
    let said = here.once();
    assert!(said.contains("/nowhere/issuer cannot be run"), "{said}");
    assert!(said.contains("correct its path"), "{said}");
    assert!(!said.contains("ExecPaths="), "{said}");
}

#[test]
fn the_daemon_asks_again_when_it_was_told_to_and_ends_while_a_program_hangs() {
    let (here, before) = with(
        "if [ ! -e \"$0.asked\" ]; then : > \"$0.asked\"; echo 'ask-again 2'; exit 75; fi\ndirectory=${0%/*}\ncat > $0.request\n\
         openssl x509 -req -in \"$0.request\" -CA $directory/ca.crt -CAkey $directory/ca.key -CAcreateserial -days 365 -copy_extensions copyall",
        "",
    );
    let mut daemon = Daemon::start(&here.node);
    daemon.expect("READY=1");
    wait_until("the second answer is in place", || {
        here.node.serial("apiserver") != before
    });
    daemon.stop();

    let (here, _) = with(": > \"$0.asked\"; exec sleep 30", "");
    let mut daemon = Daemon::start(&here.node);
    daemon.expect("READY=1");
    wait_until("it is asked", || {
        here.ca.path().join("issuer.asked").exists()
    });
    let begun = Instant::now();
    daemon.stop();
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

/// By a signal to its whole group. `/bin/sh` is dash on Debian, which runs nothing for EXIT then.
#[test]
fn an_example_that_is_ended_leaves_nothing_behind() {
    use std::os::unix::process::CommandExt as _;
    for name in ["openssl", "step-ca", "vault"] {
        let directory = tempfile::tempdir().unwrap();
        let count = || std::fs::read_dir(directory.path()).unwrap().count();
        let mut child = std::process::Command::new(example(name))
            .args(["/dev/null", "/dev/null", "/dev/null", "/dev/null"])
            .env("TMPDIR", directory.path())
            .stdin(std::process::Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        wait_until("it has a directory", || count() == 1);
        std::thread::sleep(std::time::Duration::from_millis(200));
        let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(count(), 0, "{name}");
    }
}
