//! A kubeadm at work: it writes the same files and moves the same manifests.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use nix::time::{ClockId, clock_gettime};

use crate::host::{self, Place, process};

/// Milliseconds in a tick of what /proc says (USER_HZ), the same on every architecture that Kubernetes runs on.
const MILLISECONDS: i64 = 10;

/// So many bytes of a command line say which command of kubeadm's it is.
const ARGUMENTS: usize = 4096;

/// So many things in kubeadm's scratch directory are looked at; an upgrade leaves a handful.
const MOST_SCRATCH: usize = 1000;

/// A kubeadm that changes the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeadm {
    /// Its process id.
    pub pid: u32,
    /// Its command, `kubeadm upgrade apply`: no further arguments, since a join's hold secrets.
    pub command: String,
    /// When it started, where that can be told.
    pub since: Option<Timestamp>,
}

/// What was found of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KubeadmProcesses {
    /// By process id.
    pub running: Vec<Kubeadm>,
    /// Whether there were too many processes to look at all of them.
    pub incomplete: bool,
}

/// Every kubeadm of this machine's root user that works on this `/etc/kubernetes`. Nobody else can change it, so a process of
/// that name that is another user's, or in a container, is none; nor is one whose `/etc/kubernetes` is another one, where that
/// can be told.
///
/// # Errors
/// When processes cannot be listed.
pub fn running_kubeadm(processes: &Path, kubernetes: &Path) -> io::Result<KubeadmProcesses> {
    let own = identity(kubernetes).ok();
    let listed = process::processes(processes)?;
    let running = listed
        .all
        .iter()
        // In this order: only of what is root's and no container's is anything read that the process itself can shape.
        .filter(|process| process.is_roots() && !process.is_in_container())
        .filter_map(|process| {
            let command = changing_command(&process.arguments(ARGUMENTS, false)?)?;
            (!works_elsewhere(&process.root(), own)).then(|| Kubeadm {
                pid: process.pid,
                command,
                since: process.started().and_then(started_at),
            })
        })
        .collect();
    Ok(KubeadmProcesses {
        running,
        incomplete: listed.more,
    })
}

/// When anything in kubeadm's scratch directory last changed: an upgrade from a container that shares no processes with this
/// one shows only there. `None` where there is no such directory.
///
/// # Errors
/// When it cannot be read.
pub fn scratch_changed(kubernetes: &Path) -> io::Result<Option<Timestamp>> {
    let directory = kubernetes.join("tmp");
    let names = match host::names(&directory) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let below = names
        .iter()
        .take(MOST_SCRATCH)
        .map(|name| directory.join(name));
    let newest = below
        .chain([directory.clone()])
        .filter_map(|path| Some(Place::at(&path).ok()?.look().ok()??.modified))
        .max();
    Ok(newest.and_then(|(seconds, _)| Timestamp::from_second(seconds).ok()))
}

/// `kubeadm upgrade apply`, for a kubeadm that writes; `None` for any other program and for what only reads.
fn changing_command(arguments: &[String]) -> Option<String> {
    let (program, rest) = arguments.split_first()?;
    if process::program_name(program) != "kubeadm" || rest.iter().any(|word| is_help(word)) {
        return None;
    }
    let words: Vec<&str> = rest
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    // A flag's value may stand before the command.
    let begin = words.iter().position(|word| {
        matches!(
            *word,
            "init" | "join" | "reset" | "upgrade" | "certs" | "alpha"
        )
    })?;
    let words = &words[begin..];
    let length = match words {
        ["alpha", "certs", "renew", ..] => 3,
        ["certs", "renew", ..] => 2,
        ["upgrade", "plan" | "diff", ..] | ["alpha" | "certs", ..] => return None,
        ["upgrade", "apply" | "node", ..] => 2,
        _ => 1,
    };
    Some(format!("kubeadm {}", words[..length].join(" ")))
}

fn is_help(word: &str) -> bool {
    matches!(word, "-h" | "--help" | "--dry-run" | "--dry-run=true")
}

