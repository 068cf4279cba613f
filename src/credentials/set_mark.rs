//! The mark that says that a set is whole, and the names of its files until they have their own.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::CredentialError;
use super::places::Places;
use super::reading;
use crate::host::write::hidden_beside;
use crate::host::{FileError, digest};

const MARK: &str = ".set-of-kubecertd";
/// What the name of a file contains that gets a free name, and of one that takes another's place.
const FREE: &str = "set-";
const OVER: &str = "set-over-";
/// Digits of a set's tag, and of its number.
const DIGITS: usize = 16;

/// A set that is whole: its files lie beside their places.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub(super) id: String,
    pub(super) files: Vec<Marked>,
}

/// One of its files.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marked {
    /// The path on the node.
    pub(super) path: PathBuf,
    /// Digest of what it takes the place of.
    pub(super) replaces: Option<String>,
}

impl Mark {
    /// Where the mark of sets in these directories is.
    pub(super) fn path(places: &Places) -> PathBuf {
        places.certificates.join(MARK)
    }

    /// The one that is there.
    pub(super) fn find(places: &Places) -> Result<Option<Self>, CredentialError> {
        let path = Self::path(places);
        let Some(text) = reading::find(places.root(), &path)? else {
            return Ok(None);
        };
        let refused = |reason: String| CredentialError::PlaceRefused {
            path: places.shown(&path),
            reason: format!(
                "is the list of the files that a killed command left beside their places, and cannot be followed ({reason}); look at \
                 them (.*.kubecertd-set-*) and remove them with it"
            ),
        };
        let mark: Self =
            serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))?;
        if !is_number(&mark.id, 2 * DIGITS) {
            return Err(refused("its number is none".to_owned()));
        }
        Ok(Some(mark))
    }

    /// As it is written.
    pub(super) fn text(&self, places: &Places) -> Result<Vec<u8>, FileError> {
        let failed = FileError::of(&Self::path(places), "could not be made");
        serde_json::to_vec(self).map_err(|error| failed(io::Error::other(error)))
    }
}

/// What names of sets begin with whose mark is here. What another command left beside the same places, whose mark is elsewhere, has
/// another one.
fn tag(places: &Places) -> String {
    let path = places.shown(&Mark::path(places));
    let mut tag = digest(path.as_os_str().as_encoded_bytes());
    tag.truncate(DIGITS);
    tag
}

/// A new set's.
pub(super) fn new_id(places: &Places) -> Result<String, FileError> {
    let mut random = [0u8; DIGITS / 2];
    aws_lc_rs::rand::fill(&mut random).map_err(|error| {
        let failed = FileError::of(&places.certificates, "no random name could be made in");
        failed(io::Error::other(error))
    })?;
    Ok(format!(
        "{}{:016x}",
        tag(places),
        u64::from_ne_bytes(random)
    ))
}

/// Where a file of a set lies until it has its name.
pub(super) fn staged(path: &Path, replaces: bool, id: &str) -> Result<PathBuf, FileError> {
    let kind = if replaces { OVER } else { FREE };
    hidden_beside(path, &format!("{kind}{id}"))
}

/// Whether a name is one that a file of a set has whose mark is here.
pub(super) fn is_staged(name: &OsStr, places: &Places) -> bool {
    let Some((_, id)) = name
        .to_str()
        .and_then(|name| name.strip_prefix('.'))
        .and_then(|name| name.rsplit_once(".kubecertd-"))
    else {
        return false;
    };
    id.strip_prefix(OVER)
        .or_else(|| id.strip_prefix(FREE))
        .is_some_and(|id| is_number(id, 2 * DIGITS) && id.starts_with(&tag(places)))
}

fn is_number(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}
