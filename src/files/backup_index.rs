//! What is in a backup, as a file beside the copies says it.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;

use crate::host::{Attributes, FILE_LIMIT, durable, read_within};
use crate::journal::{Store, TransactionError};
use crate::node::CertificateId;
use crate::pki::serde_end;

/// The file in each generation that says what is in it.
pub(super) const INDEX: &str = "index.json";

/// One file of a backup, as it was before the operation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackedUpFile {
    /// The node's path; the copy lies under the same path in the generation's directory.
    pub path: PathBuf,
    /// The certificate it belongs to; `None` for a manifest.
    pub certificate: Option<CertificateId>,
    /// What it held; `None` where there was no file.
    pub contents: Option<BackedUpContents>,
    /// When the certificate in it ends; `None` where none could be read in it, and in generations of earlier versions.
    #[serde(
        default,
        with = "serde_end::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub ends: Option<Timestamp>,
}

/// What a file held and had.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackedUpContents {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Owner, mode and so on.
    pub attributes: Attributes,
    /// When the copy was removed, because it held a private key and was too old; `None` while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Index {
    pub(crate) id: String,
    /// Missing in those of the first version.
    #[serde(default)]
    pub(super) number: u64,
    pub(super) created: Timestamp,
    pub(crate) files: Vec<BackedUpFile>,
}

/// The number of a generation that is made now.
pub(super) fn next_number(store: &Store) -> Result<u64, TransactionError> {
    let mut last = 0;
    for name in durable::names_in(&store.backups())? {
        // One that cannot be read is reported by whoever lists them.
        if let Ok(Some(index)) = read_index(&store.backups().join(name)) {
            last = last.max(index.number);
        }
    }
    Ok(last.saturating_add(1))
}

/// What is in a generation; `None` where nothing, or only half of one, is there.
pub(super) fn read_index(directory: &Path) -> Result<Option<Index>, TransactionError> {
    let path = directory.join(INDEX);
    let read = durable::open_regular(&path).and_then(|file: Option<File>| {
        let Some(file) = file else {
            return Ok(None);
        };
        // One more than its length, so that it is read at once.
        let length = usize::try_from(file.metadata()?.len().min(FILE_LIMIT)).unwrap_or(0);
        let text = read_within(
            file,
            FILE_LIMIT,
            Vec::with_capacity(length.saturating_add(1)),
        )?;
        let index: Index = serde_json::from_slice(&text)?;
        check_index(&index, directory)?;
        Ok(Some(index))
    });
    match read {
        // A plain file among the generations.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        read => read.map_err(TransactionError::file(&path, "could not be read")),
    }
}

/// An index that was edited, or copied with its directory, must not lead to anything outside it: generations are removed
/// by their ids and files put back by their paths.
fn check_index(index: &Index, directory: &Path) -> io::Result<()> {
    let wrong = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    if directory.file_name() != Some(index.id.as_ref()) {
        return Err(wrong(format!(
            "it is the index of {:?} and not of this directory; rename the directory to that, or move it out of the backups",
            index.id
        )));
    }
    let leads_out = |path: &Path| {
        let mut components = path.components();
        components.next() != Some(Component::RootDir)
            || !components.all(|part| matches!(part, Component::Normal(_)))
            || path.file_name().is_none()
    };
    match index.files.iter().find(|file| leads_out(&file.path)) {
        Some(file) => Err(wrong(format!(
            "it names {:?}, which is no path of the node; move this backup away",
            file.path
        ))),
        None => Ok(()),
    }
}
