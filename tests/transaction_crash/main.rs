//! Killed at every system call that changes a file, or refused by the file system: nothing is lost.
//!
//! A child (this binary, told by an environment variable) renews eleven certificates and takes four manifests out and
//! back under `strace`, which kills it before one of its calls, or makes that call fail: once for every call. Then this
//! process recovers the tree and looks at every file.
//!
//! `KUBECERTD_TEST_EVERY_POINT=1 cargo test --test transaction_crash -- --nocapture` tries them all, which takes a
//! quarter of an hour; without it, as many as take a minute, evenly spread.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod course;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use kubecertd::files::return_parked;
use kubecertd::journal::Outcome;
use kubecertd::report::History;
use testkit::files::Plain;
use testkit::injection::{DONE, End, Point, Run, Traced, has_strace, some};
use testkit::tree::Entry;

use course::{Course, WHOLE, component};

/// What the child does, and where.
const COURSE: &str = "KUBECERTD_TEST_COURSE";
const TREE: &str = "KUBECERTD_TEST_TREE";

/// The test harness opens files and writes as well, in its own thread, and the helpers of an operation flush; strace counts
/// for each thread, so the child makes more such calls first than any of them ever does.
const CALLS_OF_OTHERS: usize = 512;

/// The child's exit code when something could not be done.
const REFUSED: i32 = 3;

type Cluster = BTreeMap<String, Entry>;

/// The cluster as it is, and as it is with the new files.
static BEFORE_AND_AFTER: LazyLock<[Cluster; 2]> = LazyLock::new(|| {
    let node = Plain::fleeting(&WHOLE);
    [node.cluster(), node.cluster_with("new")]
});

/// Not a test of its own: what the others run as a child.
#[test]
fn course_of_the_child() {
    let (Ok(course), Some(tree)) = (std::env::var(COURSE), std::env::var_os(TREE)) else {
        return;
    };
    let course = Course::ALL
        .into_iter()
        .find(|known| known.name() == course)
        .unwrap();
    for _ in 0..CALLS_OF_OTHERS {
        let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null");
        let mut nowhere = nowhere.unwrap();
        nowhere.write_all(b"x").unwrap();
        assert!(
            nowhere.sync_all().is_err(),
            "nothing is to be flushed there"
        );
    }
    let code = match course.take(&Plain::at(Path::new(&tree), &WHOLE)) {
        Ok(()) => DONE,
        Err(error) => {
            // As the daemon would: said so, and left to recovery.
            eprintln!("{error}");
            REFUSED
        }
    };
    std::process::exit(code);
}

fn traced(node: &Plain, course: Course) -> Traced {
    Traced {
        command: child_arguments().iter().map(Into::into).collect(),
        environment: vec![
            (COURSE, course.name().into()),
            (TREE, node.root.directory().into()),
        ],
        refused: &[REFUSED],
        has_threads: true,
    }
}

fn child_arguments() -> Vec<String> {
    let binary = std::env::current_exe().unwrap();
    let mut arguments = vec![binary.to_str().unwrap().to_owned()];
    // With one thread for tests that is the process's first.
    let options = [
        "--exact",
        "course_of_the_child",
        "--nocapture",
        "--test-threads=1",
    ];
    arguments.extend(options.map(str::to_owned));
    arguments
}

/// Every point of a course from that state on.
fn points(course: Course, prepared: &Plain) -> Vec<Point> {
    traced(&prepared.copy(), course).points()
}

/// Runs a course with `fault` at exactly that point.
fn run(node: &Plain, course: Course, point: &Point, fault: &str) -> End {
    let Run { end, hit, printed } = traced(node, course).run(point, fault);
    let is_hit = hit.as_ref().is_some_and(|hit| hit.is_same(point));
    assert!(
        is_hit,
        "{point:?} was to be hit, not {hit:?}, {end:?}: {printed}"
    );
    end
}

/// Every one of these faults, each on a tree of its own; how often which end was reached.
fn sweep(
    course: Course,
    fault: &str,
    points: &[Point],
    prepared: &Plain,
    check: impl Fn(&Plain, End, &str),
) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for point in points {
        let node = prepared.copy();
        let end = run(&node, course, point, fault);
        let Point { call, nth, .. } = point;
        check(
            &node,
            end,
            &format!("{course:?}: {fault} at {call} {nth}: {end:?}"),
        );
        *ends.entry(format!("{end:?}")).or_default() += 1;
    }
    ends
}

