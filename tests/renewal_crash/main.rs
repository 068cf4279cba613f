//! The program itself, killed at every system call that changes a file, or refused by the file system, on a node that runs:
//! it renews eleven certificates and restarts four pods, puts them back by hand, or puts back what did not work; and what
//! restarts no pod.
//!
//! For each point a node of its own: a root file system with the program, a kubelet, a container runtime and listeners that
//! serve what was on the disk when their pod started. After the fault `kubecertd recover` is run, and everything is looked at
//! from outside. `tests/transaction_crash` does the same with the transaction alone, in less time and with more points.
//!
//! `KUBECERTD_TEST_EVERY_POINT=1 cargo test --test renewal_crash -- --nocapture` tries them all, which takes an hour;
//! without it, as many as take a minute, evenly spread.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod apart;
mod check;
mod course;
mod sweep;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::injection::{Point, has_strace, some};
use testkit::machine::Machine;
use testkit::skipped;

use course::Course;
use sweep::{Field, sweep};

/// Nodes, if there can be any here.
fn field() -> Option<Arc<Field>> {
    for needed in [&["chroot", "/", "true"][..], &["strip", "--version"]] {
        let ran = Command::new(needed[0]).args(&needed[1..]).output();
        if !ran.is_ok_and(|ran| ran.status.success()) {
            skipped(&format!("`{}` does not work here", needed.join(" ")));
            return None;
        }
    }
    has_strace().then(Field::shared)
}

#[test]
fn killed_before_any_call_nothing_is_lost() {
    let Some(field) = field() else { return };
    let tried = killed(&field, &Course::Renew, 24)
        + killed(&field, &Course::PutBack, 10)
        + killed(&field, &Course::Undo, 6);
    println!("points at which the program was killed and all survived: {tried}");
}

/// What the kubelet, CAs and certificates that are not kubeadm's have of their own in the journal.
#[test]
fn killed_in_an_operation_that_restarts_no_pod_nothing_is_lost() {
    let Some(field) = field() else { return };
    let mut tried = 0;
    for course in [Course::Repair, Course::Extend, Course::Described] {
        tried += killed(&field, &course, 8);
        for error in ["ENOSPC", "EIO", "EROFS"] {
            tried += refused(&field, &course, error, 2);
        }
    }
    println!("points at which such an operation was killed or refused: {tried}");
}

#[test]
fn what_the_file_system_refuses_is_got_over_undone_or_recovered() {
    let Some(field) = field() else { return };
    let mut tried = 0;
    for error in ["ENOSPC", "EIO", "EROFS"] {
        tried += refused(&field, &Course::Renew, error, 8);
        tried += refused(&field, &Course::PutBack, error, 3);
        tried += refused(&field, &Course::Undo, error, 2);
    }
    println!("calls of the program that failed and all survived: {tried}");
}

/// Killed among the renames, with manifests out and between restarts; then once more while that is being recovered.
#[test]
fn killed_while_recovering_nothing_is_lost() {
    let Some(field) = field() else { return };
    let all = changing(&field.points(&Course::Renew));
    let mut tried = 0;
    for sixth in [3, 5, 6] {
        let first = all[all.len() * sixth / 6 - 4].clone();
        tried += killed(&field, &Course::Recover(first), 4);
    }
    println!("points at which a recovery was killed and all survived: {tried}");
}

#[test]
fn a_lost_terminal_leaves_no_manifest_out() {
    let Some(field) = field() else { return };
    let node = field.node(&Course::Undo);
    assert!(loses_its_terminal(&node, ""), "it went on");
}

/// As nohup(1) and shells do it.
#[test]
fn a_command_outlives_its_terminal_if_it_was_told_to() {
    let Some(field) = field() else { return };
    let node = field.node(&Course::Undo);
    // What proc(5) would say.
    let status = node.root.join("/proc/self/status");
    std::fs::create_dir_all(status.parent().unwrap()).unwrap();
    std::fs::write(status, "SigIgn:\t0000000000000001\n").unwrap();
    assert!(!loses_its_terminal(&node, "trap '' HUP;"), "it stopped");
}

/// While its API server does not get well, so that others are out. Whether it stopped in mid-operation; either way it has failed
/// and no manifest is out.
fn loses_its_terminal(node: &Machine, prepare: &str) -> bool {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{prepare} exec \"$0\" \"$@\"")])
        .args(node.command(&["renew", "all"]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let scheduler = node
        .root
        .join("/etc/kubernetes/manifests/kube-scheduler.yaml");
    while scheduler.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGHUP).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{status:?}");
    for manifest in node
        .before
        .keys()
        .filter(|path| path.contains("/manifests/"))
    {
        assert!(node.root.join(manifest).exists(), "{manifest} is out");
    }
    let store = kubecertd::journal::Store::new(&node.root);
    !store.in_flight().unwrap().is_empty()
}

/// Promises 1 and 2: whatever was being done when it was killed, everything is old or new, every pod runs and uses what is on
/// the disk, and the history says so.
fn killed(field: &Field, course: &Course, bound: usize) -> usize {
    let reference = field.points(course);
    let points = changing(&reference);
    let all = points.len();
    let chosen = some(points, bound);
    let tally = sweep(field, course, "signal=SIGKILL", &chosen, &reference);
    println!(
        "{course:?}: killed at {} of {all} calls that change a file, all survived; {} ended with the new files; {} not met",
        tally.hit,
        tally.new,
        tally.missed.len()
    );
    tally.expect_most();
    match course {
        Course::Renew | Course::PutBack => {
            assert!(all > 200, "too few calls are seen");
            assert!(tally.new > 0 && tally.new < tally.hit);
        }
        Course::Undo => assert_eq!(tally.new, 0),
        Course::Recover(_) => {}
        Course::Repair | Course::Extend | Course::Described => {
            assert!(all > 50, "too few calls are seen");
            assert!(tally.new > 0 && tally.new < tally.hit);
        }
    }
    tally.hit
}

/// Promise 10: what the file system refuses is got over, undone or finished by recovery, and the exit code says which.
fn refused(field: &Field, course: &Course, error: &str, bound: usize) -> usize {
    let points = field.points(course);
    let all = points.len();
    let chosen = some(points.clone(), bound);
    let fault = format!("error={error}");
    let tally = sweep(field, course, &fault, &chosen, &points);
    println!(
        "{course:?}: {error} from {} of {all} calls, all survived: {:?}; {} not met",
        tally.hit,
        tally.ends,
        tally.missed.len()
    );
    tally.expect_most();
    tally.hit
}

fn changing(points: &[Point]) -> Vec<Point> {
    points
        .iter()
        .filter(|point| point.changes)
        .cloned()
        .collect()
}
