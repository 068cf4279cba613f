//! The exit code of every command, and what is said once where something is missing. The table is in the man page.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Output;

use jiff::{SignedDuration, Timestamp};
use kubecertd::pki::{
    CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity,
    certificates_to_pem,
};
use testkit::{Node, text};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The code, and what was said on standard error.
fn ended(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), text(&output.stderr))
}

fn run(node: &Node, arguments: &str) -> (i32, String) {
    ended(&node.run(&arguments.split(' ').collect::<Vec<_>>()))
}

fn damage(node: &Node, path: &str) {
    std::fs::write(node.path(path), "damaged").unwrap();
}

/// A CA's certificate, of the same key, that ends so soon.
fn shortened(node: &Node, base: &str, until: Timestamp) {
    let path = |ending: &str| node.path(&format!("/etc/kubernetes/pki/{base}.{ending}"));
    let authority = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: until - DAY * 400,
        not_after: until,
    })
    .unwrap();
    std::fs::write(path("crt"), certificates_to_pem([authority.certificate()])).unwrap();
    std::fs::write(path("key"), authority.key().to_pem().unwrap().as_bytes()).unwrap();
}

#[test]
fn check_expiration_says_whether_all_could_be_read() {
    let node = Node::fresh();
    assert_eq!(run(&node, "check-expiration"), (0, String::new()));
    // kubeadm's: what has expired or is missing is shown, and no failure.
    let expired = Node::new(DAY * 400, DAY * -1);
    assert_eq!(run(&expired, "check-expiration").0, 0);
    std::fs::remove_file(node.path("/etc/kubernetes/pki/apiserver.crt")).unwrap();
    assert_eq!(run(&node, "check-expiration").0, 0);
    for (path, output) in [
        ("/etc/kubernetes/pki/apiserver-etcd-client.crt", "text"),
        ("/etc/kubernetes/pki/etcd/ca.crt", "json"),
        ("/etc/kubernetes/admin.conf", "yaml"),
        ("/etc/kubernetes/manifests/etcd.yaml", "text"),
    ] {
        let node = Node::fresh();
        damage(&node, path);
        let (code, told) = run(&node, &format!("check-expiration -o {output}"));
        assert_eq!(code, 1, "{path}: {told}");
        assert_eq!(
            told.matches(node.path(path).to_str().unwrap()).count(),
            1,
            "{told}"
        );
        assert_eq!(run(&node, "check-expiration --within 1d").0, 2, "{path}");
    }
    // kubeadm looks at no key.
    let node = Node::fresh();
    damage(&node, "/etc/kubernetes/pki/apiserver.key");
    assert_eq!(run(&node, "check-expiration").0, 0);
}

/// The same CA's certificate for the same key, which ends sooner, behind the API server's own: as an intermediate's would.
fn chained(node: &Node, until: Timestamp) {
    let read = |path: &str| std::fs::read(node.path(path)).unwrap();
    let path = "/etc/kubernetes/pki/apiserver.crt";
    let between = CertificateAuthority::generate(&NewAuthority {
        common_name: "between".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: until - DAY * 400,
        not_after: until,
    })
    .unwrap();
    let both = text(&read(path)) + &certificates_to_pem([between.certificate()]);
    std::fs::write(node.path(path), both).unwrap();
}

/// Etcd elsewhere: the API server's client certificate for it is signed by a CA that is not this node's.
fn external_etcd(node: &Node, until: Timestamp) {
    std::fs::remove_file(node.path("/etc/kubernetes/manifests/etcd.yaml")).unwrap();
    std::fs::remove_dir_all(node.path("/etc/kubernetes/pki/etcd")).unwrap();
    let manifest = node.path("/etc/kubernetes/manifests/kube-apiserver.yaml");
    let written = std::fs::read_to_string(&manifest).unwrap();
    let written = written
        .replace("https://127.0.0.1:2379", "https://192.0.2.99:2379")
        .replace("pki/etcd/ca.crt", "pki/their-etcd-ca.crt");
    std::fs::write(&manifest, written).unwrap();
    let path = |ending| {
        node.path(&format!(
            "/etc/kubernetes/pki/apiserver-etcd-client.{ending}"
        ))
    };
    let authority = CertificateAuthority::generate(&NewAuthority {
        common_name: "their-etcd".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: until - DAY * 400,
        not_after: until + DAY * 400,
    })
    .unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let validity = Validity {
        not_before: until - DAY * 300,
        not_after: until,
    };
    let leaf = NewLeaf {
        common_name: "kube-apiserver".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: false,
        client_auth: true,
    };
    let leaf = leaf.sign(&key, &authority, validity).unwrap();
    std::fs::write(path("crt"), certificates_to_pem([&leaf])).unwrap();
    std::fs::write(path("key"), key.to_pem().unwrap().as_bytes()).unwrap();
    let trusted = certificates_to_pem([authority.certificate()]);
    std::fs::write(node.path("/etc/kubernetes/pki/their-etcd-ca.crt"), trusted).unwrap();
}

