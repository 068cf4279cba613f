//! Symbolic links as files of an operation: all or none with the others, backed up, put back.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kubecertd::files::recover;
use kubecertd::issuer::Replacement;
use kubecertd::journal::{Outcome, Record};
use testkit::files::{Plain, SMALL};

const TREE: &str = "KUBECERTD_TEST_LINKS";
const LINK: &str = "/etc/kubernetes/pki/current.pem";
const NEW: &str = "/etc/kubernetes/pki/2.pem";
const OLD: &str = "/etc/kubernetes/pki/1.pem";

/// A new file and the link to it.
fn replacements(node: &Plain) -> Vec<Replacement> {
    vec![
        node.replacement("client", NEW, "new", 0o600),
        Replacement::link("client".into(), node.path(LINK), Path::new(NEW)),
    ]
}

/// A name, and what makes it.
type Making = (&'static str, fn(&Path));

/// What is there before: a link, a file, or nothing.
fn before() -> [Making; 3] {
    [
        ("link", |path| symlink(OLD, path).unwrap()),
        ("file", |path| std::fs::write(path, "a file").unwrap()),
        ("nothing", |_| {}),
    ]
}

#[derive(Debug, PartialEq)]
enum Is {
    Link(PathBuf),
    File(String),
    Nothing,
}

fn what_is(path: &Path) -> Is {
    match (std::fs::read_link(path), std::fs::read_to_string(path)) {
        (Ok(target), _) => Is::Link(target),
        (_, Ok(text)) => Is::File(text),
        _ => Is::Nothing,
    }
}

#[test]
fn the_link_itself_is_replaced_and_put_back() {
    for (name, make) in before() {
        let node = Plain::new();
        node.write(OLD, "old", 0o600);
        make(&node.path(LINK));
        let was = what_is(&node.path(LINK));
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        operation.install(replacements(&node)).unwrap();
        assert_eq!(what_is(&node.path(LINK)), Is::Link(NEW.into()), "{name}");
        assert_eq!(node.read(OLD), "old", "{name}: what it led to is untouched");
        operation.roll_back("test").unwrap();
        assert_eq!(what_is(&node.path(LINK)), was, "{name}");
        assert_eq!(what_is(&node.path(NEW)), Is::Nothing, "{name}");
        operation
            .finish(Outcome::Failed("test".into()), 10, 1 << 20)
            .unwrap();
        assert_eq!(
            node.names(&node.path("/etc/kubernetes/pki"))
                .iter()
                .filter(|name| name.starts_with('.'))
                .count(),
            0
        );
    }
}

#[test]
fn a_cut_off_rollback_and_a_cut_off_installation_are_finished() {
    for (name, make) in before() {
        let node = Plain::new();
        make(&node.path(LINK));
        let was = what_is(&node.path(LINK));
        {
            let lock = node.lock();
            let mut operation = node.begin(&lock);
            operation.install(replacements(&node)).unwrap();
            // Dropped without its end, as by a crash: the journal says that all is in place.
        }
        assert_eq!(node.recover().len(), 1, "{name}");
        assert_eq!(what_is(&node.path(LINK)), Is::Link(NEW.into()), "{name}");
        let lock = node.lock();
        let mut operation = node.begin(&lock);
        // The next one fails half-way: its second file cannot be staged.
        let mut bad = vec![Replacement::link(
            "client".into(),
            node.path(LINK),
            Path::new(OLD),
        )];
        bad.push(node.replacement("other", "/etc/kubernetes/none/x", "x", 0o600));
        operation.install(bad).unwrap_err();
        assert_eq!(what_is(&node.path(LINK)), Is::Link(NEW.into()), "{name}");
        operation
            .finish(Outcome::Failed("test".into()), 10, 1 << 20)
            .unwrap();
        assert_ne!(was, Is::Link(NEW.into()));
    }
}

/// Not a test of its own: what is traced.
#[test]
fn course_of_the_child() {
    let Some(tree) = std::env::var_os(TREE) else {
        return;
    };
    let node = Plain::at(Path::new(&tree), &SMALL);
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(replacements(&node)).unwrap();
    operation.roll_back("test").unwrap();
}

#[test]
fn a_link_never_leads_nowhere_on_its_way_back() {
    let node = Plain::new();
    node.write(OLD, "old", 0o600);
    symlink(OLD, node.path(LINK)).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let traced = Command::new("strace")
        .args(["-f", "-y", "-qq", "-s", "4096", "-o"])
        .arg(log.path())
        .args(["-e", "trace=rename,renameat,renameat2,unlink,unlinkat"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "links::course_of_the_child"])
        .env(TREE, node.root.directory())
        .stdout(Stdio::null())
        .status();
    let Ok(traced) = traced else {
        testkit::skipped("no strace");
        return;
    };
    assert!(traced.success());
    let calls =
        testkit::strace_lines::with_whole_paths(&std::fs::read_to_string(log.path()).unwrap());
    let last = |call: &str, path: &str| {
        let path = format!("\"{}\"", node.path(path).display());
        let lines: Vec<&str> = calls.lines().collect();
        lines
            .iter()
            .rposition(|line| line.contains(call) && line.contains(&path))
            .unwrap_or_else(|| panic!("no {call} of {path} in {calls}"))
    };
    assert!(last("rename", LINK) < last("unlink", NEW), "{calls}");
}

#[test]
fn somebody_elses_link_is_left_alone() {
    let node = Plain::new();
    symlink(OLD, node.path(LINK)).unwrap();
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(replacements(&node)).unwrap();
    std::fs::remove_file(node.path(LINK)).unwrap();
    symlink("/elsewhere", node.path(LINK)).unwrap();
    operation.roll_back("test").unwrap_err();
    assert_eq!(what_is(&node.path(LINK)), Is::Link("/elsewhere".into()));
}

#[test]
fn recovery_learns_that_expired_certificates_had_stopped_the_node() {
    for stopped in [false, true] {
        let node = Plain::new();
        let lock = node.lock();
        {
            let mut operation = node.begin(&lock);
            if stopped {
                operation.note(Record::NodeDown).unwrap();
            }
            operation.install(replacements(&node)).unwrap();
        }
        let recovered = recover(&node.store, &lock).unwrap();
        assert_eq!(recovered.len(), 1);
        assert_eq!(recovered[0].node_down, stopped);
    }
}
