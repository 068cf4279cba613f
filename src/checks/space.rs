//! Room for what will be written.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, StatFs, fstatfs};

use crate::host::Place;

/// No certificate, key or journal is counted as smaller than this.
const SMALLEST: u64 = 8 * 1024;

/// The magic number of ext2, ext3 and ext4 (statfs(2)).
const EXT_MAGIC: i64 = 0xEF53;

/// A file system that will be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// The first directory on it that will be written to.
    pub directory: PathBuf,
    /// Bytes that kubecertd can still write.
    pub free_bytes: u64,
    /// Files that can still be made; `None` where nothing limits their number but the space.
    pub free_inodes: Option<u64>,
    /// Bytes that will be written.
    pub written_bytes: u64,
    /// Files and directories that will be made.
    pub written_inodes: u64,
}

/// Files that will be made in a directory, by their sizes.
#[derive(Debug, Default)]
pub(super) struct Written(BTreeMap<PathBuf, Vec<u64>>);

impl Written {
    /// One more file of about that size.
    pub(super) fn file(&mut self, directory: &Path, size: u64) {
        self.0
            .entry(directory.to_path_buf())
            .or_default()
            .push(size);
    }

    /// What is free where it will be written. Directories whose file system could not be asked come second.
    pub(super) fn measure(self) -> (Vec<FileSystem>, BTreeMap<PathBuf, io::Error>) {
        let mut found: BTreeMap<u64, FileSystem> = BTreeMap::new();
        let mut unread = BTreeMap::new();
        for (directory, sizes) in self.0 {
            let asked = Place::at(&directory).and_then(|place| {
                let opened = place.open(OFlags::PATH)?;
                Ok((opened.metadata()?.dev(), fstatfs(&opened)?))
            });
            let (device, numbers) = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    unread.insert(directory, error);
                    continue;
                }
            };
            let block = block_size(&numbers);
            let one = found.entry(device).or_insert_with(|| FileSystem {
                directory,
                free_bytes: free_blocks(&numbers).saturating_mul(block),
                free_inodes: free_inodes(numbers.f_files, numbers.f_ffree),
                written_bytes: 0,
                written_inodes: 0,
            });
            one.written_inodes += sizes.len() as u64;
            for size in sizes {
                one.written_bytes = one
                    .written_bytes
                    .saturating_add(size.max(SMALLEST).div_ceil(block).saturating_mul(block));
            }
        }
        (found.into_values().collect(), unread)
    }
}

fn block_size(numbers: &StatFs) -> u64 {
    u64::try_from(numbers.f_bsize).unwrap_or(4096).max(1)
}

/// What ext keeps back from users is meant for root, which kubecertd is: on a disk that the pods' logs have filled, it is all
/// that is left. Elsewhere there is no such reserve, and the larger number (btrfs) counts space that cannot be had.
fn free_blocks(numbers: &StatFs) -> u64 {
    #[allow(clippy::unnecessary_cast, reason = "another width on other machines")]
    let is_ext = numbers.f_type as i64 == EXT_MAGIC;
    if is_ext && nix::unistd::geteuid().is_root() {
        numbers.f_bfree
    } else {
        numbers.f_bavail
    }
}

/// btrfs, zfs and others make inodes as they need them and report none at all.
fn free_inodes(all: u64, free: u64) -> Option<u64> {
    (all > 0).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_inodes_at_all_means_no_limit() {
        assert_eq!(free_inodes(0, 0), None);
        assert_eq!(free_inodes(10, 0), Some(0));
    }

    #[test]
    fn files_of_one_file_system_are_added_up_in_whole_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&other).unwrap();
        let mut written = Written::default();
        written.file(&one, 1);
        written.file(&one, 100_000);
        written.file(&other, 1);
        written.file(&directory.path().join("missing"), 1);
        let (found, unread) = written.measure();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].written_inodes, 3);
        assert!(found[0].written_bytes >= 100_000 + 2 * SMALLEST);
        assert!(found[0].free_bytes > 0);
        assert_eq!(unread.len(), 1);
    }
}
