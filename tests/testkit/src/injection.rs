//! A process under `strace`, which kills it before a chosen system call, or makes that call fail. It is one of the thread
//! that does the work; others only flush.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use crate::{skipped, strace_lines};

pub const DONE: i32 = 0;

/// All points, not only as many as take a minute.
const EVERY_POINT: &str = "KUBECERTD_TEST_EVERY_POINT";

/// Calls that change files, by what strace calls them; `openat` where it makes a file.
const CHANGING: [&str; 21] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "fchmod",
    "fchown",
    "fchownat",
    "fsetxattr",
    "utimensat",
    "symlinkat",
];

/// Calls on files and descriptors that change none. A call that is in neither list fails the test: somebody has to say
/// what it is.
const HARMLESS: [&str; 30] = [
    // Only has written out earlier what is flushed later.
    "fadvise64",
    "access",
    "faccessat",
    "close",
    "connect",
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
    "openat2",
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

/// Where the files of a node are, below whatever stands for its root.
const PLACES: [&str; 5] = [
    "/etc/exporter",
    "/etc/kubernetes",
    "/var/lib/kubecertd",
    "/var/lib/kubelet",
    "/run/kubecertd",
];

/// One call of the process on a file of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub call: String,
    /// How many of that name came before it, and it: what strace counts.
    pub nth: usize,
    /// Its file, without what differs from run to run.
    pub file: String,
    /// How many of that name on that file came before it, and it.
    pub time: usize,
    /// It changes a file; the others only fail.
    pub changes: bool,
}

impl Point {
    /// Whether they stand for the same step, although other calls may have come between.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.call, &self.file, self.time) == (&other.call, &other.file, other.time)
    }
}

/// How one process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing was injected: it has fewer such calls.
    Unharmed,
    /// The error was met and got over.
    Overcame,
    /// It said that something could not be done.
    Refused,
    Killed,
    /// The error came where the system never gives it: threads that wake one another write, too. Nothing is shown by that.
    Beside,
}

/// One run with a fault.
#[derive(Debug)]
pub struct Run {
    pub end: End,
    /// Where the fault came in.
    pub hit: Option<Point>,
    /// What the process printed.
    pub printed: String,
}

/// What is traced.
#[derive(Debug)]
pub struct Traced {
    pub command: Vec<OsString>,
    pub environment: Vec<(&'static str, OsString)>,
    /// Its exit codes when something could not be done.
    pub refused: &'static [i32],
    /// Whether the work is done by another than its first thread. What that one or helpers do may then be hit in place of
    /// the call that was meant: strace counts for each thread.
    pub has_threads: bool,
}

impl Traced {
    /// Every point, in the order in which they come. The process may end either way.
    pub fn points(&self) -> Vec<Point> {
        let (status, log, printed) = self.strace(&["-e", "trace=%file,%desc"]);
        let is_ended = |code| code == DONE || self.refused.contains(&code);
        assert!(status.code().is_some_and(is_ended), "{printed}");
        points(&log).into_iter().map(|(point, _)| point).collect()
    }

    /// Runs with `fault` at that point.
    pub fn run(&self, point: &Point, fault: &str) -> Run {
        let Point { call, nth, .. } = point;
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:{fault}:when={nth}");
        let (status, log, printed) = self.strace(&["-e", &trace, "-e", &inject]);
        let hit = points(&log)
            .into_iter()
            .find(|(_, result)| was_cut_off(result))
            .map(|(point, _)| point)
            .or_else(|| is_hit_without_name(&log, point).then(|| point.clone()));
        let end = if hit.is_none() && hit_no_file(&log) {
            End::Beside
        } else {
            self.end(status, hit.is_some(), &printed)
        };
        Run { end, hit, printed }
    }

    /// What the process printed comes last.
    fn strace(&self, options: &[&str]) -> (ExitStatus, String, String) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let output = Command::new("timeout")
            .args(["--foreground", "300", "strace", "-y", "-qq"])
            .args(self.has_threads.then_some("-f"))
            .arg("-o")
            .arg(log.path())
            .args(options)
            .args(&self.command)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (
            output.status,
            strace_lines::with_whole_paths(&std::fs::read_to_string(log.path()).unwrap()),
            String::from_utf8_lossy(&printed).into_owned(),
        )
    }

    fn end(&self, status: ExitStatus, was_hit: bool, printed: &str) -> End {
        match (status.code(), status.signal()) {
            (_, Some(nix::libc::SIGKILL)) => End::Killed,
            (Some(137), _) => End::Killed,
            (Some(code), _) if self.refused.contains(&code) => End::Refused,
            (Some(DONE), _) if was_hit => End::Overcame,
            (Some(DONE), _) => End::Unharmed,
            other => panic!("the process ended with {other:?}: {printed}"),
        }
    }
}

