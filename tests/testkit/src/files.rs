//! Nodes whose files hold plain text, for transactions, which look into none: certificates in pairs, a kubeconfig, manifests.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kubecertd::files::{Operation, recover};
use kubecertd::issuer::Replacement;
use kubecertd::journal::{Lock, Outcome, Store, TransactionError, Trigger};

use crate::tree::{Entry, Tree};

/// Certificate, file, mode; key before certificate. The first four pairs of lines exist, `fresh` does not.
pub const FILES: [(&str, &str, u32); 7] = [
    ("apiserver", "/etc/kubernetes/pki/apiserver.key", 0o600),
    ("apiserver", "/etc/kubernetes/pki/apiserver.crt", 0o644),
    ("etcd-server", "/etc/kubernetes/pki/etcd/server.key", 0o600),
    ("etcd-server", "/etc/kubernetes/pki/etcd/server.crt", 0o640),
    ("scheduler.conf", "/etc/kubernetes/scheduler.conf", 0o600),
    ("fresh", "/etc/kubernetes/pki/fresh.key", 0o600),
    ("fresh", "/etc/kubernetes/pki/fresh.crt", 0o644),
];

pub const MANIFESTS: [&str; 2] = [
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
];

/// What a tree holds.
#[derive(Debug)]
pub struct Layout {
    /// As in [`FILES`].
    pub files: &'static [(&'static str, &'static str, u32)],
    /// Those of them that do not exist yet.
    pub missing: &'static [&'static str],
    pub manifests: &'static [&'static str],
}

/// A few of everything.
pub static SMALL: Layout = Layout {
    files: &FILES,
    missing: &[FILES[5].1, FILES[6].1],
    manifests: &MANIFESTS,
};

/// A node whose files hold plain text.
pub struct Plain {
    tree: Tree,
    pub layout: &'static Layout,
    pub store: Store,
}

impl Deref for Plain {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self::new()
    }
}

impl Plain {
    pub fn new() -> Self {
        let node = Self::of(Tree::new(), &SMALL);
        node.populate();
        node
    }

    /// In memory where that is possible: for tests that make hundreds of trees and flush each.
    pub fn fleeting(layout: &'static Layout) -> Self {
        let node = Self::of(Tree::in_memory(), layout);
        node.populate();
        node
    }

    /// The same as this one is now, in memory.
    pub fn copy(&self) -> Self {
        let tree = Tree::in_memory();
        tree.copy_from(self);
        Self::of(tree, self.layout)
    }

    /// A tree that another process made and removes.
    pub fn at(path: &Path, layout: &'static Layout) -> Self {
        Self::of(Tree::at(path), layout)
    }

    fn of(tree: Tree, layout: &'static Layout) -> Self {
        Self {
            store: Store::new(&tree.root),
            layout,
            tree,
        }
    }

    pub fn populate(&self) {
        std::fs::create_dir_all(self.path("/etc/kubernetes/pki/etcd")).unwrap();
        std::fs::create_dir_all(self.path("/etc/kubernetes/manifests")).unwrap();
        for (_, path, mode) in self.layout.files {
            if !self.layout.missing.contains(path) {
                self.write(path, &format!("old {path}\n"), *mode);
            }
        }
        for manifest in self.layout.manifests {
            self.write(manifest, &format!("kind: Pod # {manifest}\n"), 0o600);
        }
    }

    pub fn write(&self, node_path: &str, contents: &str, mode: u32) {
        let path = self.tree.write(node_path, contents);
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    pub fn replacements(&self, wording: &str) -> Vec<Replacement> {
        self.layout
            .files
            .iter()
            .map(|(name, path, mode)| self.replacement(name, path, wording, *mode))
            .collect()
    }

    pub fn replacement(&self, name: &str, path: &str, wording: &str, mode: u32) -> Replacement {
        Replacement {
            id: name.into(),
            path: self.path(path),
            contents: format!("{wording} {path}\n").into_bytes().into(),
            mode_if_new: mode,
            given: kubecertd::issuer::Given::default(),
        }
    }

    /// Waits a little: a child that another test thread is just starting holds every open file until it executes.
    pub fn lock(&self) -> Lock {
        for _ in 0..500 {
            match Lock::take(&self.store) {
                Err(TransactionError::Busy { .. }) => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                taken => return taken.unwrap(),
            }
        }
        panic!("the lock stays taken");
    }

    pub fn begin<'lock>(&self, lock: &'lock Lock) -> Operation<'lock> {
        Operation::begin(&self.store, lock, Trigger::Command("test".into())).unwrap()
    }

    /// Everything under the cluster's directory, by node path.
    pub fn cluster(&self) -> BTreeMap<String, Entry> {
        self.entries("/etc")
    }

    /// Names below a directory of the state.
    pub fn names(&self, directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = match std::fs::read_dir(directory) {
            Ok(entries) => entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect(),
            Err(_) => Vec::new(),
        };
        names.sort();
        names
    }

    /// Recovers and finishes whatever is in flight; of each operation whether it went forward, and the components whose
    /// restart was left.
    pub fn recover(&self) -> Vec<(bool, Vec<String>)> {
        let lock = self.lock();
        let recovered = recover(&self.store, &lock).unwrap();
        recovered
            .into_iter()
            .map(|recovery| {
                recovery
                    .operation
                    .finish(Outcome::Done, 5, u64::MAX)
                    .unwrap();
                let left = recovery.restarts_left.into_iter();
                let components = left.map(|pod| pod.component).collect();
                (recovery.rolled_forward, components)
            })
            .collect()
    }

    /// The cluster as it would be with new files of that wording.
    pub fn cluster_with(&self, wording: &str) -> BTreeMap<String, Entry> {
        let mut entries = self.cluster();
        for (_, path, mode) in self.layout.files {
            let entry = Entry {
                contents: format!("{wording} {path}\n"),
                mode: *mode,
                owner: entries["/etc/kubernetes/pki"].owner,
            };
            entries.insert((*path).to_owned(), entry);
        }
        entries
    }
}
