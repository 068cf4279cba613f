//! A component's processes, for nodes on which no container runtime can be asked.

use std::collections::BTreeSet;
use std::path::Path;

use crate::host::process;
use crate::node::StaticPod;

/// One process; the start time tells it from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Clock ticks after boot (proc_pid_stat(5)).
    started: u64,
}

/// More than any manifest's command.
const ARGUMENTS: usize = 256 * 1024;

/// The processes that run what the pod's manifest says: of those in pods, and of those of the user whom this program runs as.
/// Any other user can give a process any name. Processes that end while being looked at are not among them.
pub(crate) fn processes_of(pod: &StaticPod) -> BTreeSet<Process> {
    let Ok(listed) = process::processes(Path::new("/proc")) else {
        return BTreeSet::new();
    };
    let own = nix::unistd::geteuid().as_raw();
    listed
        .all
        .iter()
        .filter(|process| {
            let in_pod = process.is_in_pod();
            (in_pod || process.is_owned_by(own))
                && process.arguments(ARGUMENTS, true).is_some_and(|arguments| {
                    pod.containers.iter().any(|container| {
                        runs_command(&arguments, &container.command)
                            || (in_pod && runs_arguments(&arguments, &container.command))
                    })
                })
        })
        .filter_map(|process| {
            Some(Process {
                pid: process.pid,
                started: process.started()?,
            })
        })
        .collect()
}

/// Whether the arguments are the manifest's command; the kubelet has filled in its `$(VARIABLES)`.
fn runs_command(arguments: &[String], command: &[String]) -> bool {
    match (arguments.split_first(), command.split_first()) {
        (Some((program, rest)), Some((wanted, wanted_rest))) => {
            process::program_name(program) == process::program_name(wanted)
                && same(rest, wanted_rest)
        }
        _ => false,
    }
}

/// Whether a program that the image names was given the manifest's `args`.
fn runs_arguments(arguments: &[String], command: &[String]) -> bool {
    !command.is_empty()
        && arguments
            .split_first()
            .is_some_and(|(_, rest)| same(rest, command))
}

fn same(arguments: &[String], wanted: &[String]) -> bool {
    arguments.len() == wanted.len()
        && arguments
            .iter()
            .zip(wanted)
            .all(|(argument, wanted)| argument == wanted || wanted.contains("$("))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Root;

    fn pod(command: &[&str]) -> StaticPod {
        let command: String = command
            .iter()
            .map(|part| format!("    - {part}\n"))
            .collect();
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\nspec:\n  containers:\n  - name: x\n    image: x\n    command:\n{command}"
        );
        StaticPod::parse(Path::new("/m/x.yaml"), &text, &Root::default()).unwrap()
    }

    #[test]
    fn only_the_manifests_own_process_counts() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("61.25")
            .spawn()
            .unwrap();
        // Until it has become the other program it has this one's name.
        let mut found = BTreeSet::new();
        for _ in 0..100 {
            found = processes_of(&pod(&["sleep", "\"61.25\""]));
            if !found.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let other = processes_of(&pod(&["sleep", "\"61.26\""]));
        let variable = processes_of(&pod(&["sleep", "$(SECONDS)"]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().unwrap().pid, child.id());
        assert!(other.is_empty(), "another process of the name counted");
        assert!(variable.is_superset(&found));
        assert!(processes_of(&pod(&["sleep", "\"61.25\""])).is_empty());
    }

    #[test]
    fn arguments_for_the_images_own_program_count_inside_pods_only() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(runs_arguments(
            &words(&["/kube-vip", "manager"]),
            &words(&["manager"])
        ));
        assert!(!runs_arguments(
            &words(&["/kube-vip"]),
            &words(&["manager"])
        ));
        assert!(!runs_command(
            &words(&["/kube-vip", "manager"]),
            &words(&["manager"])
        ));
    }
}