/// Whether an error was injected into a call on what is no file: an event counter or a timer.
fn hit_no_file(log: &str) -> bool {
    log.lines()
        .any(|line| line.contains("(INJECTED)") && line.contains("<anon_inode:"))
}

/// The calls on files of the node that can fail, each with the rest of its line: those of the first thread that touches one.
fn points(log: &str) -> Vec<(Point, String)> {
    let mut names: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut files: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut worker = None;
    let mut points: Vec<(Point, String)> = Vec::new();
    for line in log.lines() {
        // With several threads their numbers come first.
        let call_at = line.find(|letter: char| letter.is_ascii_lowercase());
        let (thread, rest) = line.split_at(call_at.unwrap_or(line.len()));
        if let Some((_, result)) = rest.split_once(" resumed>")
            && worker == Some(thread.trim_end_matches("<... "))
            && let Some((_, unfinished)) = points.last_mut()
        {
            *unfinished = result.to_owned();
            continue;
        }
        let Some((call, arguments)) = rest.split_once('(') else {
            continue;
        };
        let nth = names.entry((thread, call)).or_default();
        *nth += 1;
        let Some(file) = file(arguments) else {
            continue;
        };
        let is_changing = CHANGING.contains(&call);
        assert!(
            is_changing || HARMLESS.contains(&call),
            "what does {call} do? {line}"
        );
        if !matches!(call, "execve" | "readlink") {
            worker.get_or_insert(thread);
        }
        if worker != Some(thread) || !is_changing {
            continue;
        }
        let time = files.entry((call, file.clone())).or_default();
        *time += 1;
        let is_done = !arguments.contains(" = -1 ");
        let point = Point {
            call: call.to_owned(),
            nth: *nth,
            file,
            time: *time,
            changes: is_done && (call != "openat" || arguments.contains("O_CREAT")),
        };
        points.push((point, arguments.to_owned()));
    }
    points
}

fn was_cut_off(line: &str) -> bool {
    let ends = ["= ?", "<unavailable>", "(INJECTED)", "<unfinished ...>"];
    ends.iter().any(|end| line.ends_with(end))
}

/// Whether the call was cut off at this point, although the process was gone before strace could look which file it was.
fn is_hit_without_name(log: &str, point: &Point) -> bool {
    let mut calls: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for line in log.lines() {
        if let Some((thread, arguments)) = line.split_once(&format!("{}(", point.call)) {
            let (count, last) = calls.entry(thread).or_default();
            *count += 1;
            *last = arguments;
        }
    }
    calls
        .values()
        .any(|(count, last)| *count == point.nth && was_cut_off(last))
}

/// The first file of the node among these arguments, without an operation's id and without random names.
fn file(arguments: &str) -> Option<String> {
    let start = PLACES
        .iter()
        .filter_map(|place| arguments.find(place))
        .min()?;
    let path = arguments[start..].split(['"', '>', '<']).next()?;
    let parts: Vec<String> = path.split('/').map(unchanging).collect();
    Some(parts.join("/"))
}

/// A name as it is in every run: ids of operations begin a name or end a hidden one, random names end a hidden one.
fn unchanging(name: &str) -> String {
    const ID: usize = "20261124T120623Z-3b79".len();
    const MARK: &str = ".kubecertd-";
    if let Some((stem, ending)) = name.split_once(MARK) {
        let what = if ending.ends_with("-old") { "-old" } else { "" };
        return format!("{stem}{MARK}*{what}");
    }
    if name.starts_with("kubelet-client-20") {
        return "kubelet-client-*".to_owned();
    }
    match name.as_bytes() {
        // A file without a name, by its number.
        [b'#', ..] => "#".to_owned(),
        [b'2', b'0', _, _, _, _, _, _, b'T', ..] if name.len() >= ID => format!("*{}", &name[ID..]),
        _ => name.to_owned(),
    }
}

pub fn has_strace() -> bool {
    let found = Command::new("strace")
        .args(["-qq", "-e", "inject=getpid:error=EPERM", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skipped("no strace that may trace here");
    }
    found
}

/// All points, or that many of them, evenly spread.
pub fn some(points: Vec<Point>, bound: usize) -> Vec<Point> {
    if std::env::var_os(EVERY_POINT).is_some() || points.len() <= bound {
        return points;
    }
    let number = points.len();
    let chosen = (0..bound).map(|index| points[index * number / bound].clone());
    chosen.collect()
}
