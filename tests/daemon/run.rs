//! `kubecertd run` on a made-up node: it acts by itself, tells what it does and stops when asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kubecertd::files::Operation;
use kubecertd::journal::{Lock, Store, Trigger};
use kubecertd::report::{History, State, read_status};
use nix::sys::signal::Signal;
use testkit::daemon::{Daemon, wait_until};
use testkit::{ELEVEN, Node, text};

#[test]
fn what_is_due_is_renewed_without_a_hand() {
    let node = Node::due();
    let before: Vec<String> = ELEVEN.iter().map(|name| node.serial(name)).collect();
    let mut daemon = Daemon::start(&node);
    daemon.expect("READY=1");
    wait_until("the renewal", || {
        read_status(&node.root).is_ok_and(|status| status.last_operation.is_some())
    });
    for (name, old) in ELEVEN.iter().zip(&before) {
        assert_ne!(node.serial(name), *old, "{name}");
    }
    let status = read_status(&node.root).unwrap();
    assert_eq!(status.state, State::Waiting);
    // It stands there until something happens: a moment, and no countdown to it.
    let next = status.next.as_ref().unwrap();
    let expected = format!(
        "Next: renewal of {} on {}",
        next.certificate,
        kubecertd::pki::date(next.at)
    );
    assert_eq!(status.message, expected);
    let shown = node.run(&["status"]);
    assert!(shown.status.success());
    assert!(text(&shown.stdout).contains("renewed 11 certificates"));
    let counted = format!("{expected}, in 334 days\n");
    assert!(
        text(&shown.stdout).contains(&counted),
        "{}",
        text(&shown.stdout)
    );
    let log = daemon.stop();
    assert!(log.contains("apiserver renewed"), "{log}");
    assert!(!log.contains("PRIVATE KEY"));
    assert_eq!(node.run(&["status"]).status.code(), Some(3));
}

#[test]
fn a_status_that_cannot_be_written_is_told_once_and_holds_nothing_up() {
    let node = Node::due();
    let old = node.serial("apiserver");
    let status = node.path("/run/kubecertd/status.json");
    std::fs::create_dir_all(status.join("in the way")).unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    assert_ne!(node.serial("apiserver"), old);
    let log = daemon.stop();
    let told = log.matches("`kubecertd status` is out of date").count();
    assert_eq!(told, 1, "{log}");
    assert!(log.contains("/run/kubecertd/status.json"), "{log}");
}

#[test]
fn the_moment_is_slept_for_and_not_missed() {
    // 36 s of lifetime: the last third begins in 6 s.
    let node = Node::new(SignedDuration::from_secs(18), SignedDuration::from_secs(18));
    let old = node.serial("apiserver");
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    assert_eq!(node.serial("apiserver"), old, "renewed before its time");
    wait_until("the renewal", || node.serial("apiserver") != old);
    daemon.stop();
}

#[test]
fn a_file_that_is_replaced_by_one_that_is_due_is_noticed() {
    let node = Node::fresh();
    let due = Node::due();
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    // The whole certificates directory is replaced, as a restore from a backup would.
    let pki = node.path("/etc/kubernetes/pki");
    std::fs::rename(&pki, node.path("/etc/kubernetes/old")).unwrap();
    std::fs::rename(due.path("/etc/kubernetes/pki"), &pki).unwrap();
    let old = node.serial("apiserver");
    wait_until("the renewal", || node.serial("apiserver") != old);
    daemon.stop();
}

