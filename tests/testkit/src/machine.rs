//! Nodes that are all the same: a small root file system with the program in it, in memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::control_plane::{ControlPlane, KUBECONFIGS, NO_PORT_YET};
use crate::node::Node;
use crate::tree::{Entry, Tree, in_memory};

const PROGRAM: &str = "/usr/sbin/kubecertd";

/// What is the same on every node.
pub struct Template {
    node: Node,
    /// The program without its debug information, and the libraries it needs, by their paths on the node.
    files: BTreeMap<PathBuf, PathBuf>,
    /// For nodes, and for `files`: in memory where that is possible.
    directory: tempfile::TempDir,
    /// Those that this process may use, and how many nodes there were.
    processors: Vec<usize>,
    nodes: AtomicUsize,
}

impl Template {
    pub fn made() -> Self {
        let directory = in_memory();
        let node = Node::with_authorities();
        for (name, user) in [
            ("apiserver", "kube-apiserver"),
            ("apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
        ] {
            node.leaf(name, &node.ca, user);
        }
        for (name, user) in [
            ("apiserver-etcd-client", "kube-apiserver-etcd-client"),
            ("etcd/healthcheck-client", "kube-etcd-healthcheck-client"),
            ("etcd/server", "cp1"),
            ("etcd/peer", "cp1"),
        ] {
            node.leaf(name, &node.etcd_ca, user);
        }
        let front_proxy = &node.front_proxy_ca;
        node.leaf("front-proxy-client", front_proxy, "front-proxy-client");
        for (name, user) in KUBECONFIGS {
            node.write_kubeconfig(name, NO_PORT_YET, &node.ca, user);
        }
        node.write_kubelet_settings(
            "containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n",
        );
        node.configure("[restart]\ntimeout = \"10s\"\n");
        for path in ["/proc", "/tmp"] {
            fs::create_dir_all(node.path(path)).unwrap();
        }
        Self {
            files: program(directory.path()),
            node,
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

    pub fn authorities(&self) -> &Node {
        &self.node
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
    let binary = crate::program();
    let done = Command::new("strip")
        .arg("--strip-debug")
        .arg(binary)
        .arg("-o")
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

/// A node that is the whole machine to the program that runs on it.
pub struct Machine {
    tree: Tree,
    pub control_plane: ControlPlane,
    /// As it was at the beginning.
    pub before: BTreeMap<String, Entry>,
    processor: usize,
}

impl Deref for Machine {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl Machine {
    pub async fn start(template: &Template, is_wary: bool) -> Self {
        let tree = Tree::inside(tempfile::tempdir_in(template.directory.path()).unwrap());
        tree.copy_from(&template.node);
        for (path, file) in &template.files {
            let path = tree.path(path.to_str().unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::hard_link(file, path).unwrap();
        }
        let control_plane =
            ControlPlane::start(tree.directory.path(), &template.node, is_wary).await;
        let mut node = Self {
            tree,
            control_plane,
            before: BTreeMap::new(),
            processor: template.next_processor(),
        };
        node.before = node.cluster();
        node
    }

    /// The program with these arguments, for which this node is the whole machine. It has one processor, so that its first
    /// thread does everything, always in the same order.
    pub fn command(&self, arguments: &[&str]) -> Vec<OsString> {
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

    pub fn run(&self, arguments: &[&str]) -> Output {
        let command = self.command(arguments);
        let output = Command::new(&command[0]).args(&command[1..]).output();
        output.unwrap()
    }

    /// Every file below /etc/kubernetes.
    pub fn cluster(&self) -> BTreeMap<String, Entry> {
        self.entries("/etc/kubernetes")
    }
}
