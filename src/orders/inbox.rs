//! What lies in the inbox.
//!
//! Everything here may have been written by others: links, devices and what is too large are not read, and a file that makes no
//! sense is looked at again when it changes, as it may only be half there.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::host::{Place, is_trusted_owner, read_at_most, some_names};
use crate::node::{Fault, Problem};
use crate::pki::{Certificate, certificates_in};

/// The largest file: a chain of large certificates takes a tenth of it.
const LARGEST: u64 = 256 * 1024;
/// How many files are looked at; more than a node has certificates.
const MOST: usize = 256;

/// One file of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its name.
    pub name: OsString,
    /// What is in it.
    pub certificates: Vec<Certificate>,
}

/// Reads the inbox; nothing where there is none. What cannot be read is among the problems.
pub(super) fn read(inbox: &Path) -> (Vec<Delivered>, Vec<Problem>) {
    let problem = |path: &Path, reason| Problem::new(path, Fault::NotDelivered { reason });
    match check(inbox) {
        Ok(false) => return Default::default(),
        Ok(true) => {}
        Err(error) => return (Vec::new(), vec![problem(inbox, error.to_string())]),
    }
    let (names, has_more) = match some_names(inbox, MOST) {
        Ok(names) => names,
        Err(error) => return (Vec::new(), vec![problem(inbox, error.to_string())]),
    };
    let mut delivered = Vec::new();
    let mut problems = Vec::new();
    if has_more {
        let reason = format!("only {MOST} of its files are looked at; remove what is no answer");
        problems.push(problem(inbox, reason));
    }
    for name in names {
        // A file that is being copied often has such a name.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = inbox.join(&name);
        match read_at_most(&path, LARGEST) {
            // It was taken away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => problems.push(problem(&path, format!("{error}; it is not read"))),
            Ok(bytes) => match certificates_in(&bytes) {
                Ok(certificates) => delivered.push(Delivered { name, certificates }),
                Err(error) => problems.push(problem(
                    &path,
                    format!("{error}; it is looked at again when it changes"),
                )),
            },
        }
    }
    (delivered, problems)
}

/// Whether there is one that only root writes to.
fn check(inbox: &Path) -> io::Result<bool> {
    let found = match Place::at(inbox).and_then(|place| place.look()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let Some(found) = found else {
        return Ok(false);
    };
    if !found.is_directory() {
        return Err(io::Error::other(
            "is no directory, so no answer is looked for; remove it",
        ));
    }
    if !is_trusted_owner(found.uid) || found.mode & 0o022 != 0 {
        return Err(io::Error::other(
            "others than root may write to it, so nothing in it is read; give it to root and run chmod 0700",
        ));
    }
    Ok(true)
}
