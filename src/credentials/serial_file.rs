//! The file with the last serial number of an authority, which openssl counts up.

use std::path::PathBuf;

use super::error::CredentialError;
use super::file_set::Sets;
use super::places::Places;
use super::reading;
use crate::host::{remove_temporaries, write_atomically};
use crate::pki::{AuthorityId, SerialNumber};

/// Serial numbers of one authority, taken one after the other. Nothing is written before [`Serials::keep`].
pub(super) struct Serials {
    path: PathBuf,
    shown: PathBuf,
    /// The last one that was given out.
    last: SerialNumber,
    mode: u32,
}

/// What a new one gets, as openssl's.
const MODE: u32 = 0o644;

impl Serials {
    /// Reads the file, or begins with a random number where there is none. Its directory is locked before, for as long as `sets`: the
    /// file itself could be replaced by whoever holds another lock of it.
    pub(super) fn open(
        sets: &Sets<'_>,
        places: &Places,
        authority: AuthorityId,
    ) -> Result<Self, CredentialError> {
        let path = places.authority(authority, "srl");
        let shown = places.shown(&path);
        let refused = |reason: String| CredentialError::SerialFile {
            path: shown.clone(),
            reason,
        };
        if let Some(directory) = path.parent() {
            sets.lock_also(directory)?;
            // What a killed command left.
            remove_temporaries(directory, path.file_name())?;
        }
        // openssl ca writes the next one beside the file and renames it.
        let mut half = path.clone().into_os_string();
        half.push(".new");
        let half = PathBuf::from(half);
        if reading::look(places.root(), &half)?.is_some() {
            return Err(refused(format!(
                "openssl is just writing it, or was killed doing so ({} is there); wait, or remove that file if no openssl runs",
                places.shown(&half).display()
            )));
        }
        let Some(file) = reading::find_all(places.root(), &path)? else {
            let last = SerialNumber::random().map_err(|error| refused(error.to_string()))?;
            return Ok(Self {
                path,
                shown,
                last,
                mode: MODE,
            });
        };
        let text =
            std::str::from_utf8(&file.contents).map_err(|_| refused("is not text".to_owned()))?;
        let last = SerialNumber::from_text(text).map_err(|error| {
            refused(format!(
                "{error}; write the last serial number of this authority in hexadecimal digits, or remove the file and a random \
                 one is begun with"
            ))
        })?;
        Ok(Self {
            path,
            shown,
            last,
            mode: file.attributes.mode,
        })
    }

    /// The next one.
    pub(super) fn take(&mut self) -> Result<SerialNumber, CredentialError> {
        let next = self
            .last
            .next()
            .map_err(|error| CredentialError::SerialFile {
                path: self.shown.clone(),
                reason: error.to_string(),
            })?;
        self.last = next.clone();
        Ok(next)
    }

    /// Writes the last one down, before any certificate that has it can be seen: a number that is lost does no harm, and one
    /// that is given twice does.
    pub(super) fn keep(&self) -> Result<(), CredentialError> {
        Ok(write_atomically(
            &self.path,
            self.last.to_text().as_bytes(),
            self.mode,
        )?)
    }
}
