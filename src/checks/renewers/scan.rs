//! Reading units, cron jobs and scripts within bounds.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::script;
use crate::host::{self, Found, Root, read_at_most};

/// Scripts and units longer than this are none.
const LONGEST: u64 = 256 * 1024;

/// As much is read of all of them together, and so many files; a node has a tenth of it.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

const MOST_FILES: usize = 10_000;

/// So many names of a directory are looked at.
const MOST_NAMES: usize = 10_000;

/// Programs that read their script from the file that follows.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ksh", "zsh", "source", "."];

/// Reads what may not be there and remembers what could not be read.
pub(super) struct Scan<'a> {
    pub(super) root: &'a Root,
    bytes_left: u64,
    files_left: usize,
    /// Whether these scripts renew, so that each is read once however many jobs name it.
    scripts: BTreeMap<PathBuf, bool>,
    pub(super) unread: Vec<(PathBuf, io::Error)>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(root: &'a Root) -> Self {
        Self {
            root,
            bytes_left: MOST_BYTES,
            files_left: MOST_FILES,
            scripts: BTreeMap::new(),
            unread: Vec::new(),
        }
    }

    /// Whether there was more than is looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.files_left == 0 || self.bytes_left == 0
    }

    /// The files and directories in a directory of the node, sorted.
    pub(super) fn list(&mut self, directory: &Path) -> Vec<PathBuf> {
        let listed = self
            .root
            .resolve(directory)
            .and_then(|real| host::some_names(&real, MOST_NAMES));
        match listed {
            Ok((names, _)) => names.iter().map(|name| directory.join(name)).collect(),
            Err(error) => {
                self.note(directory, error);
                Vec::new()
            }
        }
    }

    /// A text file of the node that only root can have written; `None` for anything else. What any other user writes starts
    /// nothing of root's, whatever it says.
    pub(super) fn text(&mut self, path: &Path) -> Option<String> {
        self.file(path).map(|(text, _)| text)
    }

    /// The same with its mode.
    pub(super) fn file(&mut self, path: &Path) -> Option<(String, u32)> {
        let (real, found) = match self.root.end(path) {
            Ok((real, found)) => (real, found?),
            Err(error) => {
                self.note(path, error);
                return None;
            }
        };
        if !found.is_file() || found.size > LONGEST || !is_roots(&found) {
            return None;
        }
        self.files_left = self.files_left.checked_sub(1)?;
        self.bytes_left = match self.bytes_left.checked_sub(found.size) {
            Some(left) => left,
            None => {
                self.bytes_left = 0;
                return None;
            }
        };
        match read_at_most(&real, LONGEST) {
            Ok(bytes) if bytes.contains(&0) => None,
            Ok(bytes) => Some((host::text(bytes), found.mode)),
            Err(error) => {
                self.note(path, error);
                None
            }
        }
    }

    /// Whether a command renews: by itself, or by a script that it names. Gives the script, or an empty path.
    pub(super) fn renews(&mut self, command: &str) -> Option<PathBuf> {
        if script::renews(command) {
            return Some(PathBuf::new());
        }
        let mut before = "";
        for word in script::words(command) {
            let after_shell = before
                .rsplit('/')
                .next()
                .is_some_and(|name| SHELLS.contains(&name));
            if word.starts_with('/') {
                let path = self.root.join(word);
                if self.script_renews(&path, after_shell) {
                    return Some(path);
                }
            }
            // A shell's options stand between it and the file.
            if !(after_shell && word.starts_with('-')) {
                before = word;
            }
        }
        None
    }

    /// Whether a file that a command names is a script, and renews. A log or a list of which it is only an argument may say
    /// anything.
    fn script_renews(&mut self, path: &Path, after_shell: bool) -> bool {
        if let Some(known) = self.scripts.get(path) {
            return *known;
        }
        let renews = self.file(path).is_some_and(|(text, mode)| {
            let is_script = after_shell || text.starts_with("#!") || mode & 0o111 != 0;
            is_script && script::renews(&text)
        });
        self.scripts.insert(path.to_path_buf(), renews);
        renews
    }

    pub(super) fn note(&mut self, path: &Path, error: io::Error) {
        if !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ) {
            self.unread.push((path.to_path_buf(), error));
        }
    }

    /// ` (/usr/local/bin/k8s-certs-renew.sh)`, or nothing for a command of its own.
    pub(super) fn in_brackets(&self, script: &Path) -> String {
        if script.as_os_str().is_empty() {
            String::new()
        } else {
            format!(" ({})", self.root.node_path(script).display())
        }
    }
}

/// Whether only root can have written it: cron asks the same of its tables. On a copy of a node, the user who made it.
fn is_roots(found: &Found) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    host::is_trusted_owner(found.uid) && found.mode & OTHERS_WRITE == 0
}
