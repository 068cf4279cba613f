//! Files that somebody made to do harm, or that a disk made up: no crash, no wait, nothing outside touched, nothing shown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};

use testkit::{ELEVEN, Node, contents, text};

/// Longer than a width may be in `format!`.
const LONG: usize = 70_000;

#[test]
fn tables_can_be_printed_whatever_the_length_of_a_name() {
    let node = Node::due();
    let name = "n".repeat(LONG);
    let manifest = node.path("/etc/kubernetes/manifests/etcd.yaml");
    let etcd = std::fs::read_to_string(&manifest).unwrap();
    assert!(etcd.contains("component: etcd\n"), "{etcd}");
    std::fs::write(
        &manifest,
        etcd.replace("component: etcd\n", &format!("component: {name}\n")),
    )
    .unwrap();
    for arguments in [
        ["plan"].as_slice(),
        &["renew", "all", "--dry-run"],
        &["check-expiration", "--all"],
    ] {
        let output = node.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stdout).contains("etcd-server"),
            "{arguments:?}"
        );
    }
    assert!(
        text(&node.run(&["plan"]).stdout).contains(&name),
        "the long name is in the plan"
    );
}

#[test]
fn a_status_file_with_a_long_name_is_shown() {
    let node = Node::fresh();
    assert!(node.run(&["run", "--once"]).status.success());
    let path = node.path("/run/kubecertd/status.json");
    let status = std::fs::read_to_string(&path).unwrap();
    let name = "n".repeat(LONG);
    std::fs::write(
        &path,
        status.replace("\"etcd-server\"", &format!("\"{name}\"")),
    )
    .unwrap();
    let output = node.run(&["status"]);
    assert!(
        text(&output.stdout).contains(&name),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_index_of_a_backup_leads_to_nothing_outside() {
    let node = Node::fresh();
    node.configure("[backup]\nkeep = 1\n");
    let backups = node.path("/var/lib/kubecertd/backups");
    let victim = node.path("/var/lib/kubelet");
    let before = contents(&victim);
    assert!(!before.is_empty());
    for (directory, id) in [
        ("up", "../../kubelet".to_owned()),
        ("absolute", victim.display().to_string()),
        ("empty", String::new()),
        ("here", ".".to_owned()),
    ] {
        let directory = backups.join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let index = format!(r#"{{"id":{id:?},"created":"2020-01-01T00:00:00Z","files":[]}}"#);
        std::fs::write(directory.join("index.json"), index).unwrap();
    }
    for _ in 0..2 {
        let output = node.run(&["renew", "apiserver", "--force"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(contents(&victim), before);
    let left = std::fs::read_dir(&backups).unwrap().count();
    assert_eq!(
        left,
        4 + 1,
        "what is no backup of ours stays, and of ours one"
    );
}

#[test]
fn a_token_that_looks_like_a_number_stays_and_is_not_shown() {
    let node = Node::fresh();
    let path = node.path("/etc/kubernetes/admin.conf");
    let other = "\n- name: other\n  user:\n    token: 987654e321987\n    password: 11223344556677889900e9999\n";
    let whole = std::fs::read_to_string(&path).unwrap().replacen(
        "\nusers:\n",
        &format!("\nusers:{other}"),
        1,
    );
    assert!(whole.contains(other));
    std::fs::write(&path, &whole).unwrap();
    let serial = node.serial("admin.conf");
    let output = node.run(&["renew", "admin.conf", "--force"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        output.status.success() && !said.contains("112233"),
        "{said}"
    );
    assert_ne!(node.serial("admin.conf"), serial);
    assert!(std::fs::read_to_string(&path).unwrap().contains(other));
}

/// What the systemd unit allows (`MemoryMax=`), in KiB.
const MEMORY: i64 = 256 << 10;

/// The largest memory of any child of this process so far, in KiB.
fn largest_child() -> i64 {
    use nix::sys::resource::{UsageWho, getrusage};
    getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss()
}

/// All of kubeadm's are there with a date.
fn assert_whole(table: &str) {
    for name in ELEVEN {
        let row = table.lines().find(|line| line.starts_with(name));
        assert!(
            row.is_some_and(|row| row.contains("UTC")),
            "{name}: {table}"
        );
    }
}

#[test]
fn files_beside_kubeadms_cost_neither_memory_nor_time() {
    let node = Node::fresh();
    let etcd = node.path("/etc/kubernetes/pki/etcd");
    let one = std::fs::read(etcd.join("server.crt")).unwrap();
    let many = one.repeat((10 << 20) / one.len());
    for index in 0..30 {
        std::fs::write(etcd.join(format!("large-{index}.crt")), &many).unwrap();
    }
    // Files that may be read, of which there are too many.
    let some = one.repeat(60);
    for index in 0..600 {
        std::fs::write(etcd.join(format!("some-{index}.crt")), &some).unwrap();
    }
    std::fs::write(
        etcd.join("empty-names.crt"),
        b"-----BEGIN CERTIFICATE-----\n".repeat(15_000),
    )
    .unwrap();
    let own = node.path("/etc/kubernetes/pki/own.crt");
    std::fs::copy(etcd.join("server.crt"), &own).unwrap();
    // What is not there costs nothing of what may be read.
    let missing: String = (0..2_000)
        .map(|index| format!("    - /pki/{index}/x.crt\n"))
        .collect();
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  containers:\n  - name: x\n    command:\n{missing}    \
         volumeMounts:\n    - {{name: v, mountPath: /pki}}\n  volumes:\n  - {{name: v, hostPath: {{path: /srv}}}}\n"
    );
    std::fs::write(node.path("/etc/kubernetes/manifests/x.yaml"), manifest).unwrap();

    let begun = Instant::now();
    let output = node.run(&["check-expiration", "--all", "--within", "1d"]);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    assert!(largest_child() < MEMORY, "{} KiB", largest_child());
    let table = text(&output.stdout);
    assert_whole(&table);
    let row = table.lines().find(|line| line.starts_with("own.crt"));
    assert!(row.is_some_and(|row| row.contains("UTC")), "{table}");
    assert!(
        table.contains("large-3.crt: is larger than 512 KiB"),
        "{table}"
    );
    assert!(
        table.contains("of its files that may be certificates were not read: at most 250"),
        "{table}"
    );
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn kubeadms_own_files_are_bounded_as_well() {
    let node = Node::fresh();
    let etcd = node.path("/etc/kubernetes/pki/etcd");
    let one = std::fs::read(etcd.join("server.crt")).unwrap();
    let many = one.repeat((9 << 20) / one.len());
    for name in ["server.crt", "peer.crt", "ca.crt", "server.key", "peer.key"] {
        std::fs::write(etcd.join(name), &many).unwrap();
    }
    let begun = Instant::now();
    let output = node.run(&["check-expiration", "--all"]);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    assert!(largest_child() < MEMORY, "{} KiB", largest_child());
    let table = text(&output.stdout);
    assert!(
        table.contains("server.crt: holds more than 64 certificates"),
        "{table}"
    );
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("apiserver ") && line.contains("UTC")),
        "{table}"
    );
}

#[test]
fn a_manifest_with_thousands_of_flags_and_mounts_is_read_at_once() {
    let node = Node::due();
    const LONG_NAME: &str = "below-and-below-and-below-and-below-and-below";
    let mut manifest = String::from(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: big, namespace: kube-system}\nspec:\n  containers:\n  - name: big\n    \
         image: x\n    command:\n    - /big\n",
    );
    for index in 0..14_000 {
        manifest += &format!(
            "    - --flag-{index}=/etc/kubernetes/pki/some/where/{LONG_NAME}/{index}/a-certificate.crt\n"
        );
    }
    manifest += "    volumeMounts:\n";
    for index in 0..3_000 {
        manifest += &format!(
            "    - {{name: v, mountPath: /etc/kubernetes/pki/some/where/{LONG_NAME}/{index}, subPath: below/{index}}}\n"
        );
    }
    manifest += "  volumes:\n  - {name: v, hostPath: {path: /srv}}\n";
    assert!(manifest.len() > 1_900_000, "{}", manifest.len());
    std::fs::write(node.path("/etc/kubernetes/manifests/big.yaml"), manifest).unwrap();
    for command in [
        ["plan"].as_slice(),
        &["renew", "all", "--dry-run"],
        &["check-expiration", "--all"],
    ] {
        let begun = Instant::now();
        let output = node.run(command);
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{command:?}: {:?}",
            begun.elapsed()
        );
        assert!(
            text(&output.stdout).contains("etcd-server"),
            "{}",
            text(&output.stderr)
        );
    }
    assert!(largest_child() < MEMORY, "{} KiB", largest_child());
}

/// What must never reach a terminal: it clears the screen, begins lines of its own, turns the text around.
const EVIL: &str = "\u{1b}[2J\nforged: \r\u{9b}31m\u{202e}\u{7}\u{200b}x";

/// No command shows anything but letters and its own line breaks.
fn assert_harmless(what: &str, bytes: &[u8]) {
    let said = text(bytes);
    let bad = said.chars().find(|letter| {
        (letter.is_control() && *letter != '\n') || matches!(letter, '\u{202e}' | '\u{200b}')
    });
    assert_eq!(bad, None, "{what}: {said:?}");
    assert!(
        !said
            .lines()
            .any(|line| line.trim_start().starts_with("forged")),
        "{what}: {said:?}"
    );
}

#[test]
fn nothing_of_others_steers_a_terminal_or_forges_a_line() {
    use kubecertd::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, certificates_to_pem};

    let node = Node::due();
    node.configure("[log]\nlevel = \"debug\"\nformat = \"text\"\n");
    let kubernetes = node.path("/etc/kubernetes");
    // A file name, a subject and an issuer.
    let authority = CertificateAuthority::generate(&NewAuthority {
        common_name: format!("subject{EVIL}"),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: jiff::Timestamp::now(),
        not_after: jiff::Timestamp::now() + jiff::SignedDuration::from_hours(10),
    })
    .unwrap();
    let file = format!("file{EVIL}.crt");
    std::fs::write(kubernetes.join("pki").join(&file), "damaged").unwrap();
    std::fs::write(
        kubernetes.join("pki/subject.crt"),
        certificates_to_pem([authority.certificate()]),
    )
    .unwrap();
    std::fs::write(kubernetes.join("pki/front-proxy-client.crt"), "damaged").unwrap();
    // A pod and its label, a manifest's name, what is no manifest, and a flag.
    let evil: String = EVIL
        .chars()
        .map(|letter| format!("\\u{:04x}", u32::from(letter)))
        .collect();
    let manifests = kubernetes.join("manifests");
    let etcd = std::fs::read_to_string(manifests.join("etcd.yaml")).unwrap();
    let pod = etcd
        .replace(
            "component: etcd\n",
            &format!("component: \"component{evil}\"\n"),
        )
        .replace(
            "name: etcd\n  namespace",
            &format!("name: \"pod{evil}\"\n  namespace"),
        );
    assert_ne!(pod, etcd);
    std::fs::write(manifests.join(format!("pod{EVIL}.yaml")), &pod).unwrap();
    std::fs::write(manifests.join(format!("twice{EVIL}.yaml")), &pod).unwrap();
    std::fs::write(
        manifests.join(format!("none{EVIL}.yaml")),
        format!("kind: \"kind{evil}\""),
    )
    .unwrap();
    // A kubeconfig's user and context.
    let admin = std::fs::read_to_string(kubernetes.join("admin.conf")).unwrap();
    let broken = admin.replacen(
        "client-certificate-data: ",
        "client-certificate-data: AAAA",
        1,
    );
    let user = broken
        .lines()
        .find_map(|line| line.trim().strip_prefix("user: "))
        .unwrap();
    let broken = broken.replace(user, &format!("\"user{evil}\""));
    std::fs::write(kubernetes.join("admin.conf"), &broken).unwrap();
    std::fs::write(kubernetes.join(format!("conf{EVIL}.conf")), &broken).unwrap();

    for arguments in [
        ["check-expiration", "--all", "--within", "1d"].as_slice(),
        &["check-expiration", "--all", "-o", "json"],
        &["check-expiration", "--all", "-o", "yaml"],
        &["plan"],
        &["plan", "-o", "json"],
        &["preflight"],
        &["preflight", "-o", "json"],
        &["renew", "all", "--dry-run"],
        &["renew", EVIL],
        &["restart", EVIL],
        &["rehearse"],
        &["--log-level", "trace", "renew", "all", "--no-restart"],
        &["--log-level", "trace", "run", "--once"],
        &["status"],
        &["status", "-o", "json"],
        &["history"],
        &["history", "show", EVIL],
        &["rollback", EVIL, "--dry-run"],
        &["recover"],
    ] {
        let output = node.run(arguments);
        let what = format!("{arguments:?}");
        assert_harmless(&what, &output.stdout);
        assert_harmless(&what, &output.stderr);
        if arguments.contains(&"json") {
            let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let shown = value.to_string();
            let exact = serde_json::to_string(&file).unwrap();
            assert!(
                !what.contains("check-exp") || shown.contains(exact.trim_matches('"')),
                "{what}: {shown}"
            );
        }
    }
    let table = text(&node.run(&["check-expiration", "--all"]).stdout);
    assert!(
        table.contains("file\\u001b[2J\\nforged: \\r\\u009b31m"),
        "{table}"
    );

    // And what the program wrote itself, if others changed it since.
    let status = node.path("/run/kubecertd/status.json");
    let written = std::fs::read_to_string(&status).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&written).unwrap();
    value["version"] = EVIL.into();
    value["message"] = EVIL.into();
    value["problems"] = vec![EVIL].into();
    value["failure"] =
        serde_json::json!({"reason": EVIL, "attempts": 1, "retryAt": "2030-01-01T00:00:00Z"});
    value["certificates"][0]["name"] = EVIL.into();
    std::fs::write(&status, value.to_string()).unwrap();
    let output = node.run(&["status"]);
    assert!(
        text(&output.stdout).contains("Fail: \\u001b[2J"),
        "{output:?}"
    );
    assert_harmless("status", &output.stdout);
}
