//! A root in a temporary directory, one per process and made once: most of kubecertd reads files, not bytes.

use std::path::{Path, PathBuf};

use kubecertd::host::Root;

/// A root with the files of a run in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    pub(crate) root: Root,
}

impl Place {
    /// An empty root (in `TMPDIR`: one in memory makes a run a hundred times faster).
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = Root::new(directory.path()).expect("an absolute path");
        Self { directory, root }
    }

    /// Puts a file in place, whatever was there.
    pub(crate) fn write(&self, node_path: &str, contents: &[u8]) {
        let path = self.path(node_path);
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent).expect("a directory");
        }
        std::fs::write(path, contents).expect("a file");
    }

    /// Removes a file if it is there.
    pub(crate) fn remove(&self, node_path: &str) {
        let _ = std::fs::remove_file(self.path(node_path));
    }

    pub(crate) fn path(&self, node_path: &str) -> PathBuf {
        self.root.join(node_path)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// The parts of a run's bytes between lines that are only `%%`.
pub(crate) fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(4).position(|bytes| bytes == b"\n%%\n") {
        parts.push(&rest[..=at]);
        rest = &rest[at + 4..];
    }
    parts.push(rest);
    parts
}
