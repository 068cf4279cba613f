//! A child under `strace`, which kills it before a chosen system call, or makes that call fail.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use crate::course::Course;
use crate::transaction_node::Node;

/// What the child does, and where.
pub(crate) const COURSE: &str = "KUBECERTD_TEST_COURSE";
pub(crate) const TREE: &str = "KUBECERTD_TEST_TREE";

/// The test harness opens files and writes as well, in its own thread; the child makes this many such calls first, so
/// that those are out of the way when counting begins.
pub(crate) const CALLS_OF_THE_HARNESS: usize = 32;

pub(crate) const DONE: i32 = 0;
pub(crate) const REFUSED: i32 = 3;

/// Calls that change files, by what strace calls them; `openat` where it makes a file.
const CHANGING: [&str; 18] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "rmdir",
    "fchmod",
    "fchown",
    "fsetxattr",
    "utimensat",
    "symlink",
];

/// Calls on files and descriptors that change none. A call that is in neither list fails the test: somebody has to say
/// what it is.
const HARMLESS: [&str; 26] = [
    "access",
    "close",
    "execve",
    "fcntl",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fstat",
    "fstatfs",
    "getcwd",
    "getdents64",
    "ioctl",
    "lseek",
    "lstat",
    "mmap",
    "newfstatat",
    "poll",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "stat",
    "statfs",
    "statx",
    "dup",
    "pipe2",
];

/// One call of the child: its name, and how many of that name came before it, and it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) call: String,
    pub(crate) nth: usize,
    /// It changes a file; the others only fail.
    pub(crate) changes: bool,
}

/// How one child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing was injected: it has fewer such calls.
    Unharmed,
    /// The error was met and got over.
    Overcame,
    /// It said that something could not be done.
    Refused,
    Killed,
}

pub(crate) fn has_strace() -> bool {
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

/// Every point of a course from that state on, in the order in which they come.
pub(crate) fn points(course: Course, prepared: &Node) -> Vec<Point> {
    let node = prepared.copy();
    let (status, log) = strace(&node, course, &["-e", "trace=%file,%desc"]);
    assert_eq!(status.code(), Some(DONE), "{log}");
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut thread = None;
    let mut points = Vec::new();
    let root = node.root.directory().to_str().unwrap();
    for line in log.lines() {
        let Some((id, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        let is_known = CHANGING.contains(&call) || HARMLESS.contains(&call);
        assert!(
            is_known || !arguments.contains(root),
            "what does {call} do? {line}"
        );
        let nth = seen.entry((id, call)).or_default();
        *nth += 1;
        // The first to touch the tree is the thread of the course; its helpers only flush.
        if arguments.contains(root) && !matches!(call, "execve" | "readlink") {
            thread.get_or_insert(id);
        }
        if thread == Some(id) && CHANGING.contains(&call) && arguments.contains(root) {
            let is_done = !arguments.contains(") = -1 ");
            points.push(Point {
                call: call.to_owned(),
                nth: *nth,
                changes: is_done && (call != "openat" || arguments.contains("O_CREAT")),
            });
        }
    }
    points
}

/// Runs a child with `fault` at that point.
pub(crate) fn run(node: &Node, course: Course, point: &Point, fault: &str) -> End {
    let Point { call, nth, .. } = point;
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:{fault}:when={nth}");
    let (status, log) = strace(node, course, &["-e", &trace, "-e", &inject]);
    end(status, &log)
}

fn strace(node: &Node, course: Course, options: &[&str]) -> (ExitStatus, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let arguments = child_arguments();
    let status = Command::new("strace")
        .args(["-f", "-y", "-qq", "-o"])
        .arg(log.path())
        .args(options)
        .args(arguments)
        .env(COURSE, course.name())
        .env(TREE, node.root.directory())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    (status, std::fs::read_to_string(log.path()).unwrap())
}

pub(crate) fn child_arguments() -> Vec<String> {
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
