//! The way from the root to a file, link by link.

use std::path::PathBuf;

use super::found::Found;
use super::owner::is_trusted_owner;

/// One link that was followed, or one directory in which a name was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its real path.
    pub path: PathBuf,
    /// What is there.
    pub found: Found,
}

/// How a path leads to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Where it ends: a path without links.
    pub real: PathBuf,
    /// The links that were followed, in their order.
    pub links: Vec<Step>,
    /// The directories on the way, if any link is on it.
    pub directories: Vec<Step>,
    /// Whether the last name of the path is a link itself.
    pub ends_in_link: bool,
}

impl Way {
    /// Of a path on which no link is.
    pub(super) fn straight(real: PathBuf) -> Self {
        Self {
            real,
            links: Vec::new(),
            directories: Vec::new(),
            ends_in_link: false,
        }
    }

    /// The first link or directory on the way that others than root can change.
    #[must_use]
    pub fn loose(&self) -> Option<&Step> {
        let open = |step: &&Step| step.found.mode & 0o022 != 0;
        let foreign = |step: &&Step| !is_trusted_owner(step.found.uid);
        // A link has no mode of its own.
        self.links.iter().find(foreign).or_else(|| {
            self.directories
                .iter()
                .find(|step| foreign(step) || open(step))
        })
    }
}
