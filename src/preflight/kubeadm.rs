//! A kubeadm at work: it writes the same files and moves the same manifests.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

/// Ticks in a second of what /proc says (USER_HZ), the same on every architecture that Kubernetes runs on.
const TICKS: u64 = 100;

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

/// Every kubeadm among the processes that works on this `/etc/kubernetes`. One in a container with an `/etc/kubernetes` of its
/// own (a cluster in containers, say) does not count; one of which that cannot be told does.
///
/// # Errors
/// When processes cannot be listed.
pub fn running_kubeadm(processes: &Path, kubernetes: &Path) -> io::Result<Vec<Kubeadm>> {
    let own = identity(kubernetes).ok();
    let boot = boot_time(processes);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(processes)? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let process = processes.join(u32::to_string(&pid));
        // It may have ended meanwhile.
        let Ok(command_line) = std::fs::read(process.join("cmdline")) else {
            continue;
        };
        let Some(command) = changing_command(&arguments(&command_line)) else {
            continue;
        };
        if works_elsewhere(&process, own) {
            continue;
        }
        found.push(Kubeadm {
            pid,
            command,
            since: boot.and_then(|boot| started(&process, boot)),
        });
    }
    found.sort_by_key(|one| one.pid);
    Ok(found)
}

/// When anything in kubeadm's scratch directory last changed: an upgrade from a container that shares no processes with this
/// one shows only there. `None` where there is no such directory.
///
/// # Errors
/// When it cannot be read.
pub fn scratch_changed(kubernetes: &Path) -> io::Result<Option<Timestamp>> {
    let directory = kubernetes.join("tmp");
    let listed = match std::fs::read_dir(&directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut newest = std::fs::metadata(&directory)?.modified()?;
    for entry in listed {
        if let Ok(modified) = entry?.metadata().and_then(|metadata| metadata.modified()) {
            newest = newest.max(modified);
        }
    }
    Ok(Timestamp::try_from(newest).ok())
}

/// `kubeadm upgrade apply`, for a kubeadm that writes; `None` for any other program and for what only reads.
fn changing_command(arguments: &[String]) -> Option<String> {
    let (program, rest) = arguments.split_first()?;
    if program.rsplit('/').next() != Some("kubeadm") || rest.iter().any(|word| is_help(word)) {
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

fn arguments(command_line: &[u8]) -> Vec<String> {
    command_line
        .split(|byte| *byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

fn works_elsewhere(process: &Path, own: Option<(u64, u64)>) -> bool {
    match (own, identity(&process.join("root/etc/kubernetes"))) {
        (Some(own), Ok(theirs)) => own != theirs,
        (Some(_), Err(error)) => error.kind() == io::ErrorKind::NotFound,
        (None, _) => false,
    }
}

fn identity(directory: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(directory).map(|metadata| (metadata.dev(), metadata.ino()))
}

fn boot_time(processes: &Path) -> Option<i64> {
    let text = std::fs::read_to_string(processes.join("stat")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn started(process: &Path, boot: i64) -> Option<Timestamp> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; the start is the 22nd.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    Timestamp::from_second(boot + i64::try_from(ticks / TICKS).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