#[test]
fn within_counts_whatever_ends_and_is_in_use() {
    let now = Timestamp::now();
    let node = Node::fresh();
    assert_eq!(run(&node, "check-expiration --within 20d").0, 0);
    shortened(&node, "front-proxy-ca", now + DAY * 10);
    assert_eq!(run(&node, "check-expiration --within 20d").0, 1);

    let node = Node::fresh();
    chained(&node, now + DAY * 10);
    let (code, told) = run(&node, "check-expiration --within 20d");
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("apiserver ends on"), "{told}");
    assert!(told.contains("a certificate of its chain"), "{told}");
    assert_eq!(run(&node, "check-expiration --within 5d").0, 0);

    let node = Node::fresh();
    external_etcd(&node, now + DAY * 10);
    let (code, told) = run(&node, "check-expiration --within 20d");
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("apiserver-etcd-client.crt ends on"), "{told}");
    assert_eq!(run(&node, "check-expiration --within 5d").0, 0);
    assert_eq!(run(&node, "check-expiration --within 20d --all").0, 1);

    // What nothing on the node names is an administrator's own.
    let node = Node::fresh();
    let archive = Node::new(DAY * 400, DAY * -1);
    std::fs::copy(
        archive.path("/etc/kubernetes/pki/apiserver.crt"),
        node.path("/etc/kubernetes/pki/apiserver-2024.crt"),
    )
    .unwrap();
    assert_eq!(run(&node, "check-expiration --within 20d").0, 0);
    assert_eq!(run(&node, "check-expiration --within 20d --all").0, 1);
}

/// The cluster's CA, with its own key, had its end yesterday.
fn ended_yesterday(node: &Node) {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, KeyPair,
    };
    let path = |ending: &str| node.path(&format!("/etc/kubernetes/pki/ca.{ending}"));
    let key = KeyPair::from_pem(&std::fs::read_to_string(path("key")).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    let name = DnValue::PrintableString("kubernetes".try_into().unwrap());
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    std::fs::write(path("crt"), params.self_signed(&key).unwrap().pem()).unwrap();
}

#[test]
fn preflight_fails_where_a_certificate_could_not_be_renewed() {
    let code = |node: &Node| run(node, "preflight");
    let (fine, told) = code(&Node::fresh());
    assert_eq!(fine, 0, "{told}");
    let expired = Node::fresh();
    ended_yesterday(&expired);
    assert_eq!(code(&expired).0, 1);
    let manifest = Node::fresh();
    damage(&manifest, "/etc/kubernetes/manifests/kube-scheduler.yaml");
    assert_eq!(code(&manifest).0, 1);
}

#[test]
fn what_could_not_be_read_fails_plan_and_renew() {
    let node = Node::due();
    let manifest = "/etc/kubernetes/manifests/kube-scheduler.yaml";
    damage(&node, manifest);
    for command in ["plan", "renew all --dry-run", "renew all"] {
        let (code, told) = run(&node, command);
        assert_eq!(code, 1, "{command}: {told}");
        assert!(told.contains("kube-scheduler.yaml"), "{command}: {told}");
    }
    // The rest is renewed all the same.
    assert!(node.certificate("apiserver").not_after > Timestamp::now() + DAY * 300);
}

#[test]
fn renew_fails_where_what_is_there_is_not_renewed() {
    let node = Node::due();
    assert_eq!(run(&node, "renew all").0, 0);
    assert_eq!(run(&node, "renew nothing-of-that-name").0, 1);
    let node = Node::due();
    damage(&node, "/etc/kubernetes/pki/ca.key");
    let output = node.run(&["renew", "all"]);
    let (code, told) = ended(&output);
    assert_eq!(code, 1);
    // One reason is said once while it happens, and once at the end with all whom it concerns.
    assert_eq!(told.matches("pki/ca.key: ").count(), 1, "{told}");
    assert!(told.contains("6 certificates not renewed"), "{told}");
    assert_eq!(text(&output.stdout).matches("pki/ca.key: ").count(), 1);
}

