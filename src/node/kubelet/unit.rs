//! The kubelet's command line, from its systemd unit with its drop-ins and the environment files that they name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::words::{assignments, words};
use crate::host::Root;
use crate::node::{
    Fault, NamedBy, Problem, read,
    units::{service_settings, text},
};

const UNIT: &str = "kubelet.service";

/// As kubeadm's drop-in has it: for a kubelet whose unit is not known.
const KUBEADMS: &str = "kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS";

/// The files that kubeadm's drop-in names, on one distribution or another.
const KUBEADMS_FILES: [&str; 2] = ["/etc/default/kubelet", "/etc/sysconfig/kubelet"];

/// What a unit says of the command.
#[derive(Debug, Default)]
pub(super) struct Unit {
    exec_start: Option<String>,
    environment: Vec<(String, String)>,
    /// Paths of the node; true where a missing one is an error to systemd.
    environment_files: Vec<(PathBuf, bool)>,
}

/// The words of the kubelet's command line. `kubeadms_flags`: kubeadm's own environment file.
pub(super) fn command_line(
    root: &Root,
    kubeadms_flags: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let mut unit = Unit::default();
    for setting in service_settings(root, UNIT, problems) {
        unit.add(&setting.key, &setting.value);
    }
    if unit.exec_start.is_none() {
        let known = [kubeadms_flags.to_path_buf()]
            .into_iter()
            .chain(KUBEADMS_FILES.iter().map(|path| root.join(path)))
            .map(|path| (root.node_path(&path), false));
        unit.environment_files.extend(known);
    }
    let mut environment: BTreeMap<String, String> = unit.environment.into_iter().collect();
    for (path, is_needed) in unit.environment_files {
        let path = root.join(path);
        match text(root, &path, problems) {
            Some(text) => environment.extend(assignments(&text)),
            None if is_needed && matches!(read::size(root, &path), read::Size::Missing) => {
                problems.push(Problem {
                    path,
                    fault: Fault::DoesNotExist {
                        named_by: NamedBy::KubeletUnit,
                    },
                });
            }
            None => {}
        }
    }
    expand(unit.exec_start.as_deref().unwrap_or(KUBEADMS), &environment)
}

impl Unit {
    /// Adds an assignment; an empty value takes back what was said before it.
    fn add(&mut self, key: &str, value: &str) {
        match key {
            "ExecStart" => {
                let command = value.trim_start_matches(['-', '@', ':', '+', '!', '|']);
                self.exec_start = (!command.is_empty()).then(|| command.to_owned());
            }
            "Environment" => {
                if value.is_empty() {
                    self.environment.clear();
                }
                self.environment
                    .extend(words(value).into_iter().filter_map(|word| {
                        let (name, value) = word.split_once('=')?;
                        Some((name.to_owned(), value.to_owned()))
                    }));
            }
            "EnvironmentFile" => {
                if value.is_empty() {
                    self.environment_files.clear();
                } else {
                    let path = value.strip_prefix('-');
                    self.environment_files
                        .push((PathBuf::from(path.unwrap_or(value)), path.is_none()));
                }
            }
            _ => {}
        }
    }
}

/// The words of a command with its variables filled in (systemd.service(5)): `$NAME` alone becomes as many words as its value
/// has, `${NAME}` a part of one.
fn expand(command: &str, environment: &BTreeMap<String, String>) -> Vec<String> {
    let value = |name: &str| environment.get(name).map_or("", String::as_str);
    let mut expanded = Vec::new();
    for word in words(command) {
        match word.strip_prefix('$') {
            Some(name) if is_name(name) => expanded.extend(words(value(name))),
            _ => expanded.push(filled_in(&word, &value)),
        }
    }
    expanded
}

