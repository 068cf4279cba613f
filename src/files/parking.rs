//! Manifests on their way out and back as steps of an operation.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::backup;
use super::backup::Backup;
use super::manifest;
use super::manifest::{Return, Route};
use super::transaction::Operation;
use crate::host::{self, Attributes, FILE_LIMIT, durable, read_within, write};
use crate::journal::{OutManifest, ParkedManifest, Step, Store, TransactionError};

impl Operation<'_> {
    /// Moves a manifest out of the manifest directory, journalled before.
    ///
    /// # Errors
    /// [`TransactionError`]; the manifest is then still in place.
    pub fn park(&mut self, manifest: &Path) -> Result<(), TransactionError> {
        let named = self.store.root().node_path(manifest);
        let refused = || TransactionError::file(manifest, "could not be taken out");
        if self.state.out(&named).is_some() {
            let out = std::io::Error::other("it is out already");
            return Err(refused()(out));
        }
        let route = manifest::route(&self.store, manifest)?;
        if durable::exists(&route.parked).map_err(refused())? {
            let taken = std::io::Error::other(format!(
                "an older one of the same name is still in {}",
                route.parked.display()
            ));
            return Err(refused()(taken));
        }
        let digest = self.back_up_manifest(&route)?;
        self.append(Step::Parking(ParkedManifest {
            manifest: named.clone(),
            place: self.store.root().node_path(&route.place),
            parked: self.store.root().node_path(&route.parked),
            digest,
        }))?;
        let result = manifest::take_out(self.store.root(), &route);
        if result.is_err() && matches!(durable::exists(&route.place), Ok(true)) {
            self.append_or_warn(Step::Returned {
                manifest: named,
                kept_newer: false,
            });
            tidy(&route);
        }
        result
    }

    /// Moves a parked manifest back; one that appeared in its place meanwhile is newer and stays, the parked one is then
    /// kept in the backup. Returns whether the parked one was put back; for a manifest that is not out, `true`.
    ///
    /// # Errors
    /// [`TransactionError`]; the manifest is then still parked.
    pub fn return_manifest(&mut self, manifest: &Path) -> Result<bool, TransactionError> {
        let named = self.store.root().node_path(manifest);
        let Some(out) = self.state.out(&named).cloned() else {
            return Ok(true);
        };
        let outcome = self.bring_back(&out)?;
        Ok(matches!(outcome, Return::PutBack | Return::WasThere))
    }

    /// Gives a manifest that is out other contents, made from those that it went out with, journalled before. With these it
    /// comes back; the old ones are in the backup, and every other attribute stays. After a rollback, the next time that it is out with these it comes back
    /// with the old ones.
    ///
    /// # Errors
    /// [`TransactionError`]; the manifest is then as it was.
    pub fn rewrite_parked(
        &mut self,
        manifest: &Path,
        edit: &dyn Fn(&[u8]) -> std::io::Result<Vec<u8>>,
    ) -> Result<(), TransactionError> {
        let failed = || TransactionError::file(manifest, "could not be given another annotation");
        let named = self.store.root().node_path(manifest);
        let Some(out) = self.state.out(&named) else {
            return Err(failed()(std::io::Error::other("it is not out")));
        };
        let parked = out.route(&self.store).parked;
        let Some(old) = durable::open_regular(&parked).map_err(failed())? else {
            return Err(failed()(std::io::ErrorKind::NotFound.into()));
        };
        let attributes = Attributes::of(&old).map_err(failed())?;
        let contents = read_within(old, FILE_LIMIT, Vec::new()).map_err(failed())?;
        let contents = edit(&contents).map_err(failed())?;
        self.append(Step::Rewriting {
            manifest: named,
            digest: host::digest(&contents),
        })?;
        let temporary = write::temporary_beside(&parked)?;
        let written = durable::create_private(&temporary)
            .and_then(|mut new| {
                new.write_all(&contents)?;
                attributes.give_to(&new)?;
                new.sync_all()
            })
            .map_err(failed())
            .and_then(|()| Ok(durable::rename_over(&temporary, &parked)?));
        if written.is_err() {
            write::discard(&temporary);
        }
        written.and_then(|()| Ok(durable::sync_directory(manifest::directory_of(&parked))?))
    }

    /// Manifests that are out at this moment.
    #[must_use]
    pub fn parked(&self) -> Vec<&Path> {
        self.parked.iter().map(PathBuf::as_path).collect()
    }

    /// The ways of all manifests that were ever out.
    pub(super) fn routes(&self) -> Vec<Route> {
        self.state
            .ever_out
            .iter()
            .map(|parked| parked.route(&self.store))
            .collect()
    }

    /// Brings a manifest back, journalled.
    pub(super) fn bring_back(&mut self, out: &OutManifest) -> Result<Return, TransactionError> {
        let manifest = &out.parked.manifest;
        // It comes back even if the journal cannot be written: where it is can be seen.
        self.append_or_warn(Step::Returning {
            manifest: manifest.clone(),
        });
        if let Err(error) = self.take_rewriting_back(out) {
            tracing::warn!(manifest = %manifest.display(), %error, "a manifest keeps what was added to it");
        }
        let outcome = bring_back(&self.store, self.id(), out, true)?;
        self.append_or_warn(Step::Returned {
            manifest: manifest.clone(),
            kept_newer: matches!(outcome, Return::KeptNewer(_)),
        });
        tidy(&out.route(&self.store));
        Ok(outcome)
    }

    /// Brings every manifest back; all are tried.
    pub(super) fn give_all_back(&mut self) -> Result<(), TransactionError> {
        let mut result = Ok(());
        for manifest in self.parked.clone() {
            result = result.and(self.return_manifest(&manifest).map(|_| ()));
        }
        result
    }

    /// Gives a manifest that is out its first contents again, where it is to come back with these.
    fn take_rewriting_back(&self, out: &OutManifest) -> Result<(), TransactionError> {
        let parked = out.route(&self.store).parked;
        match durable::digest_of(&parked)? {
            Some(digest) if self.state.is_rolled_back(out, &digest) => {}
            _ => return Ok(()),
        }
        let temporary = write::temporary_beside(&parked)?;
        Backup::open(&self.store, self.id())?.copy_out(&out.parked.place, &temporary)?;
        let replaced = durable::sync_all(std::slice::from_ref(&temporary))
            .and_then(|()| durable::rename_over(&temporary, &parked));
        if replaced.is_err() {
            write::discard(&temporary);
        }
        Ok(replaced.and_then(|()| durable::sync_directory(manifest::directory_of(&parked)))?)
    }

    /// Copies a manifest into the backup; gives its digest. The first copy is what it was before the operation and stays;
    /// that of a changed one lies beside, where the manifest itself is while it is out.
    fn back_up_manifest(&self, route: &Route) -> Result<String, TransactionError> {
        let refused = || TransactionError::file(&route.place, "could not be taken out");
        let source = self.store.resolve(&route.place).map_err(refused())?;
        let Some(digest) = durable::digest_of(&source)? else {
            return Err(refused()(std::io::ErrorKind::NotFound.into()));
        };
        let mut backup = Backup::open(&self.store, self.id())?;
        let mut node_path = self.store.root().node_path(&route.place);
        if backup
            .digest_of(&node_path)
            .is_some_and(|first| first != digest)
        {
            node_path = self.store.root().node_path(&route.parked);
        }
        let written =
            backup.copy_in(self.store.root(), &source, &node_path, None, Some(&digest))?;
        durable::sync_all(&written)?;
        backup.seal()?;
        Ok(digest)
    }
}

