//! A power cut loses what was not flushed. Under `strace`, every step of an operation is seen to be on disk before the
//! next one that relies on it; and no file is born with more than mode 0600.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use kubecertd::journal::{Outcome, Record};
use testkit::files::{FILES, MANIFESTS, Plain, SMALL};

const TREE: &str = "KUBECERTD_TEST_FLUSHES";

/// Not a test of its own: what is traced.
#[test]
fn course_of_the_child() {
    let Some(tree) = std::env::var_os(TREE) else {
        return;
    };
    let node = Plain::at(Path::new(&tree), &SMALL);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("new")).unwrap();
    let manifest = node.path(MANIFESTS[0]);
    let pods = vec![("etcd".to_owned(), manifest.clone()).into()];
    operation.note(Record::RestartsPlanned { pods }).unwrap();
    operation.park(&manifest).unwrap();
    operation.return_manifest(&manifest).unwrap();
    operation.roll_back("test").unwrap();
    operation.finish(Outcome::Done, 3, u64::MAX).unwrap();
}

/// What the trace says about the disk.
#[derive(Default)]
struct Disk {
    /// Files and directories with changes that a power cut may lose.
    unflushed: BTreeSet<String>,
    /// The last record in the journal.
    step: String,
}

impl Disk {
    fn changed(&mut self, path: &str) {
        self.unflushed.insert(path.to_owned());
    }

    fn name_changed(&mut self, path: &str) {
        self.changed(Path::new(path).parent().unwrap().to_str().unwrap());
    }

    fn expect_flushed(&self, what: &str, concerns: impl Fn(&str) -> bool) {
        let lost: Vec<_> = self
            .unflushed
            .iter()
            .filter(|path| concerns(path))
            .collect();
        assert!(
            lost.is_empty(),
            "{what}, but a power cut would lose {lost:?}"
        );
    }
}

#[test]
fn each_step_is_on_disk_before_the_next_relies_on_it() {
    let node = Plain::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let traced = Command::new("strace")
        .args(["-f", "-y", "-qq", "-s", "4096", "-o"])
        .arg(log.path())
        .args([
            "-e",
            "trace=openat,mkdirat,write,pwrite64,fsync,fdatasync,fchmod,renameat,renameat2,unlinkat",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "course_of_the_child"])
        .env(TREE, node.root.directory())
        .stdout(Stdio::null())
        .status();
    match traced {
        Ok(status) if status.success() => {}
        other => {
            testkit::skipped(&format!("no strace that may trace here: {other:?}"));
            return;
        }
    }
    let text =
        testkit::strace_lines::with_whole_paths(&std::fs::read_to_string(log.path()).unwrap());
    let root = node.root.directory().to_str().unwrap().to_owned();
    let mut disk = Disk::default();
    let mut checks = 0;
    let mut renamed = Vec::new();
    for line in text.lines() {
        let Some((call, rest)) = line
            .split_once(' ')
            .and_then(|(_, line)| line.trim_start().split_once('('))
        else {
            continue;
        };
        if !rest.contains(&root) {
            continue;
        }
        match call {
            "openat" if rest.contains("O_CREAT") => {
                assert!(rest.contains(", 0600)"), "born with another mode: {line}");
                let path = quoted(rest)[0];
                disk.changed(path);
                disk.name_changed(path);
            }
            "mkdirat" => {
                let path = quoted(rest)[0];
                if path.contains("/kubecertd") || path.contains("/.kubecertd") {
                    assert!(rest.contains(", 0700)"), "{line}");
                }
                if rest.contains(") = 0") {
                    disk.name_changed(path);
                }
            }
            "write" => disk.changed(descriptor(rest)),
            "pwrite64" => {
                disk.step = step(rest);
                checks += check_record(&disk, &root);
                disk.changed(descriptor(rest));
            }
            "fsync" | "fdatasync" => {
                disk.unflushed.remove(descriptor(rest));
            }
            "fchmod" => disk.changed(descriptor(rest)),
            "renameat" | "renameat2" => {
                let [from, to] = quoted(rest)[..] else {
                    panic!("{line}");
                };
                checks += check_rename(&disk, from, to);
                if disk.step == "committing" && !to.contains("/backups/") {
                    renamed.push(to.trim_start_matches(&root).to_owned());
                }
                disk.name_changed(from);
                disk.name_changed(to);
                disk.unflushed.remove(from);
            }
            "unlinkat" if rest.contains(") = 0") => {
                let path = quoted(rest)[0];
                disk.unflushed.remove(path);
                disk.name_changed(path);
            }
            _ => {}
        }
    }
    println!("{checks} orders checked");
    // Each key directly before its certificate: a component that reloads in between keeps the old pair.
    assert_eq!(renamed, FILES.map(|(_, path, _)| path));
    assert!(checks > 2 * FILES.len());
}

