//! Processes, as the kernel shows them in a directory such as `/proc`.
//!
//! Any pod and any local user can start processes, as many as he likes, under any name and with megabytes of arguments. So every
//! read here is bounded, and what a process says of itself (its name and arguments) is asked for only where the kernel has
//! said whose it is.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::read::text;

/// So many processes are looked at; a machine that has more is not searched to the end.
pub const MOST_PROCESSES: usize = 65_536;

/// As much of the kernel's own small files is read.
const SMALL: u64 = 16 * 1024;

/// Groups (cgroups) in which container runtimes and service managers for machines put what is not the host's, by how their names begin.
const CONTAINER_GROUPS: [&str; 9] = [
    "kubepods",
    "cri-containerd-",
    "crio-",
    "docker-",
    "libpod",
    "nerdctl-",
    "lxc.payload",
    "machine.slice",
    "machine-",
];
/// The same, whole names: the runtimes' cgroupfs drivers put containers below these.
const CONTAINER_PARENTS: [&str; 4] = ["docker", "lxc", "podman", "containerd"];

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    directory: PathBuf,
    own: Arc<Own>,
}

/// What is known of this program itself, by which others are judged.
#[derive(Debug, PartialEq, Eq)]
struct Own {
    /// Its cgroups that are containers'.
    containers: Vec<String>,
    /// `None` where it cannot be told.
    user_namespace: Option<PathBuf>,
}

/// The processes that were listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// At most [`MOST_PROCESSES`], by number.
    pub all: Vec<Process>,
    /// Whether there are more.
    pub more: bool,
}

/// The processes that `directory` shows.
///
/// # Errors
/// When it cannot be listed.
pub fn processes(directory: &Path) -> io::Result<Processes> {
    let mut found = Processes::default();
    let own = Arc::new(Own {
        containers: own_containers(),
        user_namespace: std::fs::read_link("/proc/self/ns/user").ok(),
    });
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if found.all.len() == MOST_PROCESSES {
            found.more = true;
            break;
        }
        found.all.push(Process {
            pid,
            directory: entry.path(),
            own: Arc::clone(&own),
        });
    }
    found.all.sort_by_key(|process| process.pid);
    Ok(found)
}

impl Process {
    /// Whether it is a program of this machine's root user: every user id of it is 0 here, and it is in no user namespace of
    /// its own as far as that can be told. The kernel's own threads are none.
    #[must_use]
    pub fn is_roots(&self) -> bool {
        // Of one that keeps its memory to itself root is shown as the owner, so the owner alone is not enough.
        let status = self.small("status").ok();
        status.is_none_or(|status| !is_without_memory(&status) && may_be_roots(&status))
            && self.is_owned_by(0)
            && !self.is_in_another_user_namespace()
    }

    /// Whether it belongs to this user.
    #[must_use]
    pub fn is_owned_by(&self, user: u32) -> bool {
        std::fs::symlink_metadata(&self.directory).is_ok_and(|metadata| metadata.uid() == user)
    }

    /// Whether it is in a container's or pod's cgroup, other than one that this program itself is in. What cannot be read tells
    /// nothing.
    #[must_use]
    pub fn is_in_container(&self) -> bool {
        self.groups()
            .iter()
            .any(|group| is_containers(beyond(group, &self.own.containers)))
    }

    /// Whether it is in a pod's cgroup; both of the kubelet's cgroup drivers name them so.
    #[must_use]
    pub fn is_in_pod(&self) -> bool {
        self.groups()
            .iter()
            .any(|group| group.split('/').any(|part| part.starts_with("kubepods")))
    }

    /// Whether it is in the cgroup of a unit of the system (not of a user's) whose name begins so.
    #[must_use]
    pub fn is_of_unit(&self, begins: &str) -> bool {
        !self.is_in_container()
            && self.groups().iter().any(|group| {
                let mut parts = group.split('/').skip_while(|part| *part != "system.slice");
                parts.next().is_some() && parts.any(|part| part.starts_with(begins))
            })
    }

