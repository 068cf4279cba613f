//! A file that will hold a private key is readable by its owner alone from the moment it exists, whatever the umask; no
//! core dump holds a key, and no key stays in the daemon's memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::daemon::{Daemon, wait_until};
use testkit::secret_search::Secrets;
use testkit::{Node, contents, text};

const CALLS: &str = "trace=openat,openat2,open,creat,mkdir,mkdirat,fchmod,chmod,fchmodat,?fchmodat2,prctl,prlimit64,setrlimit";

/// What a traced run did with modes, in its order.
#[derive(Debug)]
enum Call {
    Created { path: PathBuf, mode: u32 },
    Directory { path: PathBuf, mode: u32 },
    Mode { path: PathBuf, mode: u32 },
    Opened(PathBuf),
    NotDumpable,
}

/// Runs the program under strace with umask 000; `None` where nothing may be traced.
fn traced(node: &Node, arguments: &[&str]) -> Option<Vec<Call>> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let run = Command::new("strace")
        .args(["-f", "-y", "-qq", "-s", "4096", "-e", CALLS, "-o"])
        .arg(log.path())
        .args(["sh", "-c", "umask 000 && exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_kubecertd"))
        .arg("--root")
        .arg(node.directory.path())
        .args(arguments)
        .output();
    let output = match run {
        Ok(output) if !text(&output.stderr).contains("PTRACE") => output,
        other => {
            testkit::skipped(&format!("no strace that may trace here: {other:?}"));
            return None;
        }
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let log =
        testkit::strace_lines::with_whole_paths(&std::fs::read_to_string(log.path()).unwrap());
    Some(log.lines().filter_map(call).collect())
}

/// One line of strace's: `1234 openat(AT_FDCWD</>, "/x/y", O_WRONLY|O_CREAT|O_EXCL, 0600) = 3</x/y>`.
fn call(line: &str) -> Option<Call> {
    let (_, line) = line.split_once(char::is_whitespace)?;
    let (name, rest) = line.trim_start().split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ")?;
    if result.starts_with('-') {
        return None;
    }
    let quoted = || arguments.split('"').nth(1).map(PathBuf::from);
    let mode = || u32::from_str_radix(arguments.rsplit(", ").next()?.trim(), 8).ok();
    match name {
        "creat" => Some(Call::Created {
            path: quoted()?,
            mode: mode()?,
        }),
        // openat2(AT_FDCWD</>, "/x/y", {flags=O_WRONLY|O_CREAT, mode=0600, resolve=RESOLVE_NO_SYMLINKS}, 24)
        "openat2" if arguments.contains("O_CREAT") => Some(Call::Created {
            path: quoted()?,
            mode: u32::from_str_radix(arguments.split("mode=").nth(1)?.split(',').next()?, 8)
                .ok()?,
        }),
        "open" | "openat" if arguments.contains("O_CREAT") => Some(Call::Created {
            path: quoted()?,
            mode: mode()?,
        }),
        "open" | "openat" | "openat2" => Some(Call::Opened(quoted()?)),
        "mkdir" | "mkdirat" => Some(Call::Directory {
            path: quoted()?,
            mode: mode()?,
        }),
        // fchmod(5</x/y>, 0640)
        "fchmod" => {
            let path = arguments.split(['<', '>']).nth(1)?;
            Some(Call::Mode {
                path: path.into(),
                mode: mode()?,
            })
        }
        "chmod" | "fchmodat" | "fchmodat2" => {
            let mode = arguments
                .split(", ")
                .find_map(|part| u32::from_str_radix(part, 8).ok());
            Some(Call::Mode {
                path: quoted()?,
                mode: mode?,
            })
        }
        "prctl" if arguments.starts_with("PR_SET_DUMPABLE, SUID_DUMP_DISABLE") => {
            Some(Call::NotDumpable)
        }
        _ => None,
    }
}

/// Whether a file of this name, or one that is to take its place, holds a key on the sample node.
fn holds_key(path: &Path) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    name.contains(".key") || (name.contains(".conf") && !name.contains("kubelet.conf"))
}

/// Every creation and change of a mode below `directory`, checked. Returns how many files with keys were made.
fn check(calls: &[Call], directory: &Path) -> usize {
    let mut with_keys = 0;
    for call in calls {
        match call {
            Call::Created { path, mode } if path.starts_with(directory) => {
                assert_eq!(mode & !0o600, 0, "{} is made with {mode:o}", path.display());
                with_keys += usize::from(holds_key(path));
            }
            Call::Mode { path, mode } if path.starts_with(directory) && holds_key(path) => {
                assert_eq!(
                    mode & 0o7777 & !0o600,
                    0,
                    "{} is opened to {mode:o}",
                    path.display()
                );
            }
            Call::Directory { path, mode } if path.starts_with(directory) => {
                // The directories of the system that a bare root may lack.
                let is_own = path.to_string_lossy().contains("kubecertd");
                assert!(
                    !is_own || mode & !0o700 == 0 || path.ends_with("run/kubecertd"),
                    "{} is made with {mode:o}",
                    path.display()
                );
            }
            _ => {}
        }
    }
    with_keys
}