impl ParkedManifest {
    /// Its way, under this store's root. The directory may have become a link meanwhile, or another one: it belongs to
    /// where its path leads now, if that leads anywhere.
    fn route(&self, store: &Store) -> Route {
        let place = store.root().join(&self.place);
        let named = store.root().join(&self.manifest);
        let directory = store.resolve(manifest::directory_of(&named));
        Route {
            place: match (directory, named.file_name()) {
                (Ok(directory), Some(name)) if host::is_directory(&directory) => {
                    directory.join(name)
                }
                _ => place,
            },
            parked: store.root().join(&self.parked),
        }
    }
}

impl OutManifest {
    pub(super) fn route(&self, store: &Store) -> Route {
        self.parked.route(store)
    }
}

/// Removes the directory for manifests that are out, if none is.
pub(super) fn tidy(route: &Route) {
    if let Err(error) = manifest::tidy(manifest::directory_of(&route.parked)) {
        tracing::warn!(%error, "the directory for manifests that are out could not be tidied");
    }
}

/// Brings one manifest of an operation back; with `from_backup`, from there if it is nowhere else. Writes no journal.
pub(super) fn bring_back(
    store: &Store,
    id: &str,
    out: &OutManifest,
    from_backup: bool,
) -> Result<Return, TransactionError> {
    let route = out.route(store);
    let kept = route.place.file_name().unwrap_or_default();
    let outcome = manifest::bring_back(&route, || {
        Ok(backup::superseded_directory(store, id)?.join(kept))
    })?;
    // Once its return had begun, it may have been back, and removed by somebody for good.
    if outcome == Return::Missing && from_backup && !out.returning {
        let temporary = write::temporary_beside(&route.place)?;
        let backup = Backup::open(store, id)?;
        let ParkedManifest {
            place,
            parked,
            digest,
            ..
        } = &out.parked;
        let is_changed_one = backup.digest_of(parked) == Some(digest.as_str());
        backup.copy_out(if is_changed_one { parked } else { place }, &temporary)?;
        durable::sync_all(std::slice::from_ref(&temporary))?;
        if let Err(error) = durable::rename_if_free(&temporary, &route.place) {
            write::discard(&temporary);
            return Err(TransactionError::file(
                &route.place,
                "could not be moved back",
            )(error));
        }
        durable::sync_directory(manifest::directory_of(&route.place))?;
        tracing::warn!(manifest = %route.place.display(), "a manifest that was out had vanished; it is restored from the backup");
        return Ok(Return::PutBack);
    }
    manifest::report(&route, &outcome);
    Ok(outcome)
}
