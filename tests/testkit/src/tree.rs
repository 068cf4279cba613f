//! A temporary directory that stands for `/` on a node.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use kubecertd::host::Root;

/// Gone when this is, unless it was made elsewhere.
pub struct Tree {
    pub directory: Directory,
    pub root: Root,
}

/// A directory in memory where that is possible.
pub(crate) fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Where a tree is.
pub struct Directory {
    path: PathBuf,
    _made: Option<tempfile::TempDir>,
}

impl Directory {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Everything that can be said about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Of a file; `directory`, or `-> ` and where a link leads.
    pub contents: String,
    pub mode: u32,
    pub owner: (u32, u32),
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    pub fn new() -> Self {
        Self::inside(tempfile::tempdir().unwrap())
    }

    /// In memory where that is possible: for tests that make hundreds of trees and flush each.
    pub fn in_memory() -> Self {
        Self::inside(in_memory())
    }

    pub fn inside(directory: tempfile::TempDir) -> Self {
        let Self {
            directory: place,
            root,
        } = Self::at(directory.path());
        Self {
            directory: Directory {
                path: place.path,
                _made: Some(directory),
            },
            root,
        }
    }

    /// A tree that another process made and removes.
    pub fn at(path: &Path) -> Self {
        let path = path.canonicalize().unwrap();
        Self {
            root: Root::new(&path).unwrap(),
            directory: Directory { path, _made: None },
        }
    }

    /// Puts a copy of all that is in the other one into this one, with owners, modes and marks.
    pub fn copy_from(&self, other: &Self) {
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .arg(other.path("/").join("."))
            .arg(self.directory.path())
            .status();
        assert!(copied.unwrap().success());
    }

    pub fn path(&self, node_path: &str) -> PathBuf {
        self.root.join(node_path)
    }

    /// The same, and its directory exists.
    pub fn place(&self, node_path: &str) -> PathBuf {
        let path = self.path(node_path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// The real path of what was written.
    pub fn write(&self, node_path: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.place(node_path);
        fs::write(&path, contents).unwrap();
        path
    }

    pub fn link(&self, node_path: &str, target: &str) -> PathBuf {
        let path = self.place(node_path);
        symlink(target, &path).unwrap();
        path
    }

    pub fn read(&self, node_path: &str) -> String {
        fs::read_to_string(self.path(node_path)).unwrap()
    }

    pub fn remove(&self, node_path: &str) {
        let path = self.path(node_path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Everything below a directory, by node path.
    pub fn entries(&self, node_path: &str) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        let mut directories = vec![self.path(node_path)];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let entry = Entry {
                    contents: if metadata.is_symlink() {
                        format!("-> {}", fs::read_link(&path).unwrap().display())
                    } else if metadata.is_dir() {
                        "directory".to_owned()
                    } else {
                        fs::read_to_string(&path).unwrap()
                    },
                    mode: metadata.mode() & 0o7777,
                    owner: (metadata.uid(), metadata.gid()),
                };
                entries.insert(self.root.node_path(&path).display().to_string(), entry);
                if metadata.is_dir() {
                    directories.push(path);
                }
            }
        }
        entries
    }
}