#[test]
fn new_keys_and_copies_of_old_ones_are_private_from_birth() {
    let node = Node::due();
    let Some(calls) = traced(&node, &["renew", "all"]) else {
        return;
    };
    // Eleven staged and eleven backed up.
    assert_eq!(check(&calls, node.directory.path()), 22, "{calls:#?}");
    let backups = node.path("/var/lib/kubecertd/backups");
    let mut modes: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut waiting = vec![node.path("/var/lib/kubecertd")];
    while let Some(path) = waiting.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            modes.entry("directory").or_default().push(mode);
            waiting.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            modes.entry("file").or_default().push(mode);
        }
    }
    assert!(
        modes["directory"].iter().all(|mode| *mode == 0o700),
        "{modes:?}"
    );
    assert!(modes["file"].iter().all(|mode| *mode == 0o600), "{modes:?}");
    assert!(contents(&backups).len() > 18, "{modes:?}");
}

#[test]
fn the_copy_of_a_rehearsal_is_private_from_birth() {
    let node = Node::due();
    let Some(calls) = traced(&node, &["rehearse"]) else {
        return;
    };
    let private: Vec<&PathBuf> = calls
        .iter()
        .filter_map(|call| match call {
            Call::Directory { path, mode }
                if path.to_string_lossy().contains("kubecertd-rehearsal-") =>
            {
                assert_eq!(mode & !0o700, 0, "{} is made with {mode:o}", path.display());
                Some(path)
            }
            _ => None,
        })
        .collect();
    let copy = private.first().expect("a private directory");
    // 15 keys and kubeconfigs are copied, 11 of them staged and backed up.
    assert_eq!(check(&calls, copy), 15 + 22);
    assert!(!copy.exists(), "{} is left behind", copy.display());
}

#[test]
fn memory_is_shut_before_the_first_file_of_the_node_is_read() {
    for arguments in [
        ["check-expiration"].as_slice(),
        &["plan"],
        &["rehearse"],
        &["recover"],
        &["renew", "all"],
    ] {
        let node = Node::due();
        let Some(calls) = traced(&node, arguments) else {
            return;
        };
        let shut = calls
            .iter()
            .position(|call| matches!(call, Call::NotDumpable));
        let read = calls.iter().position(|call| {
            matches!(call, Call::Opened(path) | Call::Created { path, .. } if path.starts_with(node.directory.path()))
        });
        assert!(
            shut.is_some() && shut < read,
            "{arguments:?}: {shut:?}, {read:?}"
        );
    }
}

/// A daemon that may dump core as far as its parent is concerned, and that has renewed everything.
fn after_a_renewal(node: &Node) -> Daemon {
    let old = node.serial("scheduler.conf");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -c unlimited && cd \"$1\" && shift && exec \"$@\"",
            "sh",
        ])
        .arg(node.directory.path())
        .arg(testkit::program())
        .arg("--root")
        .arg(node.directory.path())
        .arg("run")
        .env("MALLOC_ARENA_MAX", "1");
    let daemon = Daemon::spawn(command, Duration::from_secs(60));
    wait_until("a renewal", || {
        node.serial("scheduler.conf") != old
            && contents(&node.path("/var/lib/kubecertd/journal")).is_empty()
    });
    std::thread::sleep(Duration::from_millis(500));
    daemon
}

fn proc(daemon: &Daemon, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{file}", daemon.id()))
}

#[test]
fn a_daemon_that_crashes_leaves_no_core_dump() {
    let node = Node::due();
    let daemon = after_a_renewal(&node);
    let limits = std::fs::read_to_string(proc(&daemon, "limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    daemon.signal(Signal::SIGABRT);
    let status = daemon.ended();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    assert!(!status.core_dumped());
}

#[test]
fn no_unit_lets_a_core_be_dumped() {
    let systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let units = contents(&systemd);
    let services: Vec<_> = units
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "service"))
        .collect();
    assert!(services.len() >= 2, "{services:?}");
    for (path, unit) in services {
        assert!(
            text(unit).lines().any(|line| line == "LimitCORE=0"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn an_idle_daemon_has_no_key_in_its_memory() {
    use std::os::unix::fs::FileExt;
    let node = Node::due();
    let mut secrets = Secrets::below(&node.path("/etc/kubernetes"));
    let daemon = after_a_renewal(&node);
    secrets.extend(&Secrets::below(&node.path("/etc/kubernetes")));
    let Ok(memory) = std::fs::File::open(proc(&daemon, "mem")) else {
        testkit::skipped("only root reads the memory of a process that cannot be dumped");
        return;
    };
    let maps = std::fs::read_to_string(proc(&daemon, "maps")).unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let range = line.split(' ').next().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(to, 16).unwrap();
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        let mut found = Vec::new();
        let mut start = 0;
        while let Some(at) = secrets.find(&bytes[start..]) {
            let at = start + at;
            let near = &bytes[at.saturating_sub(48)..(at + 96).min(bytes.len())];
            found.push(format!("{:x}: {}", from + at as u64, near.escape_ascii()));
            start = at + 200;
        }
        assert!(found.is_empty(), "{line}:\n{}", found.join("\n"));
    }
}