fn filled_in<'v>(word: &str, value: &dyn Fn(&str) -> &'v str) -> String {
    let mut filled = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if is_name(name) => {
                filled.push_str(value(name));
                rest = after;
            }
            _ => {
                filled.push_str("${");
                rest = after;
            }
        }
    }
    filled + rest
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use crate::node::units;
    use proptest::prelude::*;

    fn line(files: &[(&str, &str)]) -> (Vec<String>, Vec<Problem>) {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path()).unwrap();
        for (path, text) in files {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            if *text == "/dev/null" {
                std::os::unix::fs::symlink(text, root.join(path)).unwrap();
            } else {
                std::fs::write(root.join(path), text).unwrap();
            }
        }
        let mut problems = Vec::new();
        let flags = root.join("/var/lib/kubelet/kubeadm-flags.env");
        (command_line(&root, &flags, &mut problems), problems)
    }

    /// As the packages of Kubernetes have it.
    const KUBEADM: &str = "# Note\n[Service]\n\
        Environment=\"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/b.conf --kubeconfig=/k.conf\"\n\
        Environment=\"KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml\"\n\
        EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nEnvironmentFile=-/etc/default/kubelet\n\
        ExecStart=\nExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS \\\n  $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS\n";

    #[test]
    fn unit_drop_ins_and_environment_files_make_the_command_line() {
        let (words, problems) = line(&[
            (
                "/usr/lib/systemd/system/kubelet.service",
                "[Unit]\nExecStart=no\n[Service]\nExecStart=/usr/bin/kubelet\n",
            ),
            (
                "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
                KUBEADM,
            ),
            (
                "/usr/lib/systemd/system/kubelet.service.d/20-no.conf",
                "[Service]\nEnvironment=KUBELET_CONFIG_ARGS=--config=/no\n",
            ),
            (
                "/etc/systemd/system/kubelet.service.d/20-no.conf",
                "/dev/null",
            ),
            (
                "/etc/systemd/system/kubelet.service.d/30-mine.conf",
                "[Service]\nEnvironment='KUBELET_EXTRA_ARGS=--port=1' A=b\n",
            ),
            (
                "/var/lib/kubelet/kubeadm-flags.env",
                "KUBELET_KUBEADM_ARGS=\"--config-dir=/d --x 'a b'\"\n",
            ),
            ("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--port=2\n"),
            ("/etc/sysconfig/kubelet", "KUBELET_EXTRA_ARGS=--port=3\n"),
        ]);
        assert_eq!(
            words,
            [
                "/usr/bin/kubelet",
                "--bootstrap-kubeconfig=/b.conf",
                "--kubeconfig=/k.conf",
                "--config=/var/lib/kubelet/config.yaml",
                "--config-dir=/d",
                "--x",
                "a b",
                "--port=2"
            ]
        );
        assert_eq!(problems, []);
    }

    #[test]
    fn a_drop_in_alone_is_added_to_what_kubeadm_has() {
        let (words, problems) = line(&[
            (
                "/etc/systemd/system/kubelet.service.d/20-x.conf",
                "[Service]\nEnvironment=\"KUBELET_CONFIG_ARGS=--config-dir=/d\"\n",
            ),
            (
                "/var/lib/kubelet/kubeadm-flags.env",
                "KUBELET_KUBEADM_ARGS=--a\n",
            ),
            ("/etc/sysconfig/kubelet", "KUBELET_EXTRA_ARGS=--b\n"),
        ]);
        assert_eq!(words, ["kubelet", "--config-dir=/d", "--a", "--b"]);
        assert_eq!(problems, []);
        assert_eq!(line(&[]), (vec!["kubelet".to_owned()], Vec::new()));
    }

    #[test]
    fn variables_within_words_and_files_that_must_be_there() {
        let (words, problems) = line(&[(
            "/etc/systemd/system/kubelet.service",
            "[Service]\nEnvironment=A=1 B=\nEnvironmentFile=/etc/gone\nExecStart=-/k --port=1${A}0${B} $C ${D --x=$A\n",
        )]);
        assert_eq!(words, ["/k", "--port=110", "${D", "--x=$A"]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0]
                .fault
                .to_string()
                .starts_with("does not exist, but the kubelet's unit names it")
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\[Service\\]\n)?(ExecStart=|Environment=)?\\PC{0,40}") {
            let mut unit = Unit::default();
            for (key, value) in units::assignments(&text) {
                unit.add(&key, &value);
            }
            let environment = unit.environment.into_iter().collect();
            expand(unit.exec_start.as_deref().unwrap_or(KUBEADMS), &environment);
        }
    }
}