/// Machines on which there is nothing to renew: a bare one, and a worker.
fn other_machines() -> [(Node, &'static str); 2] {
    let bare = Node::fresh();
    std::fs::remove_dir_all(bare.path("/etc/kubernetes")).unwrap();
    let worker = Node::fresh();
    let kept = std::fs::read(worker.path("/etc/kubernetes/pki/ca.crt")).unwrap();
    std::fs::remove_dir_all(worker.path("/etc/kubernetes/pki")).unwrap();
    std::fs::create_dir(worker.path("/etc/kubernetes/pki")).unwrap();
    std::fs::write(worker.path("/etc/kubernetes/pki/ca.crt"), kept).unwrap();
    for name in ["admin", "super-admin", "controller-manager", "scheduler"] {
        std::fs::remove_file(worker.path(&format!("/etc/kubernetes/{name}.conf"))).unwrap();
    }
    for manifest in std::fs::read_dir(worker.path("/etc/kubernetes/manifests")).unwrap() {
        std::fs::remove_file(manifest.unwrap().path()).unwrap();
    }
    [
        (bare, "so this is no node of a kubeadm cluster"),
        (worker, "so this is no control-plane node"),
    ]
}

#[test]
fn on_the_wrong_machine_that_is_said_once() {
    for (node, why) in other_machines() {
        for (command, code) in [
            ("check-expiration", 1),
            ("check-expiration --within 30d", 2),
            ("plan", 1),
            ("preflight", 1),
            ("rehearse", 1),
            ("renew all", 1),
            ("renew apiserver", 1),
            ("renew all --dry-run", 1),
            ("recover --expired", 1),
            ("run --once", 1),
        ] {
            let output = node.run(&command.split(' ').collect::<Vec<_>>());
            let (ended, told) = ended(&output);
            assert_eq!(ended, code, "{command}: {told}");
            assert!(told.contains(why), "{command}: {told}");
            assert_eq!(told.lines().count(), 1, "{command}: {told}");
            assert_eq!(text(&output.stdout), "", "{command}");
        }
        // What was cut off is finished wherever it is.
        assert_eq!(run(&node, "recover").0, 0);
        assert_eq!(run(&node, "history").0, 0);
    }
}

/// A control plane with files in other places is one.
#[test]
fn a_control_plane_in_unusual_places_is_recognised() {
    let node = Node::fresh();
    std::fs::create_dir_all(node.path("/srv")).unwrap();
    std::fs::rename(node.path("/etc/kubernetes/pki"), node.path("/srv/pki")).unwrap();
    for name in std::fs::read_dir(node.path("/etc/kubernetes/manifests")).unwrap() {
        let path = name.unwrap().path();
        let manifest = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, manifest.replace("/etc/kubernetes/pki", "/srv/pki")).unwrap();
    }
    std::fs::rename(
        node.path("/etc/kubernetes/controller-manager.conf"),
        node.path("/etc/kubernetes/cm.conf"),
    )
    .unwrap();
    std::fs::rename(
        node.path("/etc/kubernetes/manifests/kube-apiserver.yaml"),
        node.path("/etc/kubernetes/manifests/api.yaml"),
    )
    .unwrap();
    assert_eq!(run(&node, "plan").0, 0);
}

