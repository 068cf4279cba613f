//! Whether nobody but those who may could have put a file where it lies, or another file in its place.
//!
//! What is described in the configuration may lie anywhere. Whoever can write a directory on the way could put another
//! certificate there, whose key he has, and have it renewed by root for ever, or have root replace files of others.

use std::path::Path;

use crate::host::{Found, Root, is_trusted_owner};
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

/// In whose hands a file is, whose real path is `path`: what is on the way to it, and what it is itself.
///
/// # Errors
/// What others can change, and what to do. `table`: what describes it.
pub(super) fn hands(
    root: &Root,
    path: &Path,
    owner: Option<u32>,
    table: &str,
) -> Result<Hands, Problem> {
    let refuse = |path: &Path, reason: String| Problem::new(path, Fault::NotOwn { reason });
    let unknown =
        |error: std::io::Error| refuse(path, format!("who can write it is not known: {error}"));
    let real = root.resolve(path).map_err(unknown)?;
    let mut hands = Hands::Roots;
    for step in root.way_to(&real) {
        let Some(found) = root.look(&step).map_err(unknown)? else {
            break;
        };
        if let Some(reason) = loose(&found, owner, table) {
            return Err(refuse(&step, reason));
        }
        if !is_trusted_owner(found.uid) {
            hands = Hands::Owners(found.uid);
        }
    }
    Ok(hands)
}

fn loose(found: &Found, owner: Option<u32>, table: &str) -> Option<String> {
    if !is_trusted_owner(found.uid) && owner != Some(found.uid) {
        return Some(format!(
            "belongs to user {}, who could put another file there to be renewed or replaced by root, so nothing is written; \
             chown it to root, or name that user as owner in [{table}]",
            found.uid
        ));
    }
    (found.mode & WRITABLE_BY_OTHERS != 0).then(|| {
        format!(
            "can be written by others than its owner (mode {:04o}), who could put another file there to be renewed or replaced \
             by root, so nothing is written; chmod go-w it",
            found.mode
        )
    })
}
