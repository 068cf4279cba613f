//! Killed at every system call that changes a file, or refused by the file system: nothing is lost.
//!
//! A child (this binary, told by an environment variable) runs a whole operation under `strace`, which kills it before
//! the N-th call of a kind, or makes that call fail; for every kind and every N until the child no longer reaches it.
//! Then this process recovers the tree and looks at every file.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod transaction_node;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kubecertd::transaction::{
    Lock, Operation, Outcome, Record, TransactionError, Trigger, recover, return_parked,
};
use transaction_node::{Entry, FILES, MANIFESTS, Node};

/// What the child does, and where.
const COURSE: &str = "KUBECERTD_TEST_COURSE";
const TREE: &str = "KUBECERTD_TEST_TREE";

/// Calls that change files, by what strace calls them.
const CALLS: [&str; 15] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "rmdir",
    "fchmod",
    "fallocate",
    "utimensat",
];

/// The test harness opens files and writes as well, in its own thread; the child makes this many such calls first, so
/// that those are out of the way when counting begins.
const CALLS_OF_THE_HARNESS: usize = 32;

const DONE: i32 = 0;
const REFUSED: i32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// Install, restart two pods, end well.
    Renew,
    /// Install, one pod does not come back, put everything back.
    RollBack,
    /// Recover what is in flight, and finish it.
    Recover,
    /// Return manifests only.
    Return,
}

impl Course {
    const ALL: [Self; 4] = [Self::Renew, Self::RollBack, Self::Recover, Self::Return];

    fn name(self) -> String {
        format!("{self:?}")
    }
}

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
    for _ in 0..CALLS_OF_THE_HARNESS {
        let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null");
        nowhere.unwrap().write_all(b"x").unwrap();
    }
    let node = Node::at(Path::new(&tree));
    let result = match course {
        Course::Renew | Course::RollBack => operate(&node, course),
        Course::Recover => recover_and_finish(&node),
        Course::Return => {
            return_parked(&node.store, &[node.path("/etc/kubernetes/manifests")]).map(|_| ())
        }
    };
    let code = match result {
        Ok(()) => DONE,
        Err(error) => {
            // As the daemon would: said so, and left to recovery.
            eprintln!("{error}");
            REFUSED
        }
    };
    std::process::exit(code);
}

fn operate(node: &Node, course: Course) -> Result<(), TransactionError> {
    let lock = Lock::take(&node.store)?;
    let mut operation = Operation::begin(&node.store, &lock, Trigger::Schedule)?;
    let result = renew(node, &mut operation, course);
    let outcome = match &result {
        Ok(()) => Outcome::Done,
        Err(error) => {
            operation.roll_back(&error.to_string())?;
            Outcome::RolledBack(error.to_string())
        }
    };
    operation.finish(outcome, 3, u64::MAX).and(result)
}

fn renew(
    node: &Node,
    operation: &mut Operation<'_>,
    course: Course,
) -> Result<(), TransactionError> {
    let manifests = MANIFESTS.map(|manifest| node.path(manifest));
    operation.note(Record::RestartsPlanned {
        components: vec![
            ("etcd".into(), manifests[0].clone()),
            ("kube-apiserver".into(), manifests[1].clone()),
        ],
    })?;
    operation.install(node.replacements("new"))?;
    operation.park(&manifests[1])?;
    operation.park(&manifests[0])?;
    operation.give_back(&manifests[0])?;
    operation.note(Record::Restarted {
        component: "etcd".into(),
    })?;
    if course == Course::RollBack {
        operation.roll_back("kube-apiserver does not serve the new certificate")?;
        operation.park(&manifests[0])?;
    }
    for manifest in &manifests {
        operation.give_back(manifest)?;
    }
    Ok(())
}

fn recover_and_finish(node: &Node) -> Result<(), TransactionError> {
    let lock = Lock::take(&node.store)?;
    for mut recovery in recover(&node.store, &lock)? {
        for (component, _) in recovery.restarts_left {
            recovery.operation.note(Record::Restarted { component })?;
        }
        recovery.operation.finish(Outcome::Done, 3, u64::MAX)?;
    }
    Ok(())
}