fn works_elsewhere(root: &Path, own: Option<(u64, u64)>) -> bool {
    match (own, identity(&root.join("etc/kubernetes"))) {
        (Some(own), Ok(theirs)) => own != theirs,
        (Some(_), Err(error)) => error.kind() == io::ErrorKind::NotFound,
        (None, _) => false,
    }
}

fn identity(directory: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(directory).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The moment so many ticks after the boot. Reckoned by clocks and not by /proc/stat, which the unit's sandbox hides.
fn started_at(ticks: u64) -> Option<Timestamp> {
    let up = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    let up = SignedDuration::new(up.tv_sec(), i32::try_from(up.tv_nsec()).ok()?);
    let started = i64::try_from(ticks).ok()?.checked_mul(MILLISECONDS)?;
    // To the tick, so that each look comes to the same second.
    let to_the_tick = TimestampRound::new()
        .smallest(Unit::Millisecond)
        .increment(MILLISECONDS);
    crate::host::now()
        .checked_sub(up - SignedDuration::from_millis(started))
        .and_then(|moment| moment.round(to_the_tick))
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use std::path::PathBuf;

    fn command(line: &str) -> Option<String> {
        changing_command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_writes_counts() {
        for (line, expected) in [
            ("kubeadm init", "kubeadm init"),
            (
                "/usr/bin/kubeadm --v=5 upgrade apply v1.33.1 -y",
                "kubeadm upgrade apply",
            ),
            ("kubeadm -v 5 upgrade node", "kubeadm upgrade node"),
            ("kubeadm certs renew all", "kubeadm certs renew"),
            (
                "kubeadm alpha certs renew apiserver",
                "kubeadm alpha certs renew",
            ),
            (
                "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef",
                "kubeadm join",
            ),
            ("kubeadm reset -f", "kubeadm reset"),
        ] {
            assert_eq!(command(line).as_deref(), Some(expected), "{line}");
        }
        for line in [
            "kubeadm",
            "kubeadm version",
            "kubeadm certs check-expiration",
            "kubeadm alpha certs check-expiration",
            "kubeadm upgrade plan",
            "kubeadm token create",
            "kubeadm init --help",
            "vi kubeadm init",
            "kubeadm-helper init",
        ] {
            assert_eq!(command(line), None, "{line}");
        }
    }

    /// A directory of processes, each with the files given.
    fn listing(all: &[(u32, &[(&str, &str)])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (pid, files) in all {
            let process: PathBuf = directory.path().join(pid.to_string());
            std::fs::create_dir(&process).unwrap();
            for (name, text) in *files {
                std::fs::write(process.join(name), text).unwrap();
            }
        }
        directory
    }

    #[test]
    fn only_the_hosts_root_user_runs_a_kubeadm() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        const UPGRADE: (&str, &str) = ("cmdline", "kubeadm\0upgrade\0apply\0");
        const ROOT: (&str, &str) = ("status", "Name:\tkubeadm\nUid:\t0\t0\t0\t0\n");
        const NOBODY: (&str, &str) = (
            "status",
            "Name:\tkubeadm\nUid:\t65534\t65534\t65534\t65534\n",
        );
        const SESSION: (&str, &str) = ("cgroup", "0::/user.slice/user-0.slice/session-1.scope\n");
        const POD: (&str, &str) = (
            "cgroup",
            "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope\n",
        );
        let processes = listing(&[
            (10, &[UPGRADE, NOBODY, SESSION]),
            (11, &[UPGRADE, ROOT, POD]),
            (12, &[UPGRADE, ROOT, SESSION]),
            (13, &[("cmdline", "kubeadm\0version\0"), ROOT, SESSION]),
        ]);
        let found = running_kubeadm(processes.path(), Path::new("/none")).unwrap();
        let pids: Vec<u32> = found.running.iter().map(|one| one.pid).collect();
        assert_eq!((pids, found.incomplete), (vec![12], false));
    }

    #[test]
    fn every_look_comes_to_the_same_start() {
        let one = started_at(1234).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(700));
        let other = started_at(1234).unwrap();
        assert!(one.duration_since(other).abs() <= SignedDuration::from_millis(20));
        assert_eq!(started_at(u64::MAX), None);
    }
}
