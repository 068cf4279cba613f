//! The file with the last serial number of an authority, which openssl counts up.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::error::CredentialError;
use super::places::Places;
use super::reading;
use crate::host::{Place, remove_temporaries, write_atomically};
use crate::pki::{AuthorityId, SerialNumber};

/// Serial numbers of one authority, taken one after the other. Nothing is written before [`Serials::keep`].
pub(super) struct Serials {
    path: PathBuf,
    shown: PathBuf,
    /// The last one that was given out.
    last: SerialNumber,
    mode: u32,
    /// The file as it was, locked; `None` for a new one.
    _locked: Option<File>,
}

/// What a new one gets, as openssl's.
const MODE: u32 = 0o644;

impl Serials {
    /// Reads the file, or begins with a random number where there is none.
    pub(super) fn open(places: &Places, authority: AuthorityId) -> Result<Self, CredentialError> {
        let path = places.authority(authority, "srl");
        let shown = places.shown(&path);
        let refused = |reason: String| CredentialError::SerialFile {
            path: shown.clone(),
            reason,
        };
        // What a killed command left.
        if let Some(directory) = path.parent() {
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
        let Some(text) = reading::find(places.root(), &path)? else {
            let last = SerialNumber::random().map_err(|error| refused(error.to_string()))?;
            return Ok(Self {
                path,
                shown,
                last,
                mode: MODE,
                _locked: None,
            });
        };
        let locked = Place::at(&path)
            .and_then(|place| place.open(OFlags::RDONLY | OFlags::NONBLOCK))
            .map_err(|error| refused(error.to_string()))?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refused(
                    "is locked by another process that signs; wait until it has ended".to_owned(),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(refused(error.to_string())),
        }
        let text = std::str::from_utf8(&text).map_err(|_| refused("is not text".to_owned()))?;
        let last = SerialNumber::from_text(text).map_err(|error| {
            refused(format!(
                "{error}; write the last serial number of this authority in hexadecimal digits, or remove the file and a random \
                 one is begun with"
            ))
        })?;
        let mode = reading::look(places.root(), &path)?.map_or(MODE, |found| found.mode);
        Ok(Self {
            path,
            shown,
            last,
            mode,
            _locked: Some(locked),
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
