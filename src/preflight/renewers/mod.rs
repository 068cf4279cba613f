//! Others that renew certificates on this node: systemd units and cron jobs that call `kubeadm certs renew`, themselves or
//! in a script. kubespray and KubeKey install such timers.

mod cron;
mod script;
mod systemd;

use std::io;
use std::path::{Path, PathBuf};

use crate::host::{self, read_bounded};
use crate::root::Root;

/// Scripts and units longer than this are none.
const LONGEST: u64 = 256 * 1024;

/// Somebody else who renews, regularly and by himself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Renewer {
    /// Who: `k8s-certs-renew.timer (/usr/local/bin/k8s-certs-renew.sh)`.
    pub who: String,
    /// What stops it, in words that follow "take over: ".
    pub take_over: String,
}

/// Every renewer below the root; places that could not be read come second.
#[must_use]
pub fn renewers(root: &Root) -> (Vec<Renewer>, Vec<(PathBuf, io::Error)>) {
    let mut scan = Scan {
        root,
        unread: Vec::new(),
    };
    let mut found = systemd::renewers(&mut scan);
    found.extend(cron::renewers(&mut scan));
    found.sort();
    found.dedup();
    (found, scan.unread)
}

/// Reads what may not be there and remembers what could not be read.
struct Scan<'a> {
    root: &'a Root,
    unread: Vec<(PathBuf, io::Error)>,
}

impl Scan<'_> {
    /// The files and directories in a directory of the node, sorted.
    fn list(&mut self, directory: &Path) -> Vec<PathBuf> {
        let listed = self
            .root
            .resolve(directory)
            .and_then(|real| host::names(&real));
        match listed {
            Ok(names) => names.iter().map(|name| directory.join(name)).collect(),
            Err(error) => {
                self.note(directory, error);
                Vec::new()
            }
        }
    }

    /// A text file of the node; `None` for anything else. Of a program's file only the beginning is looked at.
    fn text(&mut self, path: &Path) -> Option<String> {
        let real = match self.root.resolve(path) {
            Ok(real) => real,
            Err(error) => {
                self.note(path, error);
                return None;
            }
        };
        let found = self.root.look(&real).ok()??;
        if !found.is_file() || found.size > LONGEST {
            return None;
        }
        match read_bounded(&real) {
            Ok(bytes) if bytes.contains(&0) => None,
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.note(path, error);
                None
            }
        }
    }

    /// Whether a command renews: by itself, or by a script that it names. Gives the script, or an empty path.
    fn renews(&mut self, command: &str) -> Option<PathBuf> {
        if script::renews(command) {
            return Some(PathBuf::new());
        }
        script::words(command)
            .filter(|word| word.starts_with('/'))
            .map(|word| self.root.join(word))
            .collect::<Vec<_>>()
            .into_iter()
            .find(|path| self.text(path).is_some_and(|text| script::renews(&text)))
    }

    fn note(&mut self, path: &Path, error: io::Error) {
        if !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ) {
            self.unread.push((path.to_path_buf(), error));
        }
    }

    /// ` (/usr/local/bin/k8s-certs-renew.sh)`, or nothing for a command of its own.
    fn in_brackets(&self, script: &Path) -> String {
        if script.as_os_str().is_empty() {
            String::new()
        } else {
            format!(" ({})", self.root.node_path(script).display())
        }
    }
}