/// How one child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing was injected: it has fewer such calls.
    Unharmed,
    /// The error was met and got over.
    Overcame,
    /// It said that something could not be done.
    Refused,
    Killed,
}

/// Runs a child whose `nth` call of a kind is killed or fails.
fn run(node: &Node, course: Course, call: &str, nth: usize, fault: &str) -> End {
    let log = node.root.directory().join("strace.log");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{fault}:when={nth}")])
        .args(child_arguments())
        .env(COURSE, course.name())
        .env(TREE, node.root.directory())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    end(status, &text)
}

fn child_arguments() -> Vec<String> {
    let binary = std::env::current_exe().unwrap();
    let mut arguments = vec![binary.to_str().unwrap().to_owned()];
    arguments.extend(["--exact", "course_of_the_child", "--nocapture"].map(str::to_owned));
    arguments
}

fn end(status: ExitStatus, log: &str) -> End {
    match (status.code(), status.signal()) {
        (_, Some(nix::libc::SIGKILL)) => End::Killed,
        (Some(137), _) => End::Killed,
        (Some(REFUSED), _) => End::Refused,
        (Some(DONE), _) if log.contains("(INJECTED)") => End::Overcame,
        (Some(DONE), _) => End::Unharmed,
        other => panic!("the child ended with {other:?}: {log}"),
    }
}

/// Whether every single point is tried, which takes ten minutes; otherwise a part of them, evenly spread.
fn every_point() -> bool {
    std::env::var_os("KUBECERTD_TEST_EVERY_POINT").is_some()
}

/// Every fault of a kind (every `stride`-th, unless all are wanted), each on a fresh tree; how often which end was reached.
fn sweep(
    course: Course,
    fault: &str,
    stride: usize,
    prepare: impl Fn() -> Node,
    check: impl Fn(&Node, End, &str),
) -> BTreeMap<String, usize> {
    let mut points = BTreeMap::new();
    let stride = if every_point() { 1 } else { stride };
    for call in CALLS {
        let first = match call {
            "openat" | "write" => CALLS_OF_THE_HARNESS + 1,
            _ => 1,
        };
        for nth in (first..).step_by(stride) {
            let node = prepare();
            let end = run(&node, course, call, nth, fault);
            let place = format!("{course:?}: {fault} at {call} {nth}: {end:?}");
            check(&node, end, &place);
            if end == End::Unharmed {
                break;
            }
            *points.entry(format!("{end:?}")).or_default() += 1;
        }
    }
    points
}

/// The cluster as it was, and as it would be with the new files.
fn before_and_after(node: &Node) -> [BTreeMap<String, Entry>; 2] {
    let before = node.cluster();
    let mut after = before.clone();
    for (_, path, mode) in FILES {
        let owner = before["/etc/kubernetes/pki"].owner;
        let entry = Entry {
            contents: format!("new {path}\n"),
            mode,
            owner,
        };
        after.insert(path.to_owned(), entry);
    }
    [before, after]
}

