//! `kubecertd renew` on a made-up node.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::os::unix::fs::PermissionsExt;

use testkit::{ELEVEN, Node, contents, text};

#[test]
fn a_key_that_is_another_cas_is_found_out_when_it_is_to_sign_and_known_from_then_on() {
    let node = Node::due();
    let pki = node.path("/etc/kubernetes/pki");
    let before = contents(&node.path("/etc/kubernetes"));
    let ca = std::fs::read(pki.join("ca.key")).unwrap();
    std::fs::copy(pki.join("etcd/ca.key"), pki.join("ca.key")).unwrap();
    let said = |arguments: &[&str]| {
        let output = node.run(arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        (output.status.code(), said)
    };
    let mismatch = "ca.key: the key does not belong to the certificate";
    assert!(!said(&["check-expiration"]).1.contains(mismatch));
    let (code, refused) = said(&["renew", "apiserver", "scheduler.conf", "--no-restart"]);
    assert_eq!(code, Some(1), "{refused}");
    assert!(
        refused.contains("ca.key: the key does not belong to the CA certificate"),
        "{refused}"
    );
    let after = contents(&node.path("/etc/kubernetes"));
    for (path, content) in &before {
        assert!(
            path.ends_with("pki/ca.key") || after[path] == *content,
            "{path:?}"
        );
    }
    // Without opening it again.
    assert!(said(&["check-expiration"]).1.contains(mismatch));
    let plan = said(&["plan"]).1;
    let row = plan
        .lines()
        .find(|line| line.starts_with("apiserver "))
        .unwrap();
    assert!(
        row.contains("leave") && row.contains("is not the key of"),
        "{plan}"
    );
    // Until it is another file.
    std::fs::write(pki.join("ca.key"), ca).unwrap();
    assert!(!said(&["check-expiration"]).1.contains(mismatch));
    let (code, done) = said(&["renew", "apiserver", "--no-restart"]);
    assert_eq!(code, Some(0), "{done}");
}

#[test]
fn of_a_bundle_the_certificate_that_the_key_belongs_to_signs() {
    use jiff::{SignedDuration, Timestamp};
    use kubecertd::pki::{CertificateAuthority, KeyAlgorithm, NewAuthority, certificates_to_pem};

    // The next CA is trusted already, and the old one signs until it ends in 20 days.
    let node = Node::due();
    let pki = node.path("/etc/kubernetes/pki");
    let next = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: Timestamp::now() - SignedDuration::from_hours(1),
        not_after: Timestamp::now() + SignedDuration::from_hours(24 * 3650),
    })
    .unwrap();
    let old = std::fs::read_to_string(pki.join("ca.crt")).unwrap();
    std::fs::write(
        pki.join("ca.crt"),
        old.clone() + &certificates_to_pem([next.certificate()]),
    )
    .unwrap();
    let output = node.run(&["renew", "apiserver", "--no-restart"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let old = kubecertd::pki::certificates_from_pem(old.as_bytes())
        .unwrap()
        .remove(0);
    let renewed = node.certificate("apiserver");
    assert!(renewed.is_signed_by(&old));
    // Its end is that of the certificate which signed it, not of the one that lasts.
    assert!(renewed.not_after <= old.not_after, "{}", renewed.not_after);
}

#[test]
fn an_installation_that_cannot_be_undone_is_said_recorded_and_left_to_recovery() {
    let mut seen = false;
    for nth in 1..8 {
        let node = Node::fresh();
        let before = contents(&node.path("/etc"));
        // From this rename on the disk takes no other.
        let output = std::process::Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat", "-e"])
            .arg(format!("inject=renameat:error=EIO:when={nth}+"))
            .arg(env!("CARGO_BIN_EXE_kubecertd"))
            .arg("--root")
            .arg(node.directory.path())
            .args(["renew", "all"])
            .output();
        let Ok(output) = output else {
            testkit::skipped("no strace");
            return;
        };
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{said}");
        let in_flight = !contents(&node.path("/var/lib/kubecertd/journal")).is_empty();
        assert_eq!(
            said.contains("The journal is kept"),
            in_flight,
            "{nth}: {said}"
        );
        if in_flight {
            seen = true;
            assert!(
                said.contains("could not be replaced: Input/output error"),
                "{said}"
            );
            assert!(!said.contains("nothing was changed"), "{said}");
            let output = node.run(&["recover"]);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        assert_eq!(contents(&node.path("/etc")), before, "{nth}");
        let output = node.run(&["history", "-o", "json"]);
        let receipts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let outcomes: Vec<&str> = receipts
            .as_array()
            .unwrap()
            .iter()
            .map(|receipt| receipt["outcome"].as_str().unwrap())
            .collect();
        let expected: &[&str] = if in_flight {
            &["failed", "rolled-back"]
        } else {
            &["rolled-back"]
        };
        assert_eq!(outcomes, expected, "{nth}");
    }
    assert!(seen, "no installation was cut short");
}

#[test]
fn all_eleven_are_new_and_nothing_else_changed() {
    let node = Node::fresh();
    let before: Vec<_> = ELEVEN.iter().map(|name| node.certificate(name)).collect();
    let files = contents(&node.path("/etc"));
    let output = node.run(&["renew", "all"]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    for (name, old) in ELEVEN.iter().zip(&before) {
        let new = node.certificate(name);
        assert_ne!(new.serial, old.serial, "{name}");
        assert_ne!(new.public_key_der, old.public_key_der, "{name}");
        assert!(new.not_after > old.not_after, "{name}");
        assert_eq!(new.subject_der, old.subject_der, "{name}");
        assert_eq!(new.subject_alt_names, old.subject_alt_names, "{name}");
        assert_eq!(new.extended_key_usage, old.extended_key_usage, "{name}");
        assert_eq!(new.key_usage, old.key_usage, "{name}");
    }
    let mut changed: Vec<String> = Vec::new();
    for (path, bytes) in contents(&node.path("/etc")) {
        match files.get(&path) {
            Some(old) if *old == bytes => {}
            Some(_) => changed.push(path.file_name().unwrap().to_string_lossy().into_owned()),
            None => panic!("{} is new", path.display()),
        }
    }
    // Seven pairs and four kubeconfigs.
    assert_eq!(changed.len(), 18, "{changed:?}");
    for private in ["pki/apiserver.key", "admin.conf", "pki/etcd/peer.key"] {
        let path = node.path("/etc/kubernetes").join(private);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
}

/// kubectl reads all of these.
#[test]
fn kubeconfigs_that_kubectl_reads_are_renewed_as_the_dry_run_says() {
    let node = Node::fresh();
    let edit = |name: &str, edit: &dyn Fn(&str) -> Vec<u8>| {
        let path = node.path("/etc/kubernetes").join(name);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, edit(&before)).unwrap();
    };
    edit("admin.conf", &|text| format!("{text}---\n").into_bytes());
    edit("super-admin.conf", &|text| {
        format!("kind: Config\n{text}").into_bytes()
    });
    edit("scheduler.conf", &|text| {
        format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect()
    });
    edit("controller-manager.conf", &|text| {
        let data = text
            .lines()
            .find(|line| line.contains("client-key-data"))
            .unwrap();
        let (_, key) = data.split_once(": ").unwrap();
        text.replace(data, "    client-key-data: *key")
            .replace("users:", &format!("x: &key {key}\nusers:"))
            .into_bytes()
    });
    let kubeconfigs: Vec<&str> = ELEVEN
        .into_iter()
        .filter(|name| name.ends_with(".conf"))
        .collect();
    let old: Vec<String> = kubeconfigs.iter().map(|name| node.serial(name)).collect();
    let output = node.run(&["renew", "all", "--dry-run"]);
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    let output = node.run(&["renew", "all"]);
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    for (name, old) in kubeconfigs.iter().zip(&old) {
        assert_ne!(node.serial(name), *old, "{name}");
    }
    let scheduler = std::fs::read(node.path("/etc/kubernetes/scheduler.conf")).unwrap();
    assert!(scheduler.starts_with(&[0xfe, 0xff]));
}

#[test]
fn a_kubeconfig_that_cannot_be_edited_is_said_by_the_dry_run_with_its_line() {
    let node = Node::fresh();
    let path = node.path("/etc/kubernetes/admin.conf");
    let before = std::fs::read_to_string(&path).unwrap();
    let data = before
        .lines()
        .find(|line| line.contains("client-key-data"))
        .unwrap();
    let (_, key) = data.split_once(": ").unwrap();
    let after = before.replace(data, "    <<: *key").replace(
        "users:",
        &format!("x: &key {{client-key-data: {key}}}\nusers:"),
    );
    std::fs::write(&path, &after).unwrap();
    let line = after.lines().position(|line| line.contains("<<")).unwrap() + 1;
    let reason = format!("client-key-data comes from a merge key (<<) at line {line}");
    for arguments in [
        &["renew", "all", "--dry-run"][..],
        &["renew", "all"],
        &["renew", "admin.conf"],
    ] {
        let output = node.run(arguments);
        assert!(
            text(&output.stdout).contains(&reason),
            "{}",
            text(&output.stdout)
        );
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
    let output = node.run(&["plan"]);
    assert!(text(&output.stdout).contains(&reason));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
}

#[test]
fn a_manifest_that_cannot_be_read_is_said_by_every_command() {
    let node = Node::due();
    let path = node.path("/etc/kubernetes/manifests/kube-scheduler.yaml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("%YAML 1.2\n---\n{good}")).unwrap();
    for arguments in [
        &["plan"][..],
        &["plan", "-o", "json"],
        &["renew", "all", "--dry-run"],
        &["preflight"],
        &["renew", "all"],
    ] {
        let output = node.run(arguments);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(
            said.contains("kube-scheduler.yaml"),
            "{arguments:?}: {said}"
        );
        assert!(
            said.contains("a directive (%YAML) of another version than 1.1 at line 1"),
            "{arguments:?}: {said}"
        );
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    }
}

#[test]
fn the_receipt_and_the_backup_tell_what_was_before() {
    let node = Node::fresh();
    let old_key = std::fs::read(node.path("/etc/kubernetes/pki/apiserver.key")).unwrap();
    let old = node.serial("apiserver");
    assert!(node.run(&["renew", "apiserver"]).status.success());
    let history = std::fs::read_to_string(node.path("/var/lib/kubecertd/history.jsonl")).unwrap();
    assert!(history.contains(&old) && history.contains(&node.serial("apiserver")));
    assert!(!history.contains("PRIVATE KEY"));
    let backups = contents(&node.path("/var/lib/kubecertd/backups"));
    assert!(backups.values().any(|bytes| *bytes == old_key));
    assert!(contents(&node.path("/var/lib/kubecertd/journal")).is_empty());
}

#[test]
fn an_administrators_own_directory_among_the_backups_stays() {
    let node = Node::fresh();
    let backups = node.path("/var/lib/kubecertd/backups");
    let remnant = backups.join("20260101T000000Z-00ff/etc");
    let own = [
        backups.join("before-upgrade/pki"),
        backups.join("20260101T000000Z-00ff.old/etc"),
        backups.join("20260101"),
    ];
    for directory in own.iter().chain([&remnant]) {
        std::fs::create_dir_all(directory).unwrap();
    }
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    assert!(!remnant.exists());
    for directory in own {
        assert!(directory.exists(), "{}", directory.display());
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let node = Node::due();
    let before = contents(node.directory.path());
    let output = node.run(&["renew", "all", "--dry-run"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("apiserver"));
    assert_eq!(contents(node.directory.path()), before);
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let node = Node::fresh();
    let output = node.run(&["renew", "apiservr"]);
    assert!(!output.status.success());
    let message = text(&output.stderr);
    assert!(
        message.contains("apiservr") && message.contains("\"apiserver\""),
        "{message}"
    );
}

#[test]
fn one_broken_file_does_not_hold_up_the_others() {
    let node = Node::fresh();
    std::fs::write(node.path("/etc/kubernetes/pki/apiserver.crt"), b"").unwrap();
    let old = node.serial("etcd-server");
    let output = node.run(&["renew", "all"]);
    assert!(!output.status.success());
    assert!(
        text(&output.stdout).contains("apiserver not renewed"),
        "{}",
        text(&output.stdout)
    );
    assert_ne!(node.serial("etcd-server"), old);
}

#[test]
fn a_leaf_of_another_authority_is_left_alone() {
    let node = Node::fresh();
    let other = Node::fresh();
    for ending in ["crt", "key"] {
        let path = format!("/etc/kubernetes/pki/apiserver.{ending}");
        std::fs::copy(other.path(&path), node.path(&path)).unwrap();
    }
    let before = std::fs::read(node.path("/etc/kubernetes/pki/apiserver.crt")).unwrap();
    let output = node.run(&["renew", "apiserver", "--force"]);
    assert!(!output.status.success());
    assert_eq!(
        std::fs::read(node.path("/etc/kubernetes/pki/apiserver.crt")).unwrap(),
        before
    );
}

#[test]
fn an_external_authority_leaves_its_certificates_and_renews_the_others() {
    let node = Node::fresh();
    std::fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let (apiserver, etcd) = (node.serial("apiserver"), node.serial("etcd-server"));
    node.run(&["renew", "all"]);
    assert_eq!(node.serial("apiserver"), apiserver);
    assert_ne!(node.serial("etcd-server"), etcd);
}

#[test]
fn what_is_named_and_not_renewed_is_a_failure_and_all_is_lenient() {
    let crt = "/etc/kubernetes/pki/apiserver.crt";
    let without = |path: &str| {
        let node = Node::fresh();
        std::fs::remove_file(node.path(path)).unwrap();
        node
    };
    let skipping = Node::fresh();
    skipping.configure("[renewal]\nskip = [\"apiserver\"]\n");
    for (node, why, then) in [
        (without(crt), "there is no such file", ""),
        (
            without("/etc/kubernetes/pki/ca.key"),
            "the key of ca is not on this node",
            "request open since",
        ),
        (skipping, "renewal.skip names it", ""),
    ] {
        for (arguments, why) in [
            (&["renew", "apiserver", "--dry-run"][..], why),
            (
                &["renew", "apiserver"],
                if then.is_empty() { why } else { then },
            ),
        ] {
            let output = node.run(arguments);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {why}");
            assert!(
                text(&output.stdout).contains(why),
                "{}",
                text(&output.stdout)
            );
        }
        for arguments in [&["renew", "all", "--dry-run"][..], &["renew", "all"]] {
            let output = node.run(arguments);
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                text(&output.stderr)
            );
        }
        let output = node.run(&["renew", "apiserver", "etcd-server", "--force"]);
        assert_eq!(output.status.success(), why.starts_with("renewal.skip"));
    }
}

#[test]
fn a_dry_run_that_would_be_refused_says_so_in_its_exit_code() {
    let mut state = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut state).unwrap();
    if state.0.maxerror < 16_000_000 {
        testkit::not_on_this_machine(
            "a doubtful clock needs a machine whose clock nobody synchronises",
        );
        return;
    }
    let node = Node::fresh();
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(3 * 3600);
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    std::fs::File::open(node.path("/var/lib/kubecertd/history.jsonl"))
        .and_then(|file| file.set_modified(future))
        .unwrap();
    let output = node.run(&["renew", "apiserver", "--dry-run"]);
    let told = text(&output.stdout);
    assert!(told.contains("It would be refused"), "{told}");
    assert_eq!(output.status.code(), Some(1), "{told}");
}

#[test]
fn a_second_process_is_kept_out() {
    let node = Node::fresh();
    let store = kubecertd::journal::Store::new(&node.root);
    let _lock = kubecertd::journal::Lock::take(&store).unwrap();
    let output = node.run(&["renew", "all"]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("another kubecertd is at work"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn below_another_root_nothing_is_restarted_and_the_components_are_named() {
    for arguments in [
        &["renew", "scheduler.conf"][..],
        &["renew", "scheduler.conf", "--force", "--no-restart"],
    ] {
        let node = Node::fresh();
        let output = node.run(arguments);
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{told}");
        for expected in [
            "not restarted: kube-scheduler (the pods of another root are not this machine's)",
            "The new certificates are used once these are started anew, on the node itself: kube-scheduler",
        ] {
            assert!(told.contains(expected), "{expected} in:\n{told}");
        }
        // On the machine that runs the command it would restart another pod.
        assert!(!told.contains("kubecertd restart"), "{told}");
        assert!(!told.contains("proving"), "{told}");
    }
}
