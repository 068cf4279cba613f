//! Why a file in a directory that another user may own is left as it is.

use std::io;
use std::path::PathBuf;

/// Why such a file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum LentFault {
    /// It is a symbolic link, or one is on the way to it.
    #[error("a symbolic link is in its place or on the way to it, which is not followed")]
    Link,
    /// It has other names, which may be in directories of other users.
    #[error("it has {0} names (hard links), of which only one would be changed")]
    HardLinks(u64),
    /// It is marked immutable or append-only.
    #[error("it is marked immutable or append-only; `chattr -i -a` takes that away")]
    Immutable,
    /// The file with which kubectl locks it is there, under this name beside it.
    #[error("its lock {} is there", .0.display())]
    Locked(PathBuf),
    /// Another process changed it meanwhile.
    #[error("another process changed it at the same moment")]
    Changed,
    /// Nobody waits for it any more.
    #[error("it took so long that nobody waits for it any more")]
    Abandoned,
    /// It lies on a file system that cannot be written here.
    #[error("its file system is read-only")]
    ReadOnly,
    /// Anything else: what is no file, too large a file, no room.
    #[error("{0}")]
    System(io::Error),
}

impl From<io::Error> for LentFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::System(error),
        }
    }
}