/// Promises 1 and 2: recovered, everything is wholly old or wholly new, nothing is left over, and life goes on.
fn check_recovered(node: &Node, place: &str) -> bool {
    let [before, after] = before_and_after(&Node::fleeting());
    let recovered = node.recover();
    let now = node.cluster();
    let is_new = now == after;
    if !is_new && now != before {
        for (path, entry) in &now {
            if before.get(path) != Some(entry) && after.get(path) != Some(entry) {
                eprintln!("neither: {path} {entry:?}");
            }
        }
        panic!("{place}: neither all old nor all new: {now:#?}");
    }
    if let [(forward, restarts_left)] = &recovered[..] {
        assert_eq!(*forward, is_new, "{place}: recovery says otherwise");
        // No child lives to see it healthy, unless it was finished by a child that recovered.
        let is_left = restarts_left
            .iter()
            .any(|component| component == "kube-apiserver");
        assert!(
            is_left || !forward || place.starts_with("Recover"),
            "{place}: a restart is lost"
        );
    }
    assert!(node.names(&node.store.journal()).is_empty(), "{place}");
    let known = ["backups", "journal", "lock"];
    assert_eq!(node.names(node.store.directory()), known, "{place}");
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
fn without_empty_parking(mut cluster: BTreeMap<String, Entry>) -> BTreeMap<String, Entry> {
    if cluster
        .keys()
        .filter(|path| path.contains("/.kubecertd/"))
        .all(|path| path.ends_with("/RETURN-TO"))
    {
        cluster.retain(|path, _| !path.contains("/.kubecertd"));
    }
    cluster
}

fn remove_empty_parking(node: &Node) {
    let parking = node.path("/etc/kubernetes/.kubecertd");
    if node.names(&node.store.journal()).is_empty() && parking.exists() {
        assert!(node.names(&parking).iter().all(|name| name == "RETURN-TO"));
        std::fs::remove_dir_all(parking).unwrap();
    }
}

fn has_strace() -> bool {
    let found = Command::new("strace")
        .args(["-qq", "-e", "inject=getpid:error=EPERM", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: no strace that may trace here");
    }
    found
}

#[test]
fn killed_before_any_call_everything_is_old_or_new() {
    if !has_strace() {
        return;
    }
    for course in [Course::Renew, Course::RollBack] {
        let news = std::cell::Cell::new(0);
        let oneshot = std::cell::Cell::new(false);
        let points = sweep(
            course,
            "signal=SIGKILL",
            4,
            Node::fleeting,
            |node, _, place| {
                // At every other point without the lock and before anything else, as the oneshot unit does: the manifests.
                oneshot.set(!oneshot.get());
                if oneshot.get() {
                    let directory = node.path("/etc/kubernetes/manifests");
                    return_parked(&node.store, std::slice::from_ref(&directory)).unwrap();
                    assert_eq!(node.names(&directory).len(), MANIFESTS.len(), "{place}");
                }
                if check_recovered(node, place) {
                    news.set(news.get() + 1);
                }
            },
        );
        println!(
            "{course:?}: {points:?}, {} of them ended with the new files",
            news.get()
        );
        assert!(points["Killed"] > if every_point() { 250 } else { 60 });
        assert!(news.get() > 0);
    }
}

#[test]
fn an_error_of_the_file_system_is_undone_or_recovered() {
    if !has_strace() {
        return;
    }
    for error in ["ENOSPC", "EIO", "EROFS"] {
        for course in [Course::Renew, Course::RollBack] {
            let fault = format!("error={error}");
            let points = sweep(course, &fault, 13, Node::fleeting, |node, end, place| {
                let [before, after] = before_and_after(&Node::fleeting());
                let is_left_over = !node.names(&node.store.journal()).is_empty();
                let now = without_empty_parking(node.cluster());
                let expected = if course == Course::Renew {
                    &after
                } else {
                    &before
                };
                match end {
                    End::Unharmed | End::Overcame => {
                        assert!(&now == expected, "{place}: {now:#?}");
                    }
                    End::Refused if !is_left_over => {
                        assert!(now == before || now == after, "{place}: {now:#?}");
                    }
                    // Killed cannot be; refused with a journal is recovery's.
                    End::Refused | End::Killed => {}
                }
                remove_empty_parking(node);
                check_recovered(node, place);
            });
            println!("{course:?}, {error}: {points:?}");
        }
    }
}

#[test]
fn killed_while_recovering() {
    if !has_strace() {
        return;
    }
    // Among the renames of the commit, in the middle of the rollback, and with manifests out.
    let states = [
        (Course::Renew, "rename", 5),
        (Course::Renew, "renameat2", 3),
        (Course::RollBack, "rename", 17),
        (Course::RollBack, "unlink", 6),
        (Course::Renew, "fsync", 12),
    ];
    for (course, call, nth) in states {
        let prepare = || {
            let node = Node::fleeting();
            assert_eq!(run(&node, course, call, nth, "signal=SIGKILL"), End::Killed);
            node
        };
        for next in [Course::Recover, Course::Return] {
            let points = sweep(next, "signal=SIGKILL", 7, prepare, |node, _, place| {
                check_recovered(node, place);
            });
            println!("{course:?} killed at {call} {nth}, then {next:?}: {points:?}");
        }
    }
}

#[test]
fn killed_at_random_moments() {
    let deadline = Instant::now() + Duration::from_secs(4);
    let mut delay = 0u64;
    let mut kills = 0;
    while Instant::now() < deadline {
        let node = Node::fleeting();
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