/// Runs a command as a user who may read what everybody may.
fn as_a_user(node: &Node, arguments: &str) -> Output {
    let mut command = node.command();
    command.args(arguments.split(' '));
    if nix::unistd::geteuid().is_root() {
        std::fs::set_permissions(
            node.directory.path(),
            std::fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        // The program itself has to be reachable for him.
        let program = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let copy = program.path().join("kubecertd");
        // Not copied here: a child of another test would hold the file open for writing, and nobody could start it.
        let copied = std::process::Command::new("cp")
            .args([env!("CARGO_BIN_EXE_kubecertd"), copy.to_str().unwrap()])
            .status();
        assert!(copied.unwrap().success());
        let mut command = std::process::Command::new(copy);
        command
            .arg("--root")
            .arg(node.directory.path())
            .args(arguments.split(' '))
            .env_remove("KUBECERTD_CONFIG")
            .env_remove("KUBECERTD_LOG")
            .uid(65534)
            .gid(65534);
        return command.output().unwrap();
    }
    let none = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(node.path("/etc/kubernetes/pki/ca.key"), none).unwrap();
    command.output().unwrap()
}

#[test]
fn without_root_that_is_said_once() {
    let node = Node::fresh();
    for command in [
        "plan",
        "preflight",
        "rehearse",
        "renew all",
        "renew all --dry-run",
        "recover --expired",
        "rollback x",
        "restart etcd",
        "run --once",
        "run",
    ] {
        let output = as_a_user(&node, command);
        let (code, told) = ended(&output);
        assert_eq!(code, 1, "{command}: {told}");
        assert!(told.contains("run it as root"), "{command}: {told}");
        assert_eq!(told.lines().count(), 1, "{command}: {told}");
        assert_eq!(text(&output.stdout), "", "{command}");
    }
    // Certificates may be read by everybody; what may not is one line, and no success.
    let output = as_a_user(&node, "check-expiration");
    assert!(text(&output.stdout).contains("apiserver"));
    let (code, told) = ended(&output);
    if nix::unistd::geteuid().is_root() {
        assert_eq!(code, 1, "{told}");
        assert_eq!(told.matches("permission denied").count(), 1, "{told}");
    }
    // The sample is everybody's.
    let output = as_a_user(&node, "rehearse --sample");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_broken_configuration_blocks_neither_reading_nor_going_back() {
    let node = Node::due();
    assert_eq!(run(&node, "renew all").0, 0);
    let renewed = node.serial("apiserver");
    node.configure("[renewal]\nbefor = \"30d\"\n[paths]\ncertificates = \"/srv/elsewhere\"\n");
    for (command, code) in [
        ("check-expiration", 0),
        ("plan", 0),
        ("preflight", 0),
        ("history", 0),
        ("history verify", 0),
        ("rehearse", 0),
        // Renewed a moment ago, they would not end later.
        ("renew all --dry-run --force", 0),
        // Nobody knows whether the wrong file names other places.
        ("check-expiration --within 1d", 2),
        // The daemon does not run.
        ("status", 3),
        ("renew all", 78),
        ("restart etcd", 78),
        ("run --once", 78),
        ("run", 78),
        ("recover", 78),
        ("config check", 78),
        ("config show", 78),
    ] {
        let (ended, told) = run(&node, command);
        assert_eq!(ended, code, "{command}: {told}");
        let reads_none = command.starts_with("history") || command == "status";
        let place = "kubecertd.toml:2:1: unknown key renewal.befor; did you mean \"before\"?";
        assert!(reads_none || told.contains(place), "{command}: {told}");
        assert_eq!(
            told.contains("going on without"),
            code < 3 && !reads_none,
            "{command}: {told}"
        );
    }
    let history = text(&node.run(&["history", "-o", "json"]).stdout);
    let receipts: serde_json::Value = serde_json::from_str(&history).unwrap();
    let id = receipts[0]["id"].as_str().unwrap();
    let (code, told) = run(&node, &format!("rollback {id}"));
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("kubecertd.toml:2:1"), "{told}");
    assert_ne!(node.serial("apiserver"), renewed);
}

#[test]
fn what_is_odd_in_a_configuration_is_no_failure_and_said() {
    let node = Node::fresh();
    node.configure("[renewal]\nbefore = \"300d\"\n");
    for command in ["config check", "plan", "check-expiration"] {
        let (code, told) = run(&node, command);
        assert_eq!(code, 0, "{command}: {told}");
        assert!(told.contains("warning: "), "{command}: {told}");
        assert!(
            told.contains("kubecertd.toml:2:10: renewal.before"),
            "{command}: {told}"
        );
    }
}

#[test]
fn the_check_of_a_configuration_has_codes_for_programs() {
    let node = Node::fresh();
    let checked = |code| {
        let output = node.run(&["config", "check", "-o", "json"]);
        assert_eq!(output.status.code(), Some(code));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    node.configure("[renewal]\nbefore = \"300d\"\n[certificate.\"admn.conf\"]\nskip = true\n");
    let odd = checked(0);
    assert_eq!(odd["errors"], serde_json::json!([]));
    assert_eq!(odd["warnings"][0]["code"], "before-too-long");
    assert_eq!(odd["warnings"][0]["line"], 2);
    assert_eq!(odd["warnings"][1]["code"], "unknown-certificate");
    assert_eq!(odd["files"].as_array().unwrap().len(), 1);

    node.configure("[renewal]\nbefor = \"30d\"\n");
    let wrong = checked(78);
    assert_eq!(wrong["errors"][0]["code"], "unknown-key");
    assert_eq!(wrong["errors"][0]["column"], 1);
    assert_eq!(wrong["warnings"], serde_json::json!([]));
}

#[test]
fn a_wrong_command_line_and_an_unchanged_history() {
    let node = Node::fresh();
    assert_eq!(run(&node, "renew").0, 2);
    assert_eq!(run(&node, "no-such-command").0, 2);
    assert_eq!(run(&node, "history verify").0, 0);
    assert_eq!(run(&node, "history show nothing").0, 1);
    assert_eq!(run(&node, "rollback nothing").0, 1);
    assert_eq!(run(&node, "config check").0, 0);
}

#[test]
fn the_man_page_has_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_kubecertd"))
        .args(["generate", "man"])
        .arg(directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let page = std::fs::read_to_string(directory.path().join("kubecertd.1")).unwrap();
    let table = page.split_once(".SH \"EXIT STATUS\"").unwrap().1;
    for code in [0, 1, 2, 3, 78] {
        assert!(
            table.contains(&format!("\\fB{code}\\fR")),
            "{code} in {table}"
        );
    }
}
