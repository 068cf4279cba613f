//! The one way a file is read: opened by its path without links, looked at, then read within bounds.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use nix::libc;
use rustix::fs::{FileType, OFlags};

use super::found::Found;
use super::straight::open_straight;

/// The largest file read: more than any certificate, kubeconfig or manifest (the kubelet's own limit for a manifest is 10 MiB).
pub const FILE_LIMIT: u64 = 10 * 1024 * 1024;

/// Reads a regular file of at most [`FILE_LIMIT`] bytes; never blocks on a FIFO or device. The path has no links in it
/// (see [`crate::host::Root::resolve`]); one that turns up is refused.
///
/// # Errors
/// A link, a directory, a special file or a larger file is an error that says so; otherwise what the system says.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    read_at_most(path, FILE_LIMIT)
}

/// The same with another limit, in bytes.
///
/// # Errors
/// As [`read_bounded`].
pub fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, length) = open_regular(path, limit)?;
    // One more than its length: then reading to the end never moves a key to a second buffer.
    let capacity = usize::try_from(length).unwrap_or(0).saturating_add(1);
    read_within(file, limit, Vec::with_capacity(capacity))
}

/// Reads what is open already to its end, but for no more than `limit` bytes, into a buffer that may have room for it.
///
/// # Errors
/// More than that is an error that says so, never less than all; otherwise what the system says.
pub fn read_within(reader: impl io::Read, limit: u64, mut content: Vec<u8>) -> io::Result<Vec<u8>> {
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(content)
}

/// Opens a regular file of at most `limit` bytes to be read, and says how many it has.
///
/// # Errors
/// As [`read_bounded`].
pub fn open_regular(path: &Path, limit: u64) -> io::Result<(File, u64)> {
    let (file, found) = regular(open_straight(path, TO_READ), limit)?;
    Ok((file, found.size))
}

/// What a file is opened with that may be anything: never waits for a FIFO.
pub(super) const TO_READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// What was opened, if it is a regular file of at most `limit` bytes.
pub(super) fn regular(opened: io::Result<File>, limit: u64) -> io::Result<(File, Found)> {
    let file = opened.map_err(|error| match error.raw_os_error() {
        // What opening a socket gives.
        Some(libc::ENXIO) => io::Error::other("is a socket or device, not a file"),
        _ => error,
    })?;
    let found = Found::of(&file)?;
    check_regular(found.kind, found.size, limit)?;
    Ok((file, found))
}

/// Whether it is a regular file of at most `limit` bytes.
///
/// # Errors
/// What it is instead.
pub fn check_regular(kind: FileType, size: u64, limit: u64) -> io::Result<()> {
    Err(io::Error::other(match kind {
        FileType::RegularFile if size > limit => return Err(too_large(limit)),
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "is a directory, not a file",
        FileType::Fifo => "is a FIFO, not a file",
        FileType::Socket => "is a socket or device, not a file",
        _ => "is a device, not a file",
    }))
}

/// Bytes as text; what is none in them is replaced.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    // Nearly always it is all text, which is found out faster than it is copied.
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn too_large(limit: u64) -> io::Error {
    let (size, unit) = match limit {
        0..1_024 => (limit, "bytes"),
        1_024..1_048_576 => (limit / 1_024, "KiB"),
        1_048_576.. => (limit / 1_048_576, "MiB"),
    };
    io::Error::other(format!(
        "is larger than {size} {unit}, which no file of this kind is"
    ))
}
