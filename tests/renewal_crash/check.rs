//! What has to hold after a fault, once the program was run again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use kubecertd::journal::{Outcome, Store};
use kubecertd::report::{History, Receipt};
use testkit::control_plane::PODS;
use testkit::injection::{End, Run};
use testkit::machine::Machine;

use crate::course::Course;

/// What is on the disk in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Old,
    New,
}

/// kubeadm's: seven pairs and four kubeconfigs.
const CERTIFICATES: usize = 11;

/// Recovers and looks at everything.
pub(crate) fn check(node: &Machine, course: &Course, run: &Run, place: &str) -> After {
    let context = |what: &str| format!("{place}: {what}\n{}", run.printed);
    assert!(!run.printed.contains("PRIVATE KEY"), "{place}");
    // At every other place before anything else the manifests, as the oneshot unit does.
    if place.len().is_multiple_of(2) {
        let returned = node.run(&["recover", "--manifests-only"]);
        assert!(returned.status.success(), "{}", context(&text(&returned)));
        let there = names(&node.root.join("/etc/kubernetes/manifests"));
        assert_eq!(there.len(), PODS.len(), "{}", context("manifests"));
    }
    let was_in_flight = is_in_flight(node);
    let recovered = node.run(&["recover"]);
    let said = text(&recovered);
    assert!(!said.contains("PRIVATE KEY"), "{place}");
    // What does not work is put back, and that is said.
    let may_fail = *course == Course::Undo && was_in_flight;
    assert!(
        recovered.status.success() || (may_fail && recovered.status.code() == Some(1)),
        "{}",
        context(&said)
    );
    assert!(!is_in_flight(node), "{}", context(&said));
    let renewed = files(node, place);
    let is_right = match (course, run.end) {
        (Course::Undo, _) => renewed == 0,
        (_, End::Overcame | End::Unharmed) => renewed == CERTIFICATES,
        // Such a run shows nothing and is tried again.
        (_, End::Beside) => false,
        (_, End::Killed) => [0, CERTIFICATES].contains(&renewed),
        // One that could not be read, or whose authority could not, is left out, and that is said.
        (_, End::Refused) => [0, CERTIFICATES - left_out(&run.printed)].contains(&renewed),
    };
    assert!(is_right, "{renewed}: {}", context(&said));
    let is_told = |component: &str| run.printed.contains(&format!("{component}: not restarted"));
    pods(node, &is_told, &context(&said));
    let receipts = history(node, &context(&said)).split_off(course.receipts_before());
    if run.end == End::Killed {
        told(&receipts, renewed, &context(&said));
    }
    if renewed > 0 { After::New } else { After::Old }
}

/// How many certificates are others. Each is wholly as before or wholly new; nothing is missing, left over, or open to more
/// people.
fn files(node: &Machine, place: &str) -> usize {
    let mut now = node.cluster();
    // The directory for manifests that are out may stay, empty, if it could not be removed.
    let is_empty = now
        .keys()
        .filter(|path| path.contains("/.kubecertd/"))
        .all(|path| path.ends_with("/RETURN-TO"));
    assert!(is_empty, "{place}: {:?}", now.keys());
    now.retain(|path, _| !path.contains("/.kubecertd"));
    assert!(
        now.keys().eq(node.before.keys()),
        "{place}: {:?}",
        now.keys()
    );
    let mut changed = BTreeSet::new();
    for (path, entry) in &now {
        let before = &node.before[path];
        let is_changed = entry.contents != before.contents;
        // Not readable by all, whatever the old one was; one that was put back by hand stays so.
        let has_key = path.ends_with(".key") || path.ends_with(".conf");
        let private = before.mode & 0o170_640;
        assert!(
            entry.owner == before.owner
                && ((has_key && entry.mode == private)
                    || (!(has_key && is_changed) && entry.mode == before.mode)),
            "{place}: {path}: {:o} became {:o}",
            before.mode,
            entry.mode
        );
        if is_changed {
            changed.insert(path);
        }
    }
    let renewed: BTreeSet<&str> = changed.iter().map(|path| stem(path)).collect();
    for path in now.keys().filter(|path| renewed.contains(stem(path))) {
        assert!(changed.contains(path), "{place}: half new: {changed:?}");
    }
    let is_kept = |path: &&str| path.contains("/manifests/") || path.ends_with("ca");
    assert!(!renewed.iter().any(is_kept), "{place}: {changed:?}");
    renewed.len()
}

/// The same for both files of a pair.
fn stem(path: &str) -> &str {
    let key = path.strip_suffix(".key");
    key.or_else(|| path.strip_suffix(".crt")).unwrap_or(path)
}

/// Each pod runs, and read when it started what is on the disk now, unless it was `told` that it did not.
fn pods(node: &Machine, told: &dyn Fn(&str) -> bool, place: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let down = node.control_plane.down();
        let mut stale = BTreeSet::new();
        for (component, read) in node.control_plane.read() {
            for (path, contents) in read {
                if !told(component) && fs::read(node.root.join(path)).unwrap() != contents {
                    stale.insert((component, path));
                }
            }
        }
        if down.is_empty() && stale.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{place}: down: {down:?}; with other files than those on the disk: {stale:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One receipt for what was begun and got anywhere.
fn told(receipts: &[Receipt], renewed: usize, place: &str) {
    let is_right = match receipts {
        [] => renewed == 0,
        [one] if renewed == 0 => matches!(one.outcome, Outcome::RolledBack(_)),
        [one] => one.outcome == Outcome::Done && one.certificates.len() == renewed,
        _ => false,
    };
    assert!(is_right, "{place}: {receipts:?}");
}

pub(crate) fn history(node: &Machine, place: &str) -> Vec<Receipt> {
    let history = History::new(&Store::new(&node.root));
    if let Err(error) = history.verify() {
        panic!("{place}: {error}");
    }
    history.receipts().unwrap()
}

pub(crate) fn is_in_flight(node: &Machine) -> bool {
    !names(&Store::new(&node.root).journal()).is_empty()
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

pub(crate) fn text(output: &Output) -> String {
    let printed = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&printed).into_owned()
}

/// How many certificates the command says that it did not renew. What several have in common is said once while it works, so
/// the last line counts.
fn left_out(printed: &str) -> usize {
    let counted = |line: &str| {
        let rest = line.strip_prefix("error: ").unwrap_or(line);
        let (number, rest) = rest.split_once(" certificate")?;
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        rest.starts_with(" not renewed: ")
            .then(|| number.parse().ok())?
    };
    printed
        .lines()
        .filter_map(counted)
        .next_back()
        .unwrap_or_else(|| printed.matches("not renewed: ").count())
}
