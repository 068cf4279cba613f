//! Room, marks, read-only file systems, doubled manifests.

use std::path::PathBuf;
use std::process::Command;

use kubecertd::files::generations;
use kubecertd::journal::Store;
use testkit::{Node, skipped, text};

use crate::{can_mount, in_namespace, kubernetes, said};

#[test]
fn a_sound_node_passes_every_check() {
    let node = Node::fresh();
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let table = text(&output.stdout);
    for check in ["space", "writable", "manifests", "kubeadm", "other-renewer"] {
        assert!(
            table
                .lines()
                .any(|line| line.starts_with(check) && line.contains("   pass ")),
            "{check}: {table}"
        );
    }
    let json = node.run(&["preflight", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(document["kind"], "Preflight");
    assert_eq!(document["checks"][0]["result"], "pass");
    // The command makes nothing, not even the state directory.
    assert!(!node.path("/var/lib/kubecertd").exists());
}

/// A mark that is taken away again even if the test fails: without that the directory could not be removed.
struct Marked(PathBuf, &'static str);

impl Marked {
    fn with(path: PathBuf, mark: &'static str) -> Option<Self> {
        let set = Command::new("chattr")
            .arg(format!("+{mark}"))
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !set {
            skipped(&format!(
                "chattr +{mark} needs root and a file system that has such marks"
            ));
        }
        set.then_some(Self(path, mark))
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        let _ = Command::new("chattr")
            .arg(format!("-{}", self.1))
            .arg(&self.0)
            .output();
    }
}

#[test]
fn a_marked_directory_is_named_and_nothing_is_touched() {
    for (path, mark) in [
        ("/etc/kubernetes/pki/etcd", "i"),
        ("/etc/kubernetes/pki/etcd", "a"),
        ("/etc/kubernetes", "a"),
    ] {
        let node = Node::fresh();
        let before = kubernetes(&node);
        let Some(marked) = Marked::with(node.path(path), mark) else {
            return;
        };
        let output = node.run(&["preflight"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let expected = format!(
            "{}: is marked immutable or append-only; remove the mark with `chattr -i -a {0}`",
            marked.0.display()
        );
        assert!(said(&output).contains(&expected), "{}", said(&output));
        let renewed = node.run(&["renew", "all"]);
        assert!(!renewed.status.success());
        assert!(said(&renewed).contains(&expected), "{}", said(&renewed));
        assert!(said(&renewed).contains("nothing was changed"));
        assert_eq!(kubernetes(&node), before, "{path}");
        assert!(!said(&renewed).contains("making"), "{}", said(&renewed));
    }
}

#[test]
fn a_marked_journal_directory_is_found_before_anything_is_touched() {
    for name in ["journal", "backups"] {
        let node = Node::fresh();
        assert!(node.run(&["renew", "admin.conf"]).status.success());
        let path = node.path("/var/lib/kubecertd").join(name);
        let Some(marked) = Marked::with(path, "i") else {
            return;
        };
        let expected = format!("{}: is marked immutable", marked.0.display());
        for arguments in [&["preflight"][..], &["renew", "all"]] {
            let output = node.run(arguments);
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            assert!(said(&output).contains(&expected), "{}", said(&output));
        }
    }
}

#[test]
fn a_marked_file_keeps_only_its_own_certificate_from_being_renewed() {
    for (path, mark) in [
        ("/etc/kubernetes/pki/apiserver.key", "i"),
        ("/etc/kubernetes/pki/apiserver.crt", "a"),
    ] {
        let node = Node::fresh();
        let names = ["apiserver", "etcd-server"];
        let before = names.map(|name| node.serial(name));
        let Some(marked) = Marked::with(node.path(path), mark) else {
            return;
        };
        let expected = format!(
            "{}: is marked immutable or append-only; remove the mark with `chattr -i -a {0}`",
            marked.0.display()
        );
        for arguments in [&["preflight"][..], &["renew", "all", "--dry-run"]] {
            let output = node.run(arguments);
            assert_eq!(output.status.code(), Some(1), "{}", said(&output));
            assert!(said(&output).contains(&expected), "{}", said(&output));
            assert!(said(&output).contains("its certificate is left out"));
        }
        let renewed = node.run(&["renew", "all"]);
        assert_eq!(renewed.status.code(), Some(1), "{}", said(&renewed));
        assert!(
            said(&renewed).contains("chattr -i -a"),
            "{}",
            said(&renewed)
        );
        let after = names.map(|name| node.serial(name));
        assert_eq!(after[0], before[0]);
        assert_ne!(after[1], before[1], "{}", said(&renewed));

        // By itself there is nothing else to be done.
        let alone = node.run(&["renew", "apiserver"]);
        assert_eq!(alone.status.code(), Some(1), "{}", said(&alone));
        assert!(
            said(&alone).contains("nothing was changed"),
            "{}",
            said(&alone)
        );
    }
}

#[test]
fn a_marked_file_keeps_a_roll_back_from_beginning() {
    let node = Node::fresh();
    assert!(node.run(&["renew", "all"]).status.success());
    let before = kubernetes(&node);
    let Some(marked) = Marked::with(node.path("/etc/kubernetes/pki/apiserver.crt"), "i") else {
        return;
    };
    let id = generations(&Store::new(&node.root)).unwrap().remove(0).id;
    let output = node.run(&["rollback", &id]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let expected = format!("{}: is marked immutable", marked.0.display());
    assert!(said(&output).contains(&expected), "{}", said(&output));
    assert_eq!(kubernetes(&node), before);
}

#[test]
fn a_history_that_cannot_be_written_is_told_before_anything_is_touched() {
    let told = |node: &Node, expected: &str| {
        let before = node.serial("admin.conf");
        // It refuses nothing; the renewal that follows has failed in so far as it left no receipt.
        for (arguments, refused) in [
            (&["preflight"][..], false),
            (&["renew", "admin.conf"], true),
        ] {
            let output = node.run(arguments);
            let failed = output.status.code() == Some(1);
            assert_eq!(failed, refused, "{}", said(&output));
            assert!(
                said(&output).contains(expected),
                "{expected} in {}",
                said(&output)
            );
        }
        assert_ne!(node.serial("admin.conf"), before);
    };
    for name in ["history.jsonl", "history.end"] {
        let node = Node::fresh();
        let path = node.path("/var/lib/kubecertd").join(name);
        std::fs::create_dir_all(&path).unwrap();
        told(
            &node,
            &format!("{name}: is a directory where kubecertd's own file belongs"),
        );

        let node = Node::fresh();
        assert!(node.run(&["renew", "scheduler.conf"]).status.success());
        let path = node.path("/var/lib/kubecertd").join(name);
        let Some(_marked) = Marked::with(path, "i") else {
            return;
        };
        told(&node, &format!("{name}: is marked immutable"));
    }
    // To append is all that is done to it, so that mark does no harm.
    let node = Node::fresh();
    assert!(node.run(&["renew", "scheduler.conf"]).status.success());
    let Some(_marked) = Marked::with(node.path("/var/lib/kubecertd/history.jsonl"), "a") else {
        return;
    };
    let output = node.run(&["renew", "admin.conf"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn manifests_that_would_be_moved_are_looked_at_too() {
    for path in ["kube-scheduler.yaml", ""] {
        let node = Node::fresh();
        let directory = node.path("/etc/kubernetes/manifests");
        let marked = directory.join(path).components().collect();
        let Some(marked) = Marked::with(marked, "i") else {
            return;
        };
        let output = node.run(&["preflight"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&marked.0.display().to_string()));
        // Below another root no pod is restarted, so nothing is in the way.
        assert!(node.run(&["renew", "admin.conf"]).status.success());
    }
}

#[test]
fn two_manifests_for_a_pod_are_both_named() {
    let node = Node::fresh();
    let manifests = node.path("/etc/kubernetes/manifests");
    std::fs::copy(
        manifests.join("kube-scheduler.yaml"),
        manifests.join("kube-scheduler-old.yaml"),
    )
    .unwrap();
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for name in ["kube-scheduler.yaml", "kube-scheduler-old.yaml"] {
        assert!(said(&output).contains(name), "{}", said(&output));
    }
    assert!(said(&output).contains("move all but one elsewhere"));
}

#[test]
fn a_full_certificates_directory_is_refused_and_a_roomy_tmpfs_is_not() {
    if !can_mount() {
        return;
    }
    for (size, fill, expected) in [
        ("size=8m", "true", None),
        (
            "size=8m",
            "! dd if=/dev/zero of=$PKI/fill bs=64k 2>/dev/null",
            Some("are free on its file system"),
        ),
        ("size=8m,nr_inodes=40", "true", Some("(inodes)")),
    ] {
        let node = Node::fresh();
        let output = in_namespace(
            &node,
            &format!(
                "PKI=$ROOT/etc/kubernetes/pki\ncp -a $PKI $ROOT/saved\nmount -t tmpfs -o {size} none $PKI\n\
                 cp -a $ROOT/saved/. $PKI\n{fill}\nfind $PKI -type f ! -name fill | sort | xargs sha256sum >$ROOT/before\n\
                 code=0; kubecertd preflight || code=$?; echo preflight=$code\n\
                 code=0; kubecertd renew all || code=$?; echo renew=$code\n\
                 find $PKI -type f ! -name fill | sort | xargs sha256sum >$ROOT/after\n\
                 cmp -s $ROOT/before $ROOT/after && echo unchanged || echo changed\n"
            ),
        );
        let told = said(&output);
        match expected {
            None => {
                for line in ["preflight=0", "renew=0", "\nchanged"] {
                    assert!(told.contains(line), "{told}");
                }
            }
            Some(reason) => {
                for line in [reason, "preflight=1", "renew=1", "\nunchanged", "/pki"] {
                    assert!(told.contains(line), "{line}: {told}");
                }
            }
        }
    }
}

#[test]
fn a_state_directory_that_is_read_only_or_full_is_refused_with_what_to_do() {
    if !can_mount() {
        return;
    }
    for (prepare, expected) in [
        (
            "mount -t tmpfs -o size=1m none $STATE; mount -o remount,ro $STATE",
            "lies on a read-only file system; mount it for writing",
        ),
        (
            "mount -t tmpfs -o size=1m none $STATE; ! dd if=/dev/zero of=$STATE/fill 2>/dev/null",
            "make room",
        ),
        ("mount -t tmpfs -o nr_inodes=6 none $STATE", "(inodes)"),
        (
            "rmdir $STATE; mount --bind $ROOT/var/lib $ROOT/var/lib; mount -o remount,bind,ro $ROOT/var/lib",
            "lies on a read-only file system; mount it for writing",
        ),
    ] {
        let node = Node::fresh();
        let before = kubernetes(&node);
        let output = in_namespace(
            &node,
            &format!(
                "STATE=$ROOT/var/lib/kubecertd\nmkdir -p $STATE\n{prepare}\n\
                 code=0; kubecertd preflight || code=$?; echo preflight=$code\n\
                 code=0; kubecertd renew all || code=$?; echo renew=$code\n"
            ),
        );
        let told = said(&output);
        for line in ["preflight=1", "renew=1", "/var/lib"] {
            assert!(told.contains(line), "{prepare}: {line}: {told}");
        }
        assert_eq!(told.matches(expected).count(), 2, "{prepare}: {told}");
        assert!(told.contains("nothing was changed"), "{told}");
        assert_eq!(kubernetes(&node), before, "{prepare}");
    }
}

#[test]
fn a_state_directory_on_another_file_system_serves_as_well() {
    if !can_mount() {
        return;
    }
    let node = Node::fresh();
    let before = node.serial("apiserver");
    let output = in_namespace(
        &node,
        "STATE=$ROOT/var/lib/kubecertd\nmkdir -p $STATE\nmount -t tmpfs -o size=4m none $STATE\n\
         kubecertd renew all\nls $STATE/backups $STATE/history.jsonl\n",
    );
    assert!(output.status.success(), "{}", said(&output));
    assert_ne!(node.serial("apiserver"), before);
}

#[test]
fn a_disk_on_which_the_kubelet_removes_images_is_named() {
    if !can_mount() {
        return;
    }
    for (fill, threshold, result) in [
        (9, "", "warn"),
        (5, "", "pass"),
        (5, "imageGCHighThresholdPercent: 40", "warn"),
        (9, "imageGCHighThresholdPercent: 100", "pass"),
    ] {
        let node = Node::fresh();
        let script = format!(
            "IMAGES=$ROOT/var/lib/containerd\nmkdir -p $IMAGES\nmount -t tmpfs -o size=10m none $IMAGES\n\
             dd if=/dev/zero of=$IMAGES/fill bs=1M count={fill} 2>/dev/null\n\
             echo '{threshold}' >> $ROOT/var/lib/kubelet/config.yaml\nkubecertd preflight"
        );
        let output = in_namespace(&node, &script);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(
            told.contains(&format!("images          {result}")),
            "{told}"
        );
    }
}

#[test]
fn a_dry_run_says_what_would_be_refused() {
    let node = Node::fresh();
    let Some(marked) = Marked::with(node.path("/etc/kubernetes"), "a") else {
        return;
    };
    let output = node.run(&["renew", "admin.conf", "--dry-run"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(
        told.contains("It would be refused") && told.contains(&marked.0.display().to_string()),
        "{told}"
    );
}

#[test]
fn a_ca_that_cannot_sign_keeps_a_renewal_from_being_done() {
    use kubecertd::pki::{
        CertificateAuthority, KeyAlgorithm, NewAuthority, NewLeaf, PrivateKey, Validity,
        certificates_to_pem,
    };
    let told = |node: &Node| {
        let output = node.run(&["preflight"]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let lines: Vec<String> = text(&output.stdout)
            .lines()
            .filter(|line| line.starts_with("authorities"))
            .map(str::to_owned)
            .collect();
        assert_eq!(lines.len(), 1, "one reason is said once: {lines:?}");
        lines[0].clone()
    };
    // Its key is elsewhere.
    let node = Node::fresh();
    std::fs::remove_file(node.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let line = told(&node);
    for part in ["   skip ", "the key of ca is not on this node", "apiserver"] {
        assert!(line.contains(part), "{line}");
    }
    // It has ended.
    let node = Node::fresh();
    let hours = jiff::SignedDuration::from_hours;
    let now = jiff::Timestamp::now();
    let ended = CertificateAuthority::generate(&NewAuthority {
        common_name: "kubernetes".to_owned(),
        algorithm: KeyAlgorithm::EcdsaP256,
        not_before: now - hours(24 * 400),
        not_after: now - hours(24),
    })
    .unwrap();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let leaf = NewLeaf {
        common_name: "kube-apiserver".to_owned(),
        organizations: Vec::new(),
        subject_alt_names: Vec::new(),
        server_auth: true,
        client_auth: false,
    }
    .sign(
        &key,
        &ended,
        Validity {
            not_before: now - hours(24 * 300),
            not_after: now + hours(24 * 60),
        },
    )
    .unwrap();
    let pki = node.path("/etc/kubernetes/pki");
    let write = |name: &str, text: &str| std::fs::write(pki.join(name), text).unwrap();
    write("ca.crt", &certificates_to_pem([ended.certificate()]));
    write("ca.key", &ended.key().to_pem().unwrap());
    write("apiserver.crt", &certificates_to_pem([&leaf]));
    write("apiserver.key", &key.to_pem().unwrap());
    let line = told(&node);
    for part in [
        "   refuse ",
        "has expired on",
        "extend the CA first: kubecertd --root ",
        " ca extend ca; not renewed: apiserver",
    ] {
        assert!(line.contains(part), "{line}");
    }
}
