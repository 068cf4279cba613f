//! What would make an operation fail half-way is found before anything is touched: on real file systems, real marks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::{Node, contents, skipped, text};

/// Whether mounts can be made in a namespace of their own.
fn can_mount() -> bool {
    let can = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !can {
        skipped("mounts in a namespace need root and unshare(1)");
    }
    can
}

/// Runs a script in a mount namespace of its own, with the program as `kubecertd` and the node's root in `$ROOT`.
fn in_namespace(node: &Node, script: &str) -> Output {
    let prelude = format!(
        "set -e\nROOT={}\nkubecertd() {{ {} --root $ROOT \"$@\"; }}\n",
        node.directory.path().display(),
        env!("CARGO_BIN_EXE_kubecertd")
    );
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &format!("{prelude}{script}")])
        .env_remove("KUBECERTD_CONFIG")
        .env_remove("KUBECERTD_LOG")
        .output()
        .unwrap()
}

fn kubernetes(node: &Node) -> BTreeMap<PathBuf, Vec<u8>> {
    contents(&node.path("/etc/kubernetes"))
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

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
fn a_marked_file_or_directory_is_named_and_nothing_is_touched() {
    for (path, mark) in [
        ("/etc/kubernetes/pki/apiserver.key", "i"),
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
fn a_dry_run_says_what_would_be_refused() {
    let node = Node::fresh();
    let Some(marked) = Marked::with(node.path("/etc/kubernetes/admin.conf"), "i") else {
        return;
    };
    let output = node.run(&["renew", "admin.conf", "--dry-run"]);
    assert!(output.status.success());
    let told = text(&output.stdout);
    assert!(
        told.contains("It would be refused") && told.contains(&marked.0.display().to_string()),
        "{told}"
    );
}

fn put(node: &Node, path: &str, contents: &str) {
    let path = node.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

fn enable(node: &Node, unit: &str) {
    let wants = node.path("/etc/systemd/system/timers.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink(format!("/etc/systemd/system/{unit}"), wants.join(unit)).unwrap();
}

/// What kubespray installs: timer, service and script.
fn kubespray(node: &Node) {
    let units = "/etc/systemd/system/k8s-certs-renew";
    put(
        node,
        &format!("{units}.service"),
        "[Unit]\nDescription=Renew K8S control plane certificates\n[Service]\nType=oneshot\n\
         ExecStart=/usr/local/bin/k8s-certs-renew.sh\n",
    );
    put(
        node,
        &format!("{units}.timer"),
        "[Timer]\nOnCalendar=Mon *-*-1,2,3,4,5,6,7 03:00\nUnit=k8s-certs-renew.service\n[Install]\n\
         WantedBy=multi-user.target\n",
    );
    put(
        node,
        "/usr/local/bin/k8s-certs-renew.sh",
        "#!/bin/bash\necho \"## Renewing ##\"\n/usr/local/bin/kubeadm certs renew all\n",
    );
}

#[test]
fn an_enabled_timer_is_named_with_the_command_that_disables_it() {
    let node = Node::fresh();
    kubespray(&node);
    assert_eq!(node.run(&["preflight"]).status.code(), Some(0));
    enable(&node, "k8s-certs-renew.timer");
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    for part in [
        "k8s-certs-renew.timer (/usr/local/bin/k8s-certs-renew.sh)",
        "`systemctl disable --now k8s-certs-renew.timer`",
        "other-renewer = \"ignore\"",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // By hand it is only said.
    let renewed = node.run(&["renew", "admin.conf"]);
    assert!(renewed.status.success(), "{}", said(&renewed));
    assert!(said(&renewed).contains("k8s-certs-renew.timer"));
    // Masked, it starts nothing.
    let service = node.path("/etc/systemd/system/k8s-certs-renew.service");
    std::fs::remove_file(&service).unwrap();
    std::os::unix::fs::symlink("/dev/null", &service).unwrap();
    let masked = node.run(&["preflight"]);
    assert_eq!(masked.status.code(), Some(0), "{}", said(&masked));
}

#[test]
fn the_configuration_can_ignore_another_renewer() {
    let node = Node::fresh();
    kubespray(&node);
    enable(&node, "k8s-certs-renew.timer");
    node.configure("[renewal]\nother-renewer = \"ignore\"\n");
    assert_eq!(node.run(&["preflight"]).status.code(), Some(0));
}

#[test]
fn cron_jobs_are_found_by_file_and_line() {
    for (path, contents, place) in [
        (
            "/etc/crontab",
            "SHELL=/bin/sh\n# 0 3 * * * root /opt/renew.sh\n0 3 1 * * root kubeadm certs renew all\n",
            "remove the line /etc/crontab:3",
        ),
        (
            "/etc/cron.d/kubernetes",
            "@monthly root /opt/renew.sh\n",
            "remove the line /etc/cron.d/kubernetes:1",
        ),
        (
            "/var/spool/cron/crontabs/root",
            "0 3 1 * * kubeadm alpha certs renew all && reboot\n",
            "remove the line /var/spool/cron/crontabs/root:1",
        ),
        (
            "/etc/cron.weekly/renew",
            "#!/bin/sh\nexec /opt/renew.sh\n",
            "`chmod -x /etc/cron.weekly/renew`",
        ),
        (
            "/etc/cron.d/old.bak",
            "@monthly root kubeadm certs renew all\n",
            "",
        ),
        (
            "/etc/cron.d/other",
            "@monthly root kubeadm certs check-expiration\n",
            "",
        ),
    ] {
        let node = Node::fresh();
        put(
            &node,
            "/opt/renew.sh",
            "#!/bin/bash\nkubeadmCerts='/usr/local/bin/kubeadm certs'\n${kubeadmCerts} renew all\n",
        );
        put(&node, path, contents);
        if path.contains("weekly") {
            // Without the executable bit cron leaves it alone.
            assert_eq!(node.run(&["preflight"]).status.code(), Some(0));
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(node.path(path), mode).unwrap();
        }
        let output = node.run(&["preflight"]);
        let told = said(&output);
        if place.is_empty() {
            assert_eq!(output.status.code(), Some(0), "{path}: {told}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{path}: {told}");
            assert!(told.contains(place), "{path}: {told}");
            assert_eq!(told.matches("take over:").count(), 1, "{path}: {told}");
        }
    }
}

#[test]
fn a_kubeadm_that_works_on_these_files_is_waited_for() {
    if !can_mount() {
        return;
    }
    let node = Node::fresh();
    let before = kubernetes(&node);
    // A program of that name, which sees the node's directory as its /etc/kubernetes; and one that sees another.
    let output = in_namespace(
        &node,
        "mkdir -p /etc/kubernetes; cp $(command -v bash) $ROOT/kubeadm\n\
         mkdir $ROOT/other; mount --bind $ROOT/other /etc/kubernetes\n\
         unshare --mount sh -c \"exec $ROOT/kubeadm -c 'while :; do sleep 1; done' join elsewhere\" & elsewhere=$!; sleep 0.5\n\
         code=0; kubecertd preflight || code=$?; echo elsewhere=$code; kill $elsewhere\n\
         mount --bind $ROOT/etc/kubernetes /etc/kubernetes\n\
         $ROOT/kubeadm -c 'while :; do sleep 1; done' join 10.0.0.1:6443 --token=secret & here=$!; sleep 0.5\n\
         code=0; kubecertd preflight || code=$?; echo here=$code\n\
         code=0; kubecertd renew all || code=$?; echo renew=$code\n\
         kill $here; echo pid=$here\n",
    );
    let told = said(&output);
    let pid = told
        .lines()
        .find_map(|line| line.strip_prefix("pid="))
        .unwrap();
    for line in ["elsewhere=0", "here=1", "renew=1"] {
        assert!(told.contains(line), "{told}");
    }
    let expected = format!("`kubeadm join` is at work (process {pid}, since ");
    assert_eq!(told.matches(&expected).count(), 2, "{told}");
    assert!(!told.contains("secret"), "{told}");
    assert_eq!(kubernetes(&node), before);
}

/// Whether the kernel of this machine takes its clock for right: then no file can make it doubtful.
fn clock_is_synchronised() -> bool {
    let mut state = rtime_clock::adjtime::Timex::new();
    rtime_clock::adjtime::adjtimex(&mut state).unwrap();
    state.0.maxerror < 16_000_000
}

#[test]
fn what_happened_later_than_now_makes_the_clock_doubtful() {
    if clock_is_synchronised() {
        skipped("a doubtful clock needs a machine whose clock nobody synchronises");
        return;
    }
    let hours = |number: i64| jiff::SignedDuration::from_hours(number);
    // Certificates that begin in two hours, in files just as new: so it was later than it is now.
    let node = Node::new(hours(-2), hours(24 * 300));
    let future = std::time::SystemTime::now() + std::time::Duration::from_secs(3 * 3600);
    let before = kubernetes(&node);
    let refused = node.run(&["renew", "admin.conf"]);
    assert!(!refused.status.success());
    let told = said(&refused);
    assert!(told.contains(" begins: it was set back"), "{told}");
    assert_eq!(kubernetes(&node), before);

    // In older files they were dated ahead on purpose, which tells nothing of the clock.
    let node = Node::new(hours(-2), hours(24 * 300));
    for path in contents(node.directory.path()).keys() {
        if path.is_symlink() {
            continue;
        }
        std::fs::File::open(path)
            .and_then(|file| file.set_modified(std::time::SystemTime::now()))
            .unwrap();
    }
    let told = node.run(&["preflight"]);
    assert_eq!(told.status.code(), Some(0), "{}", said(&told));

    // The same from kubecertd's own history.
    let node = Node::fresh();
    assert!(node.run(&["renew", "admin.conf"]).status.success());
    let history = node.path("/var/lib/kubecertd/history.jsonl");
    std::fs::File::open(&history)
        .and_then(|file| file.set_modified(future))
        .unwrap();
    let told = said(&node.run(&["preflight"]));
    assert!(
        told.contains("when kubecertd's history was written"),
        "{told}"
    );
}

#[test]
fn a_history_that_cannot_be_understood_is_said_and_holds_nothing_up() {
    let node = Node::fresh();
    put(&node, "/var/lib/kubecertd/history.jsonl", "not a receipt\n");
    let output = node.run(&["preflight"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("unreadable") && said(&output).contains("line 1"));
}

#[test]
fn patience_ends_with_the_last_third_of_the_time() {
    let hours = |days: i64| jiff::SignedDuration::from_hours(24 * days);
    for (left, code, result) in [
        (29, 1, "wait"),
        (11, 1, "wait"),
        (9, 0, "warn"),
        (-3, 0, "warn"),
    ] {
        let node = Node::new(hours(365 - left), hours(left));
        kubespray(&node);
        enable(&node, "k8s-certs-renew.timer");
        let output = node.run(&["preflight"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(code), "{left}: {told}");
        assert!(
            told.contains(&format!("other-renewer   {result}")),
            "{told}"
        );
    }
}