/// A handshake of etcd reads key and certificate anew and fails between the two renames of a pair: nothing else is done there.
#[test]
fn nothing_is_done_between_the_renames_of_a_pair() {
    let node = Plain::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let traced = Command::new("strace")
        .args(["-f", "-ttt", "-y", "-qq", "-s", "4096", "-o"])
        .arg(log.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "course_of_the_child"])
        .env(TREE, node.root.directory())
        .stdout(Stdio::null())
        .status();
    if !traced.as_ref().is_ok_and(std::process::ExitStatus::success) {
        testkit::skipped(&format!("no strace that may trace here: {traced:?}"));
        return;
    }
    let text = std::fs::read_to_string(log.path()).unwrap();
    let first = text
        .lines()
        .find(|line| is_of_pair(line))
        .and_then(|line| line.split_whitespace().next())
        .unwrap();
    // Of the thread that renames: process, time, call.
    let calls: Vec<(f64, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(first)?.trim_start().split_once(' '))
        .map(|(at, call)| (at.parse().unwrap(), call))
        .collect();
    let mut pairs = Vec::new();
    for (place, (at, call)) in calls.iter().enumerate() {
        if is_of_pair(call) && call.contains(".key") {
            let (then, next) = calls[place + 1];
            assert!(is_of_pair(next), "after {call} comes {next}");
            pairs.push((then - at) * 1e6);
        }
    }
    println!("microseconds between the renames of a pair: {pairs:.0?}");
    // Each pair goes in, and those that replaced one come back.
    let keys = FILES.iter().filter(|(_, path, _)| path.ends_with(".key"));
    let back = SMALL.files.len() - SMALL.missing.len();
    assert_eq!(pairs.len(), keys.count() + back / 2);
}

/// Whether a call puts a certificate or its key in place.
fn is_of_pair(call: &str) -> bool {
    call.contains("renameat(") && call.contains("/pki") && !call.contains("/backups")
}

/// What must be on disk before a record is written.
fn check_record(disk: &Disk, root: &str) -> usize {
    let is_cluster = |path: &str| path.starts_with(&format!("{root}/etc/"));
    match disk.step.as_str() {
        "committing" => disk.expect_flushed("the commit point is written", |path| {
            is_cluster(path) || path.contains("/backups")
        }),
        "parking" => disk.expect_flushed("a manifest goes out", |path| path.contains("/backups")),
        "committed" | "returned" | "rolled-back" => {
            disk.expect_flushed(&format!("{} is written", disk.step), |path| {
                is_cluster(path) && !path.ends_with("/.kubecertd")
            });
        }
        _ => return 0,
    }
    1
}

/// What must be on disk before a file of the cluster gets another name.
fn check_rename(disk: &Disk, from: &str, to: &str) -> usize {
    disk.expect_flushed(&format!("{to} is replaced"), |path| path == from);
    if to.contains("/backups/") || to.contains("RETURN-TO") {
        return 1;
    }
    disk.expect_flushed(&format!("{to} is replaced"), |path| {
        path.contains("/journal")
    });
    let expected = match (
        to.contains("/pki/") || to.ends_with(".conf"),
        to.contains("/.kubecertd/"),
    ) {
        (true, _) if from.ends_with("-old") => "rolling-back",
        (true, _) => "committing",
        (false, true) => "parking",
        (false, false) => "returning",
    };
    assert_eq!(disk.step, expected, "{from} became {to}");
    1
}

/// The quoted strings of a call.
fn quoted(rest: &str) -> Vec<&str> {
    rest.split('"').skip(1).step_by(2).collect()
}

/// The path of the descriptor that is the first argument.
fn descriptor(rest: &str) -> &str {
    let start = rest.find('<').unwrap() + 1;
    &rest[start..start + rest[start..].find('>').unwrap()]
}

/// The kind of a journal record, whose quotes are escaped.
fn step(rest: &str) -> String {
    let start = rest.find(r#"\"step\":\""#).unwrap() + r#"\"step\":\""#.len();
    rest[start..].split('\\').next().unwrap().to_owned()
}
