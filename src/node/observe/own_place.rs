//! Whether nobody but those who may could have put a file where it lies, or another file in its place.
//!
//! What is described in the configuration may lie anywhere. Whoever can write a directory on the way could put another
//! certificate there, whose key he has, and have it renewed by root for ever, or have root replace files of others; and whoever
//! can have a link lead elsewhere chooses what counts as the CA. So each link and each directory is judged, not the end alone.

use std::io;
use std::path::{Path, PathBuf};

use crate::host::{Found, Root, Way, is_trusted_owner};
use crate::node::replaceable::{led_by_others, trusted};
use crate::node::{Fault, Problem};

const WRITABLE_BY_OTHERS: u32 = 0o022;

/// In whose hands a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    /// Root's alone.
    Roots,
    /// Also in those of the owner that the configuration names.
    Owners(u32),
}

/// In whose hands a file is that a renewal replaces: what is on the way to it, and what it is itself. Links and what leads to
/// them have to be root's in any case.
///
/// # Errors
/// What others can change, and what to do. `table`: what describes it.
pub(super) fn hands(
    root: &Root,
    path: &Path,
    owner: Option<u32>,
    table: &str,
) -> Result<Hands, Problem> {
    let way = root.way(path).map_err(unknown(path))?;
    trusted(&way).map_err(|reason| refused(path, reason))?;
    let mut hands = Hands::Roots;
    for (step, found) in down_to(root, &way).map_err(unknown(path))? {
        if !is_trusted_owner(found.uid) {
            if owner != Some(found.uid) {
                let reason = format!(
                    "belongs to user {}, who could put another file there to be renewed or replaced by root, so nothing is \
                     written; chown it to root, or name that user as owner in [{table}]",
                    found.uid
                );
                return Err(refused(&step, reason));
            }
            hands = Hands::Owners(found.uid);
        }
        if let Some(open) = open_to_others(&found) {
            let reason = format!(
                "{open}, who could put another file there to be renewed or replaced by root, so nothing is written; chmod go-w it"
            );
            return Err(refused(&step, reason));
        }
    }
    Ok(hands)
}

/// That a file of a CA is root's alone, however it is reached: whoever can change what counts as the CA is one.
///
/// # Errors
/// What others can change, and what to do.
pub(super) fn roots_alone(root: &Root, path: &Path) -> Result<(), Problem> {
    let way = root.way(path).map_err(unknown(path))?;
    if let Some(how) = led_by_others(&way) {
        let reason = format!(
            "{how}, so others choose what counts as the CA, and nothing is signed; make that root's alone, or name the file itself"
        );
        return Err(refused(path, reason));
    }
    for (step, found) in down_to(root, &way).map_err(unknown(path))? {
        let (others, remedy) = if !is_trusted_owner(found.uid) {
            (format!("belongs to user {}", found.uid), "chown it to root")
        } else if let Some(open) = open_to_others(&found) {
            (open, "chmod go-w it")
        } else {
            continue;
        };
        let reason = format!(
            "{others}, who could choose what counts as the CA, so nothing is signed; {remedy}"
        );
        return Err(refused(&step, reason));
    }
    Ok(())
}

/// Each directory down to where a way ends, and what is there, with what each is.
fn down_to(root: &Root, way: &Way) -> io::Result<Vec<(PathBuf, Found)>> {
    let mut steps = Vec::new();
    for step in root.way_to(&way.real) {
        let Some(found) = root.look(&step)? else {
            break;
        };
        steps.push((step, found));
    }
    Ok(steps)
}

fn open_to_others(found: &Found) -> Option<String> {
    (found.mode & WRITABLE_BY_OTHERS != 0).then(|| {
        format!(
            "can be written by others than its owner (mode {:04o})",
            found.mode
        )
    })
}

fn unknown(path: &Path) -> impl Fn(io::Error) -> Problem {
    move |error| refused(path, format!("who can write it is not known: {error}"))
}

fn refused(path: &Path, reason: String) -> Problem {
    Problem::new(path, Fault::NotOwn { reason })
}
