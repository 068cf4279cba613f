//! How much is read of what is merely searched for certificates. kubeadm's etcd pod can write `pki/etcd`, backup jobs write
//! elsewhere: what they put there must cost this program neither its memory nor its time, and never keep kubeadm's own files
//! from being read. Those are read by their names and need nothing of this.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::node::{Fault, Problem, read::Size};

/// The largest file that is read in a search: more than a bundle of all the web's authorities.
const FILE: u64 = 512 << 10;

/// Files of one directory, and the bytes in them.
const OF_A_DIRECTORY: Spent = Spent {
    files: 250,
    bytes: 2 << 20,
};

/// Files of one look at the node, and the bytes in them.
const OF_ALL: Spent = Spent {
    files: 1_000,
    bytes: 8 << 20,
};

/// Directories that are entered.
const DIRECTORIES: usize = 100;

/// Directories that are named where more was left out.
const NAMED: usize = 20;

/// What one look at the node has read so far of what it searches.
#[derive(Default)]
pub(super) struct Budget {
    all: Spent,
    by_directory: BTreeMap<PathBuf, Directory>,
    entered: usize,
    not_entered: usize,
}

#[derive(Default)]
struct Directory {
    spent: Spent,
    left: usize,
}

#[derive(Default, Clone, Copy)]
struct Spent {
    files: usize,
    bytes: u64,
}

impl Spent {
    fn and(self, bytes: u64) -> Self {
        Self {
            files: self.files + 1,
            bytes: self.bytes.saturating_add(bytes),
        }
    }

    fn is_within(self, limit: Self) -> bool {
        self.files <= limit.files && self.bytes <= limit.bytes
    }
}

impl Budget {
    /// Whether the file may be read. What is no file, or cannot be reached, costs no bytes and is found out by reading it.
    pub(super) fn admits(&mut self, path: &Path, size: Size) -> bool {
        let bytes = match size {
            // Refused by the reader, which says so.
            Size::Of(bytes) if bytes > FILE => 0,
            Size::Of(bytes) => bytes,
            Size::Unknown => 0,
            Size::Missing => return true,
        };
        let place = path.parent().unwrap_or(path).to_path_buf();
        let directory = self.by_directory.entry(place).or_default();
        let spent = (directory.spent.and(bytes), self.all.and(bytes));
        if spent.0.is_within(OF_A_DIRECTORY) && spent.1.is_within(OF_ALL) {
            (directory.spent, self.all) = spent;
            true
        } else {
            directory.left += 1;
            false
        }
    }

    /// Whether one more directory may be entered.
    pub(super) fn admits_directory(&mut self) -> bool {
        let admitted = self.entered < DIRECTORIES;
        if admitted {
            self.entered += 1;
        } else {
            self.not_entered += 1;
        }
        admitted
    }

    /// The largest file, in bytes.
    pub(super) fn of_a_file() -> u64 {
        FILE
    }

    /// What was not read because the rest was too much.
    pub(super) fn left_out(&self, certificates: &Path) -> Vec<Problem> {
        let full: Vec<(&PathBuf, usize)> = self
            .by_directory
            .iter()
            .map(|(path, directory)| (path, directory.left))
            .filter(|(_, left)| *left > 0)
            .collect();
        let mut said: Vec<Problem> = full
            .iter()
            .take(NAMED)
            .map(|(path, left)| {
                Problem::new(
                    path,
                    Fault::FilesNotRead {
                        left: *left,
                        most: [
                            OF_A_DIRECTORY.files as u64,
                            OF_A_DIRECTORY.bytes >> 20,
                            OF_ALL.files as u64,
                            OF_ALL.bytes >> 20,
                        ],
                    },
                )
            })
            .collect();
        if full.len() > NAMED {
            let left: usize = full[NAMED..].iter().map(|(_, left)| left).sum();
            said.push(Problem::new(
                certificates,
                Fault::FilesElsewhereNotRead {
                    left,
                    directories: full.len() - NAMED,
                },
            ));
        }
        if self.not_entered > 0 {
            said.push(Problem::new(
                certificates,
                Fault::DirectoriesNotEntered {
                    left: self.not_entered,
                    most: DIRECTORIES,
                },
            ));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_leaves_something_for_the_others() {
        let mut budget = Budget::default();
        let flooded = |index: usize| PathBuf::from(format!("/pki/etcd/{index}.crt"));
        let read = (0..5_000)
            .filter(|index| budget.admits(&flooded(*index), Size::Of(10 << 10)))
            .count();
        assert_eq!(read, 204, "2 MiB in files of 10 KiB");
        let empty = (0..5_000)
            .filter(|index| budget.admits(Path::new(&format!("/x/{index}")), Size::Unknown))
            .count();
        assert_eq!(empty, 250);
        assert!(budget.admits(Path::new("/pki/own.crt"), Size::Of(2_000)));
        let said = budget.left_out(Path::new("/pki"));
        assert_eq!(said.len(), 2);
        assert_eq!(said[0].path, Path::new("/pki/etcd"));
        assert!(
            said[0].fault.to_string().starts_with("4796 of its files"),
            "{said:?}"
        );
    }

    #[test]
    fn many_directories_are_not_more_than_all() {
        let mut budget = Budget::default();
        let read = (0..100_000)
            .filter(|index| budget.admits(Path::new(&format!("/{index}/x")), Size::Of(1 << 10)))
            .count();
        assert_eq!(read, OF_ALL.files);
        assert_eq!(budget.left_out(Path::new("/pki")).len(), NAMED + 1);
        let entered = (0..1_000).filter(|_| budget.admits_directory()).count();
        assert_eq!(entered, DIRECTORIES);
    }
}