#[test]
fn a_wrong_configuration_is_refused_and_the_running_one_kept() {
    let node = Node::fresh();
    node.configure("[renewal]\nbefore = \"20d\"\n");
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Next: ");
    let due = || {
        read_status(&node.root)
            .unwrap()
            .certificates
            .iter()
            .find(|one| one.name == "apiserver")
            .unwrap()
            .due_at
    };
    let before = due();
    node.configure("[renewal]\nbefor = \"40d\"\n");
    daemon.signal(Signal::SIGHUP);
    let reloading = daemon.expect("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    daemon.expect("READY=1");
    assert_eq!(due(), before);
    node.configure("[renewal]\nbefore = \"40d\"\n");
    daemon.signal(Signal::SIGHUP);
    wait_until("the reload", || due() != before);
    let log = daemon.stop();
    assert!(log.contains("kubecertd.toml:2"), "{log}");
    assert!(log.contains("before"), "{log}");
}

#[test]
fn a_wrong_configuration_at_the_start_has_an_exit_code_of_its_own() {
    let node = Node::fresh();
    node.configure("[renewal]\nbefor = \"40d\"\n");
    let output = node.run(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("kubecertd.toml:2"));
}

#[test]
fn one_pass_does_what_is_due_and_ends() {
    let node = Node::due();
    let old = node.serial("admin.conf");
    assert!(node.run(&["run", "--once"]).status.success());
    let new = node.serial("admin.conf");
    assert_ne!(new, old);
    assert!(node.run(&["run", "--once"]).status.success());
    assert_eq!(node.serial("admin.conf"), new, "renewed twice");
    let status = read_status(&node.root).unwrap();
    assert_eq!(status.state, State::Stopped, "{}", status.message);
    assert_eq!(status.message, "Stopped after one pass");
}

/// After a renewal the daemon rests for half a minute; after a failure, for hours.
#[test]
fn what_a_killed_command_leaves_is_brought_back_at_once_even_while_the_daemon_rests() {
    let node = Node::due();
    let old = node.serial("apiserver");
    let daemon = Daemon::start(&node);
    wait_until("the renewal", || {
        read_status(&node.root).is_ok_and(|status| status.last_operation.is_some())
    });
    assert_ne!(node.serial("apiserver"), old);

    let store = Store::new(&node.root);
    let manifest = node.path("/etc/kubernetes/manifests/etcd.yaml");
    let lock = Lock::take(&store).unwrap();
    let mut operation = Operation::begin(&store, &lock, Trigger::Command("test".into())).unwrap();
    operation.park(&manifest).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    assert!(
        !manifest.exists(),
        "brought back while somebody was at work"
    );
    drop(operation);
    drop(lock);
    let killed = Instant::now();
    wait_until("the return of the manifest", || manifest.exists());
    assert!(killed.elapsed() < Duration::from_secs(5));
    wait_until("the end of the operation", || {
        store.in_flight().unwrap().is_empty()
    });
    assert!(killed.elapsed() < Duration::from_secs(10));

    // The rest ends, although the daemon tells systemd every second that it lives.
    let due = Node::due();
    let pki = node.path("/etc/kubernetes/pki");
    std::fs::rename(&pki, node.path("/etc/kubernetes/old")).unwrap();
    std::fs::rename(due.path("/etc/kubernetes/pki"), &pki).unwrap();
    let old = node.serial("apiserver");
    let replaced = Instant::now();
    while node.serial("apiserver") == old {
        assert!(
            replaced.elapsed() < Duration::from_secs(45),
            "it rests for ever"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let log = daemon.stop();
    assert!(
        log.contains("etcd.yaml: was left out by a kubecertd that is gone, and is back"),
        "{log}"
    );
    assert_eq!(log.matches("another kubecertd").count(), 1, "{log}");
}

#[test]
fn of_two_daemons_started_at_once_one_renews_and_both_go_on() {
    let node = Node::due();
    let before = node.serial("apiserver");
    let mut daemons = [Daemon::start(&node), Daemon::start(&node)];
    for daemon in &mut daemons {
        daemon.expect("READY=1");
        daemon.expect("STATUS=Next: ");
    }
    let renewed = node.serial("apiserver");
    assert_ne!(renewed, before);
    let history = History::new(&Store::new(&node.root));
    assert_eq!(history.receipts().unwrap().len(), 1);
    // A command beside them is not hindered when nobody is at work.
    let forced = node.run(&["renew", "scheduler.conf", "--force"]);
    assert!(forced.status.success(), "{}", text(&forced.stderr));
    assert_eq!(history.verify().unwrap(), 2);
    for daemon in daemons {
        daemon.stop();
    }
    assert_eq!(node.serial("apiserver"), renewed);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_complained_about_and_not_tried_again_at_once() {
    let node = Node::fresh();
    let journal = Store::new(&node.root).journal();
    std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
    std::fs::write(&journal, "not a directory").unwrap();
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Renewal failed");
    std::thread::sleep(Duration::from_secs(3));
    let log = daemon.stop();
    let complaints = log.matches("trying again").count();
    assert_eq!(complaints, 1, "{log}");
    assert!(log.contains(journal.to_str().unwrap()), "{log}");
}

/// A timer of another renewer, enabled.
fn another_renewer(node: &Node) -> std::path::PathBuf {
    let units = node.path("/etc/systemd/system");
    let wants = units.join("timers.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    std::fs::write(
        units.join("k8s-certs-renew.service"),
        "[Service]\nExecStart=/usr/bin/kubeadm certs renew all\n",
    )
    .unwrap();
    std::fs::write(
        units.join("k8s-certs-renew.timer"),
        "[Timer]\nOnCalendar=monthly\n",
    )
    .unwrap();
    let wanted = wants.join("k8s-certs-renew.timer");
    std::os::unix::fs::symlink("../k8s-certs-renew.timer", &wanted).unwrap();
    wanted
}

#[test]
fn another_renewer_is_left_to_it_until_somebody_takes_over() {
    let node = Node::due();
    let wanted = another_renewer(&node);
    let old = node.serial("apiserver");
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Waiting: k8s-certs-renew.timer calls kubeadm certs renew");
    // A hint that changes nothing: it is looked at again and said no second time.
    let touch = |name: &str| std::fs::write(node.path("/etc/kubernetes").join(name), "x").unwrap();
    touch("one");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(node.serial("apiserver"), old);
    let status = read_status(&node.root).unwrap();
    assert_eq!(status.state, State::Waiting);
    // It sleeps: it neither tries nor looks again and again.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(read_status(&node.root).unwrap().updated, status.updated);
    let tried = |messages: &[String]| messages.iter().any(|one| one.contains("Renewing"));
    assert!(!tried(daemon.notified()));
    assert!(
        status
            .problems
            .iter()
            .any(|problem| problem.contains("systemctl disable --now k8s-certs-renew.timer"))
    );
    std::fs::remove_file(wanted).unwrap();
    touch("two");
    wait_until("the renewal", || node.serial("apiserver") != old);
    let log = daemon.stop();
    assert_eq!(
        log.matches("WARN k8s-certs-renew.timer calls").count(),
        1,
        "{log}"
    );
}

#[test]
fn near_the_end_the_daemon_acts_whatever_another_renewer_promises() {
    let node = Node::new(
        SignedDuration::from_hours(24 * 360),
        SignedDuration::from_hours(24 * 5),
    );
    another_renewer(&node);
    let old = node.serial("apiserver");
    let daemon = Daemon::start(&node);
    wait_until("the renewal", || node.serial("apiserver") != old);
    let log = daemon.stop();
    assert!(log.contains("going on nevertheless, because"), "{log}");
}

#[test]
fn a_refusal_is_a_failure_in_the_status_and_ends_with_its_cause() {
    let node = Node::due();
    let marked = node.path("/etc/kubernetes/pki");
    let mark = |mark: &str| {
        std::process::Command::new("chattr")
            .arg(mark)
            .arg(&marked)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !mark("+i") {
        testkit::skipped("chattr +i needs root and a file system that has such marks");
        return;
    }
    let old = node.serial("admin.conf");
    let mut daemon = Daemon::start(&node);
    daemon.expect("STATUS=Not renewed: ");
    wait_until("the status", || {
        read_status(&node.root).is_ok_and(|status| status.state == State::Failing)
    });
    assert_eq!(node.run(&["status"]).status.code(), Some(1));
    let unchanged = node.serial("admin.conf") == old;
    assert!(mark("-i") && unchanged);
    // Marks come and go without an event; the next one, or a minute, brings the next look.
    std::fs::write(node.path("/etc/kubernetes/touched"), "x").unwrap();
    wait_until("the renewal", || node.serial("admin.conf") != old);
    daemon.stop();
}
