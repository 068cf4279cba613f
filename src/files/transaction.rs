//! One operation, from its first journal record to its last.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::retention;
use crate::host::{Actor, durable};
use crate::journal::{
    Beginning, Files, Head, Journal, Lock, OperationKind, Outcome, Record, State, Step, Store,
    TransactionError, Trigger,
};
use crate::node::{CertificateId, PodRef};

/// An operation in flight. Dropping it without [`Operation::finish`] leaves the journal as it is, for recovery.
#[derive(Debug)]
pub struct Operation<'lock> {
    lock: PhantomData<&'lock Lock>,
    pub(super) store: Store,
    beginning: Beginning,
    journal: Journal,
    pub(super) state: State,
    /// Whether the journal may have held one more record when it was opened, which cannot be read.
    pub(super) last_is_lost: bool,
    /// Real paths of the manifests that are out, as their callers named them.
    pub(crate) parked: Vec<PathBuf>,
    /// How long backups keep private keys, and the moment by which that is reckoned; `None`: as long as the backups.
    max_age: Option<(Duration, Timestamp)>,
}

impl<'lock> Operation<'lock> {
    /// Starts an operation: an id (`20261123T224110Z-4f2a`), a journal file with its first record, fsynced.
    ///
    /// # Errors
    /// [`TransactionError::Unfinished`] while an earlier operation's journal is still there (recover first).
    pub fn begin(
        store: &Store,
        lock: &'lock Lock,
        trigger: Trigger,
    ) -> Result<Self, TransactionError> {
        let kind = OperationKind::of_trigger(&trigger);
        Self::begin_after(store, lock, (kind, trigger), &[], None)
    }

    /// The same beside operations that are recovered and still have restarts or proofs before them. `history`: where the
    /// history ends now, for the receipt.
    ///
    /// # Errors
    /// As [`Self::begin`], for any other.
    pub fn begin_after(
        store: &Store,
        _lock: &'lock Lock,
        (kind, trigger): (OperationKind, Trigger),
        recovered: &[&str],
        history: Option<Head>,
    ) -> Result<Self, TransactionError> {
        store.prepare()?;
        let mut in_flight = store.in_flight()?.into_iter();
        if let Some(id) = in_flight.find(|id| !recovered.contains(&id.as_str())) {
            return Err(TransactionError::Unfinished { id });
        }
        let started = crate::host::now();
        let id = free_id(store, started)?;
        let beginning = Beginning {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            id,
            kind: Some(kind),
            trigger,
            started,
            by: Some(Actor::of_this_process()),
            history,
        };
        let mut operation = Self {
            lock: PhantomData,
            journal: Journal::create(&store.journal_file(&beginning.id))?,
            store: store.clone(),
            beginning: beginning.clone(),
            state: State::default(),
            last_is_lost: false,
            parked: Vec::new(),
            max_age: None,
        };
        match operation.append(Step::Begun(beginning)) {
            Ok(()) => Ok(operation),
            Err(error) => {
                if let Err(second) = operation.journal.remove() {
                    tracing::warn!(error = %second, "an empty journal is left behind");
                }
                Err(error)
            }
        }
    }

    /// Continues an operation that a crash cut off.
    pub(super) fn resume(
        store: &Store,
        _lock: &'lock Lock,
        beginning: Beginning,
        journal: Journal,
        state: State,
        last_is_lost: bool,
    ) -> Self {
        let mut operation = Self {
            lock: PhantomData,
            store: store.clone(),
            beginning,
            journal,
            state,
            last_is_lost,
            parked: Vec::new(),
            max_age: None,
        };
        operation.list_parked();
        operation
    }