/// Components that the journal says are to be restarted and are not yet; read without the code under test.
fn restarts_owed(node: &Plain) -> BTreeSet<String> {
    let mut owed = BTreeSet::new();
    for name in node.names(&node.store.journal()) {
        let text = std::fs::read_to_string(node.store.journal().join(name)).unwrap();
        for line in text.lines() {
            if line.contains(r#""step":"restarts-planned""#) {
                owed = (0..WHOLE.manifests.len()).map(component).collect();
            } else if line.contains(r#""step":"restarted""#) {
                owed.retain(|component| !line.contains(&format!("\"{component}\"")));
            }
        }
    }
    owed
}

/// Promises 1 and 2: recovered, everything is wholly old or wholly new, nothing is left over, and life goes on.
fn check_recovered(node: &Plain, place: &str) -> bool {
    let [before, after] = &*BEFORE_AND_AFTER;
    let owed = restarts_owed(node);
    let recovered = node.recover();
    let now = node.cluster();
    let is_new = now == *after;
    if !is_new && now != *before {
        for (path, entry) in &now {
            if before.get(path) != Some(entry) && after.get(path) != Some(entry) {
                eprintln!("neither: {path} {entry:?}");
            }
        }
        panic!("{place}: neither all old nor all new: {now:#?}");
    }
    if let [(forward, restarts_left)] = &recovered[..] {
        // Without files there is nothing to go back to.
        let expected = is_new || place.starts_with("GiveUp");
        assert_eq!(*forward, expected, "{place}: recovery says otherwise");
        if is_new {
            let left: BTreeSet<String> = restarts_left.iter().cloned().collect();
            assert_eq!(left, owed, "{place}: a restart is lost or doubled");
        }
    }
    assert!(node.names(&node.store.journal()).is_empty(), "{place}");
    let mut state = node.names(node.store.directory());
    state.retain(|name| !name.starts_with("history."));
    assert_eq!(state, ["backups", "holder", "journal"], "{place}");
    if let Err(error) = History::new(&node.store).verify() {
        panic!("{place}: {error}");
    }
    for generation in node.names(&node.store.backups()) {
        let index = node.store.backups().join(generation).join("index.json");
        assert!(index.exists(), "{place}: half a backup is left");
    }
    let lock = node.lock();
    let mut operation = node.begin(&lock);
    operation.install(node.replacements("newer")).unwrap();
    operation.finish(Outcome::Done, 3, u64::MAX).unwrap();
    is_new
}

/// The directory for parked manifests may stay behind, empty, if the error was met when it was to be removed: that is
/// logged, and no harm.
fn without_empty_parking(mut cluster: Cluster) -> Cluster {
    if cluster
        .keys()
        .filter(|path| path.contains("/.kubecertd/"))
        .all(|path| path.ends_with("/RETURN-TO"))
    {
        cluster.retain(|path, _| !path.contains("/.kubecertd"));
    }
    cluster
}

fn remove_empty_parking(node: &Plain) {
    let parking = node.path("/etc/kubernetes/.kubecertd");
    if node.names(&node.store.journal()).is_empty() && parking.exists() {
        assert!(node.names(&parking).iter().all(|name| name == "RETURN-TO"));
        std::fs::remove_dir_all(parking).unwrap();
    }
}

#[test]
fn killed_before_any_call_everything_is_old_or_new() {
    if !has_strace() {
        return;
    }
    let prepared = Plain::fleeting(&WHOLE);
    let mut survived = 0;
    for course in [Course::Renew, Course::RollBack, Course::GiveUp] {
        let mut points = points(course, &prepared);
        points.retain(|point| point.changes);
        let all = points.len();
        let points = some(points, 60);
        let news = Cell::new(0);
        let oneshot = Cell::new(false);
        let ends = sweep(
            course,
            "signal=SIGKILL",
            &points,
            &prepared,
            |node, end, place| {
                assert_eq!(end, End::Killed, "{place}");
                // At every other point without the lock and before anything else, as the oneshot unit does: the manifests.
                oneshot.set(!oneshot.get());
                if oneshot.get() {
                    let directory = node.path("/etc/kubernetes/manifests");
                    return_parked(&node.store, None, std::slice::from_ref(&directory)).unwrap();
                    assert_eq!(
                        node.names(&directory).len(),
                        WHOLE.manifests.len(),
                        "{place}"
                    );
                }
                if check_recovered(node, place) {
                    news.set(news.get() + 1);
                }
            },
        );
        println!(
            "{course:?}: killed at {} of {all} calls that change a file, all survived; {} ended with the new files",
            ends["Killed"],
            news.get()
        );
        if course == Course::GiveUp {
            assert_eq!(news.get(), 0);
        } else {
            assert!(all > 250, "too few calls are seen");
            assert!(news.get() > 0 && news.get() < ends["Killed"]);
        }
        survived += ends["Killed"];
    }
    println!("crash points tried and survived: {survived}");
}

