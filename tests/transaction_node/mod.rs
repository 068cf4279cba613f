//! A node's tree for the transaction tests: certificates in pairs, a kubeconfig, manifests.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kubecertd::files::{Operation, recover};
use kubecertd::host::Root;
use kubecertd::issuer::Replacement;
use kubecertd::journal::{Lock, Outcome, Store, TransactionError, Trigger};

/// Certificate, file, mode; key before certificate. The first four pairs of lines exist, `fresh` does not.
pub(crate) const FILES: [(&str, &str, u32); 7] = [
    ("apiserver", "/etc/kubernetes/pki/apiserver.key", 0o600),
    ("apiserver", "/etc/kubernetes/pki/apiserver.crt", 0o644),
    ("etcd-server", "/etc/kubernetes/pki/etcd/server.key", 0o600),
    ("etcd-server", "/etc/kubernetes/pki/etcd/server.crt", 0o640),
    ("scheduler.conf", "/etc/kubernetes/scheduler.conf", 0o600),
    ("fresh", "/etc/kubernetes/pki/fresh.key", 0o600),
    ("fresh", "/etc/kubernetes/pki/fresh.crt", 0o644),
];

pub(crate) const MANIFESTS: [&str; 2] = [
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
];

/// What a tree holds.
#[derive(Debug)]
pub(crate) struct Layout {
    /// As in [`FILES`].
    pub(crate) files: &'static [(&'static str, &'static str, u32)],
    /// Those of them that do not exist yet.
    pub(crate) missing: &'static [&'static str],
    pub(crate) manifests: &'static [&'static str],
}

/// A few of everything.
pub(crate) static SMALL: Layout = Layout {
    files: &FILES,
    missing: &[FILES[5].1, FILES[6].1],
    manifests: &MANIFESTS,
};

/// A temporary root.
pub(crate) struct Node {
    _directory: Option<tempfile::TempDir>,
    pub(crate) layout: &'static Layout,
    pub(crate) root: Root,
    pub(crate) store: Store,
}

/// Everything that can be said about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) contents: String,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
}

impl Node {
    pub(crate) fn new() -> Self {
        let node = Self::inside(tempfile::tempdir().unwrap(), &SMALL);
        node.populate();
        node
    }

    /// In memory where that is possible: for tests that make hundreds of trees and flush each.
    pub(crate) fn fleeting(layout: &'static Layout) -> Self {
        let node = Self::inside(fleeting_directory(), layout);
        node.populate();
        node
    }

    /// The same as this one is now, in memory.
    pub(crate) fn copy(&self) -> Self {
        let directory = fleeting_directory();
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .arg(self.root.directory().join("."))
            .arg(directory.path())
            .status();
        assert!(copied.unwrap().success());
        Self::inside(directory, self.layout)
    }

    fn inside(directory: tempfile::TempDir, layout: &'static Layout) -> Self {
        let node = Self::at(directory.path(), layout);
        Self {
            _directory: Some(directory),
            ..node
        }
    }

    /// A tree that somebody else made and removes.
    pub(crate) fn at(path: &Path, layout: &'static Layout) -> Self {
        let root = Root::new(&path.canonicalize().unwrap()).unwrap();
        Self {
            _directory: None,
            layout,
            store: Store::new(&root),
            root,
        }
    }

    pub(crate) fn populate(&self) {
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

    pub(crate) fn path(&self, node_path: &str) -> PathBuf {
        self.root.join(node_path)
    }

    pub(crate) fn write(&self, node_path: &str, contents: &str, mode: u32) {
        let path = self.path(node_path);
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn read(&self, node_path: &str) -> String {
        std::fs::read_to_string(self.path(node_path)).unwrap()
    }

    pub(crate) fn replacements(&self, wording: &str) -> Vec<Replacement> {
        self.layout
            .files
            .iter()
            .map(|(name, path, mode)| self.replacement(name, path, wording, *mode))
            .collect()
    }

    pub(crate) fn replacement(
        &self,
        name: &str,
        path: &str,
        wording: &str,
        mode: u32,
    ) -> Replacement {
        Replacement {
            name: name.to_owned(),
            path: self.path(path),
            contents: format!("{wording} {path}\n").into_bytes().into(),
            mode_if_new: mode,
        }
    }

    /// Waits a little: a child that another test thread is just starting holds every open file until it executes.
    pub(crate) fn lock(&self) -> Lock {
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

    pub(crate) fn begin<'lock>(&self, lock: &'lock Lock) -> Operation<'lock> {
        Operation::begin(&self.store, lock, Trigger::Command("test".into())).unwrap()
    }

    /// Everything under the cluster's directory, by node path.
    pub(crate) fn cluster(&self) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        self.walk(&self.path("/etc"), &mut entries);
        entries
    }

    /// Names below a directory of the state.
    pub(crate) fn names(&self, directory: &Path) -> Vec<String> {
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
    pub(crate) fn recover(&self) -> Vec<(bool, Vec<String>)> {
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
                let components = left.map(|(component, _)| component).collect();
                (recovery.rolled_forward, components)
            })
            .collect()
    }

    /// The cluster as it would be with new files of that wording.
    pub(crate) fn cluster_with(&self, wording: &str) -> BTreeMap<String, Entry> {
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

    fn walk(&self, directory: &Path, entries: &mut BTreeMap<String, Entry>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let contents = if metadata.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if metadata.is_dir() {
                self.walk(&path, entries);
                "directory".to_owned()
            } else {
                std::fs::read_to_string(&path).unwrap()
            };
            entries.insert(
                self.root.node_path(&path).display().to_string(),
                Entry {
                    contents,
                    mode: metadata.mode() & 0o7777,
                    owner: (metadata.uid(), metadata.gid()),
                },
            );
        }
    }
}

fn fleeting_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}