    /// Its program's name, at most 15 letters: whatever it likes to be called.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let name = self.small("comm").ok()?;
        Some(name.trim_end_matches('\n').to_owned())
    }

    /// Its arguments, of which `limit` bytes are read: whatever it likes to show. `None` where it has ended, shows none, or
    /// shows more and `whole` is asked for.
    #[must_use]
    pub fn arguments(&self, limit: usize, whole: bool) -> Option<Vec<String>> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut bytes = read(&self.directory.join("cmdline"), limit.saturating_add(1)).ok()?;
        if bytes.len() as u64 > limit {
            if whole {
                return None;
            }
            bytes.pop();
        }
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        (!bytes.is_empty()).then(|| {
            bytes
                .split(|byte| *byte == 0)
                .map(|argument| String::from_utf8_lossy(argument).into_owned())
                .collect()
        })
    }

    /// When it started, in clock ticks after boot: the 22nd field of proc_pid_stat(5).
    #[must_use]
    pub fn started(&self) -> Option<u64> {
        let stat = self.small("stat").ok()?;
        // The second field is the program's name in parentheses and may hold anything, parentheses and line breaks too.
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(19)?.parse().ok()
    }

    /// What it sees as its root directory; refused without the right to trace it.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    fn is_in_another_user_namespace(&self) -> bool {
        let own = &self.own.user_namespace;
        let theirs = std::fs::read_link(self.directory.join("ns/user")).ok();
        own.is_some() && theirs.is_some() && *own != theirs
    }

    fn groups(&self) -> Vec<String> {
        self.small("cgroup").map(paths).unwrap_or_default()
    }

    fn small(&self, file: &str) -> io::Result<String> {
        read(&self.directory.join(file), SMALL).map(text)
    }
}

/// The cgroups of this program itself that are containers' (kubecertd on a node that is one), each with its innermost one.
fn own_containers() -> Vec<String> {
    let own = read(Path::new("/proc/self/cgroup"), SMALL).unwrap_or_default();
    paths(text(own))
        .into_iter()
        .filter_map(|group| innermost_container(&group).map(str::to_owned))
        .collect()
}

/// Whether real, effective, saved and file system user id, as this process sees them (proc_pid_status(5)), are all root's, or
/// cannot be told.
fn may_be_roots(status: &str) -> bool {
    // The name comes first and cannot hold a line break there: the kernel writes one as \n.
    let Some(ids) = status.lines().find_map(|line| line.strip_prefix("Uid:")) else {
        return true;
    };
    ids.split_whitespace()
        .all(|id| id.parse().map_or(true, |id: u32| id == 0))
}

/// Whether it is a thread of the kernel's, of which there are most, or has ended: it has no arguments and does nothing to
/// files. `false` where not enough of the lines was read.
fn is_without_memory(status: &str) -> bool {
    let has = |field: &str| status.lines().any(|line| line.starts_with(field));
    // The number of threads comes after the memory.
    has("Threads:") && !has("VmSize:")
}

/// The paths of cgroup(7)'s lines `7:cpu:/path`.
fn paths(text: String) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .map(str::to_owned)
        .collect()
}

/// The path up to the last container in it: below its own, a machine in a container is like any other.
fn innermost_container(group: &str) -> Option<&str> {
    let mut end = None;
    let mut position = 0;
    let mut below_parent = false;
    for part in group.split('/') {
        position += part.len();
        if is_container(part) || below_parent {
            end = Some(position);
        }
        below_parent = CONTAINER_PARENTS.contains(&part);
        position += 1;
    }
    group.get(..end?)
}

/// What of a path lies below one of these.
fn beyond<'path>(group: &'path str, own: &[String]) -> &'path str {
    own.iter()
        .filter_map(|own| group.strip_prefix(own.as_str()))
        .find(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(group)
}

fn is_containers(group: &str) -> bool {
    group.split('/').any(is_container)
}

fn is_container(part: &str) -> bool {
    // docker.service is the host's, and so is a unit with a name of that kind.
    CONTAINER_PARENTS.contains(&part)
        || (!part.ends_with(".service")
            && CONTAINER_GROUPS.iter().any(|begin| part.starts_with(begin)))
}

fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Room for what nearly always comes, so that the kernel is asked once and not for a little first.
    let mut bytes = Vec::with_capacity(2048);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last component of a program's path: what it is called.
