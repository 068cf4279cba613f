//! An operation's files: put in place and put back, all or none, and settled after a crash.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::backup::Backup;
use super::rename::Forward;
use super::transaction::Operation;
use super::{rename, retention, stage, survey};
use crate::host::durable;
use crate::issuer::Replacement;
use crate::journal::{Files, StagedFile, Step, TransactionError, UndoReason, Way};
use crate::node::Replaceable;

impl Operation<'_> {
    /// Puts the files in place as one transaction. Links are followed where they are root's alone. When it returns an error,
    /// everything is as it was before, unless it is [`TransactionError::NotUndone`]. An operation installs once.
    ///
    /// # Errors
    /// [`TransactionError`].
    pub fn install(&mut self, replacements: Vec<Replacement>) -> Result<(), TransactionError> {
        self.put_in_place(replacements, None)
    }

    /// The same, of files that may be replaced; the first that may not is an error.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub fn install_replaceable(
        &mut self,
        replacements: Vec<Replacement>,
        replaceable: &Replaceable,
    ) -> Result<(), TransactionError> {
        self.put_in_place(replacements, Some(replaceable))
    }

    fn put_in_place(
        &mut self,
        replacements: Vec<Replacement>,
        replaceable: Option<&Replaceable>,
    ) -> Result<(), TransactionError> {
        if self.state.files != Files::Untouched {
            return Err(self.out_of_order("it has installed files already"));
        }
        if replacements.is_empty() {
            return Ok(());
        }
        let replacements = survey::pair(replacements);
        let files = survey::survey(&self.store, self.id(), &replacements, replaceable)?;
        self.append(Step::Staging {
            files: files.clone(),
        })?;
        let prepared = self
            .prepare(&files, &replacements)
            .and_then(|()| self.append(Step::Committing));
        // Keys are wiped before anything else happens.
        drop(replacements);
        if let Err(error) = prepared {
            if let Err(second) = self.unstage() {
                tracing::warn!(error = %second, "a staged file is left behind; recovery removes it");
            }
            return Err(error);
        }
        // Looked at once more, since journalling takes long enough for somebody to write a file.
        survey::check_unchanged(&self.store, &files)
            .and_then(|()| rename::commit(&self.store, &files))
            .and_then(|()| self.append(Step::Committed))
            .map_err(|cause| match self.undo((&cause).into()) {
                Ok(()) => cause,
                Err(undo) => TransactionError::NotUndone {
                    cause: Box::new(cause),
                    undo: Box::new(undo),
                },
            })
    }

    /// Puts every file of the backup back, journalled; parked manifests are returned first. Once done, doing it again
    /// does nothing.
    ///
    /// # Errors
    /// [`TransactionError`]; naming what could not be put back. [`TransactionError::LeftAlone`] when all else is.
    pub fn roll_back(&mut self, reason: impl Into<UndoReason>) -> Result<(), TransactionError> {
        let returned = self.give_all_back();
        if let Files::Staging(_) = self.state.files {
            self.unstage()?;
        }
        let undone = if let Files::RolledBack(_) = self.state.files {
            Ok(())
        } else {
            self.undo(reason.into())
        };
        returned.and(undone)
    }

    /// After a crash: finishes what the commit point allows, undoes the rest. Gives the files left alone.
    pub(super) fn settle(&mut self) -> Result<Vec<PathBuf>, TransactionError> {
        if let Files::Staging(files) = &self.state.files
            && rename::is_any_renamed(&self.store, files)?
        {
            // Its commit point was journalled, since a rename follows it, and is the last record, which cannot be read.
            self.append(Step::Committing)?;
        }
        match (self.state.way(), &self.state.files) {
            (Way::Forget, Files::Staging(_)) => self.unstage().map(|()| Vec::new()),
            (Way::Forward, Files::Committing(files)) => {
                match rename::roll_forward(&self.store, files)? {
                    Forward::Done { left_alone } => {
                        self.append(Step::Committed)?;
                        Ok(left_alone)
                    }
                    Forward::Impossible { missing } => self.undo_leaving_alone(
                        format!("it was cut off, and {} is missing since", missing.display())
                            .into(),
                    ),
                }
            }
            // The record which says that the old ones go back is written before the first of them does.
            (Way::Forward, Files::Committed(files))
                if self.last_is_lost && rename::is_any_put_back(&self.store, files)? =>
            {
                self.undo_leaving_alone("it was cut off while its old files were put back".into())
            }
            (Way::Back, Files::RollingBack(_)) => self.put_back(),
            _ => Ok(Vec::new()),
        }
    }

    fn prepare(
        &self,
        files: &[StagedFile],
        replacements: &[Replacement],
    ) -> Result<(), TransactionError> {
        let mut written = BTreeSet::new();
        let mut backup = Backup::open(&self.store, self.id())?;
        let root = self.store.root().holding();
        for file in files {
            written.extend(backup.copy_in(
                &root,
                &file.target(&self.store),
                &file.target,
                Some(&file.id),
                file.old_digest.as_deref(),
            )?);
        }
        written.extend(stage::stage(&self.store, files, replacements)?);
        durable::sync_all(&Vec::from_iter(written))?;
        backup.seal()?;
        survey::check_unchanged(&self.store, files)
    }

    pub(super) fn unstage(&mut self) -> Result<(), TransactionError> {
        stage::unstage(&self.store, self.state.files.all())?;
        if self.state.ever_out.is_empty() {
            retention::remove(&self.store, self.id())?;
        }
        self.append(Step::Unstaged)
    }

    pub(super) fn undo(&mut self, reason: UndoReason) -> Result<(), TransactionError> {
        let left_alone = self.undo_leaving_alone(reason)?;
        if left_alone.is_empty() {
            Ok(())
        } else {
            Err(TransactionError::LeftAlone { paths: left_alone })
        }
    }

    fn undo_leaving_alone(&mut self, reason: UndoReason) -> Result<Vec<PathBuf>, TransactionError> {
        let journalled = self.append(Step::RollingBack(reason));
        // Before the commit is journalled, recovery looks at every file and finds the way from any of them; after it,
        // only a journalled rollback can be continued.
        if !matches!(self.state.files, Files::Committing(_)) {
            journalled?;
            return self.put_back();
        }
        let left_alone = self.put_back();
        journalled.and(left_alone)
    }

    fn put_back(&mut self) -> Result<Vec<PathBuf>, TransactionError> {
        let backup = Backup::open(&self.store, self.id())?;
        let left_alone = rename::put_back(&self.store, self.state.files.all(), &backup)?;
        if let Files::RollingBack(_) = self.state.files {
            let root = self.store.root();
            self.append(Step::RolledBack {
                left_alone: left_alone.iter().map(|path| root.node_path(path)).collect(),
            })?;
        }
        Ok(left_alone)
    }
}
