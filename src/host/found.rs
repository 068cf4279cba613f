//! What is under a name.

use std::fs::File;
use std::io;

use rustix::fs::{FileType, Stat, fstat};

/// What is under a name. A symbolic link is one, and not what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What kind of thing it is.
    pub kind: FileType,
    /// Permission bits, the upper three included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// Last change of the contents: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// Device and number: the same for every name of one file.
    pub identity: (u64, u64),
    /// Seconds and nanoseconds of the last change of whatever kind (ctime).
    pub changed: (i64, i64),
}

impl Found {
    /// What is open.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(opened: &File) -> io::Result<Self> {
        Ok(fstat(opened)?.into())
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.kind == FileType::Symlink
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }
}

impl From<Stat> for Found {
    // The fields' types differ between architectures.
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "not on all architectures"
    )]
    fn from(stat: Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink as u64,
            modified: (
                stat.st_mtime as i64,
                u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            identity: (stat.st_dev as u64, stat.st_ino as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}