pub(crate) fn program_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    fn process(files: &[(&str, &str)]) -> (Process, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("7")).unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join("7").join(name), text).unwrap();
        }
        let mut found = processes(directory.path()).unwrap().all;
        (found.remove(0), directory)
    }

    #[test]
    fn a_name_of_any_kind_hides_no_start() {
        let rest = "S 1 7 7 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 4711 1 1";
        for name in ["kubeadm", "a) R 2", "(((", ")\n) S 1 1", "\n"] {
            let (process, _kept) = process(&[("stat", &format!("7 ({name}) {rest}"))]);
            assert_eq!(process.started(), Some(4711), "{name:?}");
        }
        assert_eq!(process(&[("stat", "7 (a")]).0.started(), None);
    }

    #[test]
    fn only_a_few_bytes_of_the_arguments_are_read() {
        let long = format!("kubeadm\0init\0{}", "x".repeat(3_000_000));
        let (process, _kept) = process(&[("cmdline", &long)]);
        let first = process.arguments(100, false).unwrap();
        assert_eq!(first[..2], ["kubeadm", "init"]);
        assert_eq!(first.concat().len(), 98);
        assert_eq!(process.arguments(100, true), None);
    }

    #[test]
    fn containers_are_known_by_their_groups() {
        for (groups, expected) in [
            ("0::/user.slice/user-0.slice/session-3.scope\n", false),
            ("0::/system.slice/cloud-final.service\n", false),
            ("0::/system.slice/docker.service\n", false),
            ("0::/system.slice/crio-upgrade.service\n", false),
            ("0::/\n", false),
            ("", false),
            (
                "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-a.scope\n",
                true,
            ),
            ("0::/kubelet/kubepods/burstable/pod1/abc\n", true),
            ("2:cpu:/\n1:name=systemd:/docker/abc\n", true),
            ("0::/system.slice/docker-0a1b.scope\n", true),
            ("0::/machine.slice/libpod-0a1b.scope/container\n", true),
            ("0::/../../kubepods.slice/x\n", true),
            ("0::/lxc.payload.one/init.scope\n", true),
            ("0::/a:b/kubepods/c\n", true),
        ] {
            let (process, _kept) = process(&[("cgroup", groups)]);
            assert_eq!(process.is_in_container(), expected, "{groups}");
        }
    }

    #[test]
    fn a_machine_that_is_a_container_has_processes_of_its_own() {
        let own = |group| vec![innermost_container(group).unwrap().to_owned()];
        let node = own("/docker/abc/system.slice/kubecertd.service");
        assert_eq!(node, ["/docker/abc"]);
        for (group, expected) in [
            ("/docker/abc/user.slice/x", false),
            ("/docker/abc/kubelet/kubepods/pod1/c", true),
            ("/docker/abcd/x", true),
        ] {
            assert_eq!(is_containers(beyond(group, &node)), expected, "{group}");
        }
        assert_eq!(innermost_container("/system.slice/x.service"), None);
    }

    #[test]
    fn only_roots_processes_are_roots() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        for (ids, expected) in [
            ("0\t0\t0\t0", true),
            ("65534\t65534\t65534\t65534", false),
            ("1000\t0\t0\t0", false),
            // A thread of the kernel's, a program, and one of which too little was read to tell.
            ("0\t0\t0\t0\nThreads:\t1", false),
            ("0\t0\t0\t0\nVmSize:\t9 kB\nThreads:\t1", true),
            ("0\t0\t0\t0\nGroups:\t", true),
            ("0\t1000\t0\t0", false),
        ] {
            // A name with a line break: the kernel shows it as two letters.
            let status = format!("Name:\tkube\\nUid:\t0\nUmask:\t0022\nUid:\t{ids}\nGid:\t0\n");
            let (process, _kept) = process(&[("status", &status)]);
            assert_eq!(process.is_roots(), expected, "{ids}");
        }
    }

    #[test]
    fn a_service_of_the_system_is_known_by_its_unit() {
        for (groups, expected) in [
            ("0::/system.slice/chrony.service\n", true),
            (
                "0::/system.slice/system-chrony.slice/chronyd.service\n",
                true,
            ),
            ("0::/user.slice/user-1000.slice/chrony.service\n", false),
            ("0::/system.slice/nginx.service\n", false),
            ("0::/kubepods.slice/x/system.slice/chrony.service\n", false),
        ] {
            let (process, _kept) = process(&[("cgroup", groups)]);
            assert_eq!(process.is_of_unit("chrony"), expected, "{groups}");
        }
    }
}
