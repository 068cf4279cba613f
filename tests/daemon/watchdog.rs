//! Signs of life for systemd's watchdog.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::Node;
use testkit::daemon::Daemon;
use testkit::injection::has_strace;

#[test]
fn the_watchdog_gets_its_signs_in_time_whatever_else_happens() {
    let node = Node::fresh();
    let mut daemon = Daemon::start_with(&node, Duration::from_secs(8));
    daemon.expect("WATCHDOG=1");
    for round in 0..2 {
        let last = Instant::now();
        // A look at the node in the middle of the pause.
        std::thread::sleep(Duration::from_millis(200));
        std::fs::write(node.path("/etc/kubernetes/touched"), round.to_string()).unwrap();
        daemon.expect("WATCHDOG=1");
        let pause = last.elapsed();
        assert!(pause < Duration::from_secs(5), "{pause:?}");
    }
    daemon.stop();
}

/// How often a process has slept since its start, all threads together.
fn sleeps(process: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap())
        .map(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse::<u64>().unwrap()
        })
        .sum()
}

#[test]
fn a_sign_of_life_costs_one_waking() {
    let node = Node::fresh();
    let mut daemon = Daemon::start_with(&node, Duration::from_secs(12));
    let mut pulse = || {
        daemon.expect("WATCHDOG=1");
        std::thread::sleep(Duration::from_millis(300)); // until it sleeps again
        sleeps(daemon.id())
    };
    pulse(); // the first start makes the state directory, which is a change
    let before = pulse();
    let woken = pulse() - before;
    assert!(woken <= 2, "{woken}");
    daemon.stop();
}

/// The kubelet lists and reads its manifests every 20 s, and much of /etc is opened all the time.
#[test]
fn reading_what_is_watched_wakes_nobody() {
    let node = Node::fresh();
    let mut daemon = Daemon::start_with(&node, Duration::from_secs(3600));
    daemon.expect("STATUS=Next: ");
    // The first start makes the state directory, which is a change.
    std::thread::sleep(Duration::from_secs(4));
    let before = sleeps(daemon.id());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        for directory in ["/etc", "/var/lib/kubelet"] {
            testkit::contents(&node.path(directory));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let woken = sleeps(daemon.id()) - before;
    assert!(woken <= 2, "woken {woken} times");
    daemon.stop();
}

/// The daemon where `call` takes three seconds longer at `path`, as on a disk that hardly answers. Each such call is in `log`.
fn start_slowed(node: &Node, call: &str, path: &Path, log: &Path) -> Daemon {
    let program = node.command();
    let mut command = Command::new("strace");
    command
        // The program keeps its process id, and strace its silence.
        .args(["-D", "-f", "-qqq", "-o"])
        .arg(log)
        .arg("-P")
        .arg(path)
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:delay_enter=3s")])
        .arg(program.get_program())
        .args(program.get_args())
        .arg("run");
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    Daemon::spawn(command, Duration::from_secs(2))
}

#[test]
fn the_watchdog_gets_its_signs_while_the_disk_hardly_answers() {
    if !has_strace() {
        return;
    }
    for (call, path) in [
        // A look at the node, the status file, and the tidying of backups.
        ("getdents64", "/etc/kubernetes/pki"),
        ("fsync", "/run/kubecertd"),
        ("getdents64", "/var/lib/kubecertd/backups"),
    ] {
        let node = Node::fresh();
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut daemon = start_slowed(&node, call, &node.path(path), log.path());
        let begun = Instant::now();
        let mut last = begun;
        let mut longest = Duration::ZERO;
        while begun.elapsed() < Duration::from_secs(8) {
            daemon.expect("WATCHDOG=1");
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        drop(daemon);
        let log = std::fs::read_to_string(log.path()).unwrap();
        assert!(log.contains("DELAYED"), "{path}: not slow: {log}");
        assert!(longest < Duration::from_secs(2), "{path}: {longest:?}");
    }
}

/// A tenth of one processor for a process, until this is dropped; nothing where cgroups cannot be made.
#[derive(Default)]
struct Tenth(Option<std::path::PathBuf>);

impl Tenth {
    fn limit(&mut self, process: u32) {
        let name = format!("kubecertd-test-{process}");
        let tries: [(&str, &[(&str, &str)]); 2] = [
            (
                "/sys/fs/cgroup/cpu",
                &[
                    ("cpu.cfs_period_us", "100000"),
                    ("cpu.cfs_quota_us", "10000"),
                ],
            ),
            ("/sys/fs/cgroup", &[("cpu.max", "10000 100000")]),
        ];
        for (parent, settings) in tries {
            let group = std::path::Path::new(parent).join(&name);
            if std::fs::create_dir(&group).is_err() {
                continue;
            }
            let limited = settings
                .iter()
                .chain(&[("cgroup.procs", process.to_string().as_str())])
                .all(|(file, value)| std::fs::write(group.join(file), value).is_ok());
            if limited {
                self.0 = Some(group);
                return;
            }
            let _ = std::fs::remove_dir(group);
        }
    }
}

impl Drop for Tenth {
    fn drop(&mut self) {
        // The process has ended by now; the kernel may need a moment to see that.
        for _ in 0..50 {
            match &self.0 {
                Some(group) if std::fs::remove_dir(group).is_err() => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => return,
            }
        }
    }
}

#[test]
fn the_watchdog_gets_its_signs_while_keys_are_made_on_atenth_of_a_processor() {
    let node = Node::fresh();
    // Only one is due, and its key takes long.
    let due = Node::due();
    let (certificate, key) = node.pair("front-proxy-client");
    for (name, mine) in [
        ("front-proxy-client", (&certificate, &key)),
        (
            "front-proxy-ca",
            (
                &node.pki_path("front-proxy-ca.crt"),
                &node.pki_path("front-proxy-ca.key"),
            ),
        ),
    ] {
        let theirs = due.pair(name);
        std::fs::copy(theirs.0, mine.0).unwrap();
        std::fs::copy(theirs.1, mine.1).unwrap();
    }
    node.configure("[renewal]\nkey-algorithm = \"RSA-4096\"\n");
    let old = node.serial("front-proxy-client");
    let watchdog = Duration::from_secs(2);
    // Outlives the daemon, so that its group is empty when it is removed.
    let mut tenth = Tenth::default();
    let mut daemon = Daemon::start_with(&node, watchdog);
    daemon.expect("READY=1");
    tenth.limit(daemon.id());
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    while node.serial("front-proxy-client") == old {
        assert!(begun.elapsed() < Duration::from_secs(240), "not renewed");
        daemon.expect("WATCHDOG=1");
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    println!(
        "renewed after {:.1} s (limited to a tenth: {}); the longest pause between two signs: {:.2} s",
        begun.elapsed().as_secs_f64(),
        tenth.0.is_some(),
        longest.as_secs_f64()
    );
    assert!(longest < watchdog, "{longest:?}");
    daemon.stop();
}
