//! Nodes that are all the same: a small root file system with the program in it, in memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use kubecertd::host::Root;

use crate::control_plane::{ControlPlane, KUBECONFIGS, NO_PORT_YET};
use crate::restart_support::Tree;

const PROGRAM: &str = "/usr/sbin/kubecertd";

/// What is the same on every node.
pub(crate) struct Template {
    tree: Tree,
    /// The program without its debug information, and the libraries it needs, by their paths on the node.
    files: BTreeMap<PathBuf, PathBuf>,
    /// For nodes, and for `files`: in memory where that is possible.
    directory: tempfile::TempDir,
    /// Those that this process may use, and how many nodes there were.
    processors: Vec<usize>,
    nodes: AtomicUsize,
}

impl Template {
    pub(crate) fn new() -> Self {
        let directory =
            tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap());
        let tree = Tree::new();
        for (name, user) in [
            ("apiserver", "kube-apiserver"),
            ("apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
        ] {
            tree.leaf(name, &tree.ca, user);
        }
        for (name, user) in [
            ("apiserver-etcd-client", "kube-apiserver-etcd-client"),
            ("etcd/healthcheck-client", "kube-etcd-healthcheck-client"),
            ("etcd/server", "cp1"),
            ("etcd/peer", "cp1"),
        ] {
            tree.leaf(name, &tree.etcd_ca, user);
        }
        let front_proxy = &tree.front_proxy_ca;
        tree.leaf("front-proxy-client", front_proxy, "front-proxy-client");
        for (name, user) in KUBECONFIGS {
            tree.kubeconfig(name, NO_PORT_YET, &tree.ca, user);
        }
        tree.write("/etc/hostname", "cp1\n");
        tree.write(
            "/var/lib/kubelet/config.yaml",
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nhealthzPort: 0\n\
             staticPodPath: /etc/kubernetes/manifests\n\
             containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n",
        );
        tree.write(
            "/etc/kubecertd/kubecertd.toml",
            "[restart]\ntimeout = \"10s\"\n",
        );
        for path in ["/proc", "/tmp"] {
            fs::create_dir_all(tree.path(path)).unwrap();
        }
        Self {
            files: program(directory.path()),
            tree,
            directory,
            processors: processors(),
            nodes: AtomicUsize::new(0),
        }
    }

    /// One after the other.
    fn next_processor(&self) -> usize {
        let number = self.nodes.fetch_add(1, Ordering::Relaxed);
        self.processors[number % self.processors.len()]
    }

    pub(crate) fn authorities(&self) -> &Tree {
        &self.tree
    }
}

/// As proc(5) has it: `Cpus_allowed_list:`, then `0-3,8`.
fn processors() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap();
    let ranges = list.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse().unwrap()..=last.parse().unwrap()
    });
    ranges.flatten().collect()
}

fn program(directory: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let stripped = directory.join("kubecertd");
    let binary = env!("CARGO_BIN_EXE_kubecertd");
    let done = Command::new("strip")
        .args(["--strip-debug", binary, "-o"])
        .arg(&stripped)
        .status();
    assert!(done.unwrap().success(), "strip");
    let mut files = BTreeMap::from([(PathBuf::from(PROGRAM), stripped)]);
    let listed = Command::new("ldd").arg(binary).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for (number, library) in libraries.enumerate() {
        let copy = directory.join(number.to_string());
        fs::copy(library, &copy).unwrap();
        files.insert(PathBuf::from(library), copy);
    }
    files
}

/// Everything that can be said about one file of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) contents: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
}

pub(crate) struct Node {
    pub(crate) root: Root,
    pub(crate) control_plane: ControlPlane,
    /// As it was at the beginning.
    pub(crate) before: BTreeMap<String, Entry>,
    processor: usize,
    _directory: tempfile::TempDir,
}

impl Node {
    pub(crate) async fn start(template: &Template, is_wary: bool) -> Self {
        let directory = tempfile::tempdir_in(template.directory.path()).unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template.tree.root.directory().join("."))
            .arg(directory.path())
            .status();
        assert!(copied.unwrap().success());
        for (path, file) in &template.files {
            let path = directory.path().join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::hard_link(file, path).unwrap();
        }
        let control_plane = ControlPlane::start(directory.path(), &template.tree, is_wary).await;
        let root = Root::new(directory.path()).unwrap();
        let mut node = Self {
            root,
            control_plane,
            before: BTreeMap::new(),
            processor: template.next_processor(),
            _directory: directory,
        };
        node.before = node.cluster();
        node
    }

    /// The program with these arguments, for which this node is the whole machine. It has one processor, so that its first
    /// thread does everything, always in the same order.
    pub(crate) fn command(&self, arguments: &[&str]) -> Vec<OsString> {
        let mut command = vec![
            "taskset".into(),
            "--cpu-list".into(),
            self.processor.to_string().into(),
            "chroot".into(),
            self.root.directory().into(),
            PROGRAM.into(),
        ];
        command.extend(arguments.iter().map(OsString::from));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let command = self.command(arguments);
        let output = Command::new(&command[0]).args(&command[1..]).output();
        output.unwrap()
    }

    /// Every file below /etc/kubernetes.
    pub(crate) fn cluster(&self) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        self.walk(&self.root.join("/etc/kubernetes"), &mut entries);
        entries
    }

    fn walk(&self, directory: &Path, entries: &mut BTreeMap<String, Entry>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                self.walk(&path, entries);
            }
            let entry = Entry {
                contents: if metadata.is_dir() {
                    Vec::new()
                } else {
                    fs::read(&path).unwrap()
                },
                mode: metadata.permissions().mode(),
                owner: (metadata.uid(), metadata.gid()),
            };
            let name = self.root.node_path(&path).display().to_string();
            entries.insert(name, entry);
        }
    }
}