    /// The operation's id; also the name of its backup generation.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.beginning.id
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        let beginning = &self.beginning;
        beginning
            .kind
            .unwrap_or_else(|| OperationKind::of_trigger(&beginning.trigger))
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.beginning.started
    }

    /// What set it off.
    #[must_use]
    pub fn trigger(&self) -> &Trigger {
        &self.beginning.trigger
    }

    /// What started the process that began it, where its journal says so.
    #[must_use]
    pub fn by(&self) -> Option<&Actor> {
        self.beginning.by.as_ref()
    }

    /// Where the history ended when it began, where its journal says so.
    #[must_use]
    pub fn history(&self) -> Option<&Head> {
        self.beginning.history.as_ref()
    }

    /// Appends a record about something that changed no file (a restart begun, proved …), fsynced.
    ///
    /// # Errors
    /// [`TransactionError`].
    pub fn note(&mut self, record: Record) -> Result<(), TransactionError> {
        let root = self.store.root();
        let record = match record {
            Record::RestartsPlanned { mut pods } => {
                for pod in &mut pods {
                    pod.manifest = root.node_path(&pod.manifest);
                }
                Record::RestartsPlanned { pods }
            }
            other => other,
        };
        self.append(Step::Noted(record))
    }

    /// Has [`Self::finish`] remove the private keys from backups that are older than this at `now`.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration, now: Timestamp) -> Self {
        self.max_age = Some((max_age, now));
        self
    }

    /// Ends the operation: removes the journal, prunes backups to `keep` generations and `max_bytes`. A manifest that is
    /// still out is returned before, and an installation that failed half-way undone.
    ///
    /// # Errors
    /// [`TransactionError`]; the journal is then kept, for recovery.
    pub fn finish(
        mut self,
        outcome: Outcome,
        keep: usize,
        max_bytes: u64,
    ) -> Result<(), TransactionError> {
        self.give_all_back()?;
        match self.state.files {
            Files::Staging(_) => self.unstage()?,
            Files::Committing(_) | Files::RollingBack(_) => {
                self.undo("the operation ended before all files were in place".into())?;
            }
            Files::Untouched | Files::Committed(_) | Files::RolledBack(_) => {}
        }
        self.append_or_warn(Step::Finished { outcome });
        let id = self.beginning.id;
        self.journal.remove()?;
        retention::tidy(&self.store, keep, max_bytes, &id, self.max_age);
        Ok(())
    }

    /// Removes every trace of an operation that changed nothing.
    pub(super) fn forget(mut self) -> Result<(), TransactionError> {
        if let Files::Staging(_) = self.state.files {
            self.unstage()?;
        }
        retention::remove(&self.store, &self.beginning.id)?;
        self.journal.remove()
    }

    /// Pods whose restart was planned and not done. After a rollback, those that may use the files that are gone.
    #[must_use]
    pub fn restarts_left(&self) -> Vec<PodRef> {
        self.state
            .restarts_left()
            .map(|restart| PodRef {
                component: restart.pod.component.clone(),
                manifest: self.store.root().join(&restart.pod.manifest),
            })
            .collect()
    }

    /// Whether the kubelet alone uses what it replaces.
    #[must_use]
    pub fn is_about_kubelet(&self) -> bool {
        self.state.kubelet.is_some()
    }

    /// Certificates whose users are to be told of its files, and are not yet. After a rollback, those whose users may use the files
    /// that are gone.
    #[must_use]
    pub fn users_left(&self) -> Vec<CertificateId> {
        if self.state.is_without_effect() {
            return Vec::new();
        }
        self.state.users_left()
    }

    /// Certificates whose users were to be told, told or not.
    #[must_use]
    pub fn users(&self) -> Vec<CertificateId> {
        self.state.users()
    }

    pub(super) fn append(&mut self, step: Step) -> Result<(), TransactionError> {
        let next = self
            .state
            .clone()
            .after(&step)
            .map_err(|reason| self.out_of_order(&reason))?;
        self.journal.append(&step)?;
        self.state = next;
        self.list_parked();
        Ok(())
    }

    /// For steps whose effect can be seen on the disk, so that not being able to journal them must stop nothing.
    pub(super) fn append_or_warn(&mut self, step: Step) {
        if let Err(error) = self.append(step.clone()) {
            tracing::warn!(%error, "the journal is not complete");
            if let Ok(next) = self.state.clone().after(&step) {
                self.state = next;
                self.list_parked();
            }
        }
    }

    fn list_parked(&mut self) {
        self.parked = self
            .state
            .out
            .iter()
            .map(|out| self.store.root().join(&out.parked.manifest))
            .collect();
    }

    pub(super) fn out_of_order(&self, reason: &str) -> TransactionError {
        TransactionError::Journal {
            path: self.store.journal_file(self.id()),
            reason: reason.to_owned(),
        }
    }
}

fn free_id(store: &Store, started: Timestamp) -> Result<String, TransactionError> {
    let backups = store.backups();
    let unnamed = || TransactionError::file(&backups, "no name could be found for a backup in");
    loop {
        let mut random = [0u8; 2];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|error| unnamed()(std::io::Error::other(error)))?;
        let id = format!(
            "{}-{:04x}",
            started.strftime("%Y%m%dT%H%M%SZ"),
            u16::from_ne_bytes(random)
        );
        if !durable::exists(&backups.join(&id)).map_err(unnamed())? {
            return Ok(id);
        }
    }
}
