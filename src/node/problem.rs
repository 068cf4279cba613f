//! What is wrong with a file of the node.

use std::path::PathBuf;

/// Something that could not be read or makes no sense, with the file and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong, in one sentence without the path, ending in what can be done where that is known.
    pub reason: String,
}