#[test]
fn an_error_of_the_file_system_is_undone_or_recovered() {
    if !has_strace() {
        return;
    }
    let prepared = Plain::fleeting(&WHOLE);
    let [before, after] = &*BEFORE_AND_AFTER;
    let mut survived = 0;
    for course in [Course::Renew, Course::RollBack, Course::GiveUp] {
        let points = points(course, &prepared);
        let all = points.len();
        for error in ["ENOSPC", "EIO", "EROFS"] {
            let fault = format!("error={error}");
            let points = some(points.clone(), 15);
            let ends = sweep(course, &fault, &points, &prepared, |node, end, place| {
                let is_left_over = !node.names(&node.store.journal()).is_empty();
                let now = without_empty_parking(node.cluster());
                let expected = if course == Course::Renew {
                    after
                } else {
                    before
                };
                match end {
                    End::Unharmed | End::Beside => panic!("{place}"),
                    End::Overcame => assert!(now == *expected, "{place}: {now:#?}"),
                    End::Refused if !is_left_over => {
                        assert!(now == *before || now == *after, "{place}: {now:#?}");
                    }
                    // Killed cannot be; refused with a journal is recovery's.
                    End::Refused | End::Killed => {}
                }
                remove_empty_parking(node);
                check_recovered(node, place);
            });
            println!(
                "{course:?}: {error} from {} of {all} calls, all survived: {ends:?}",
                points.len()
            );
            survived += points.len();
        }
    }
    println!("refused calls tried and survived: {survived}");
}

#[test]
fn killed_while_recovering() {
    if !has_strace() {
        return;
    }
    let prepared = Plain::fleeting(&WHOLE);
    let mut survived = 0;
    for course in [Course::Renew, Course::RollBack] {
        let mut all = points(course, &prepared);
        all.retain(|point| point.changes);
        // Among the renames of the commit, with manifests out, and in the middle of the rollback.
        let firsts = (1..=6).map(|sixth| &all[all.len() * sixth / 6 - 2]);
        for first in firsts {
            let killed = prepared.copy();
            assert_eq!(run(&killed, course, first, "signal=SIGKILL"), End::Killed);
            for next in [Course::Recover, Course::Return] {
                let mut points = points(next, &killed);
                points.retain(|point| point.changes);
                let points = some(points, 5);
                sweep(
                    next,
                    "signal=SIGKILL",
                    &points,
                    &killed,
                    |node, end, place| {
                        assert_eq!(end, End::Killed, "{place}");
                        check_recovered(
                            node,
                            &format!("{course:?} killed at {first:?}, then {place}"),
                        );
                    },
                );
                survived += points.len();
            }
        }
    }
    println!("crash points of recoveries tried and survived: {survived}");
    assert!(survived > 50);
}

#[test]
fn killed_at_random_moments() {
    let deadline = Instant::now() + Duration::from_secs(4);
    let mut delay = 0u64;
    let mut kills = 0;
    while Instant::now() < deadline {
        let node = Plain::fleeting(&WHOLE);
        let arguments = child_arguments();
        let mut child = Command::new(&arguments[0])
            .args(&arguments[1..])
            .env(COURSE, Course::Renew.name())
            .env(TREE, node.root.directory())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Spread evenly over the first 100 ms by the golden ratio; a fixed sequence can be run again.
        delay = (delay + 61_803) % 100_000;
        std::thread::sleep(Duration::from_micros(delay));
        child.kill().unwrap();
        if child.wait().unwrap().signal() == Some(nix::libc::SIGKILL) {
            kills += 1;
        }
        check_recovered(&node, &format!("killed after {delay} µs"));
    }
    println!("killed at {kills} random moments");
    assert!(kills > 0);
}
