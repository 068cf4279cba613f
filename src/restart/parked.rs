//! Manifests that are out, and the promise that each of them comes back.

use std::path::{Path, PathBuf};

use crate::files::Operation;
use crate::host::read_on_machine;
use crate::journal::{Record, TransactionError};
use crate::node::annotated;

/// The manifests that are out. When this is dropped, by an error, a panic or a caller that stopped waiting, whatever is
/// still out is put back.
#[derive(Debug)]
pub(super) struct ParkedManifests<'a, 'lock> {
    operation: &'a mut Operation<'lock>,
    /// In which order to put them back.
    order: Vec<PathBuf>,
}

impl<'a, 'lock> ParkedManifests<'a, 'lock> {
    pub(super) fn new(operation: &'a mut Operation<'lock>, order: Vec<PathBuf>) -> Self {
        Self { operation, order }
    }

    pub(super) fn park(&mut self, manifest: &Path) -> Result<(), TransactionError> {
        self.operation.park(manifest)
    }

    /// False when a newer manifest had taken its place.
    pub(super) fn return_manifest(&mut self, manifest: &Path) -> Result<bool, TransactionError> {
        self.operation.return_manifest(manifest)
    }

    /// Puts a manifest back with another annotation, as if it had been taken out once more.
    ///
    /// # Errors
    /// In words; it is in place then.
    pub(super) fn annotate(&mut self, manifest: &Path, value: &str) -> Result<(), String> {
        // What goes out is edited: somebody may put another one there until then.
        let edit = |bytes: &[u8]| annotated(bytes, value).map_err(std::io::Error::other);
        read_on_machine(manifest)
            .and_then(|bytes| edit(&bytes))
            .map_err(|error| error.to_string())?;
        self.park(manifest).map_err(|error| error.to_string())?;
        let written = self.operation.rewrite_parked(manifest, &edit);
        let returned = self.return_manifest(manifest).map(|_| ());
        written.and(returned).map_err(|error| error.to_string())
    }

    pub(super) fn note(&mut self, record: Record) -> Result<(), TransactionError> {
        self.operation.note(record)
    }

    /// Puts back whatever is out, in order. All are tried; the first that failed is the error.
    pub(super) fn return_all(&mut self) -> Result<(), (PathBuf, TransactionError)> {
        let mut first = None;
        for manifest in self.still_out() {
            match self.operation.return_manifest(&manifest) {
                Ok(_) => tracing::info!(
                    path = %manifest.display(),
                    "{}: manifest put back", manifest.display()
                ),
                Err(error) => {
                    tracing::error!(
                        path = %manifest.display(),
                        "{}: the manifest could not be put back: {error}", manifest.display()
                    );
                    first = first.or(Some((manifest, error)));
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn still_out(&self) -> Vec<PathBuf> {
        let mut out: Vec<PathBuf> = self
            .operation
            .parked()
            .into_iter()
            .map(Path::to_path_buf)
            .collect();
        let place = |manifest: &PathBuf| {
            self.order
                .iter()
                .position(|other| other == manifest)
                .unwrap_or(usize::MAX)
        };
        out.sort_by_key(place);
        out
    }
}

impl Drop for ParkedManifests<'_, '_> {
    fn drop(&mut self) {
        // Already logged, and the journal still has it: the next start puts it back.
        let _ = self.return_all();
    }
}
