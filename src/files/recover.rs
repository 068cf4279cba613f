//! After a crash: what the journal says is finished or undone.

use std::path::PathBuf;

use super::manifest;
use super::manifest::Return;
use super::parking;
use super::retention;
use super::transaction::Operation;
use crate::host::write;
use crate::journal::{
    Journal, Lock, OutManifest, Reading, RenewedCertificate, State, Step, Store, TransactionError,
    UndoReason, Way, file as journal, manifests_out, replay,
};
use crate::node::{CertificateId, PodRef};

/// Where manifests are looked for without a journal: kubeadm has no other place.
const MANIFESTS: &str = "/etc/kubernetes/manifests";

/// What recovery found and did.
#[derive(Debug)]
pub struct Recovery<'lock> {
    /// The operation's id.
    pub id: String,
    /// Whether its files are the new ones (rolled forward) or the old ones (rolled back).
    pub rolled_forward: bool,
    /// Why it was rolled back.
    pub reason: Option<UndoReason>,
    /// What its receipt says of the certificates that it concerned; empty in journals of versions that wrote names only.
    pub changes: Vec<RenewedCertificate>,
    /// Certificates it concerned.
    pub certificates: Vec<CertificateId>,
    /// Pods whose restart was planned and not done: the caller restarts them.
    pub restarts_left: Vec<PodRef>,
    /// Of the certificates, those that are still to be proved in use: the caller does that afterwards.
    pub proofs_left: Vec<CertificateId>,
    /// Where running hooks before it was all that it did: the moments that they were of.
    pub only_hooks: Option<Vec<String>>,
    /// Whether expired certificates had stopped the node, so that the kubelet has to be restarted too.
    pub node_down: bool,
    /// Whether the kubelet alone has to be restarted, or to show that it need not be.
    pub kubelet_alone: bool,
    /// Manifests that were out and are back.
    pub returned: Vec<PathBuf>,
    /// Manifests in whose place a newer one was found; the others are kept in the backup.
    pub superseded: Vec<PathBuf>,
    /// Files that somebody else changed since, which were therefore left as they are.
    pub left_alone: Vec<PathBuf>,
    /// The operation itself, to be finished: its journal stays until then, so that a second crash loses nothing.
    pub operation: Operation<'lock>,
}

/// Finishes or undoes every operation in flight, manifests first. One that had changed nothing and run no hooks is removed and not
/// among the results; the others wait for their restarts and for [`Operation::finish`].
///
/// # Errors
/// [`TransactionError`] when a file cannot be put where the journal says; everything else is done all the same. With a
/// damaged journal, the manifests that can be recognised are back nevertheless.
pub fn recover<'lock>(
    store: &Store,
    lock: &'lock Lock,
) -> Result<Vec<Recovery<'lock>>, TransactionError> {
    store.prepare()?;
    let mut result =
        write::remove_temporaries(store.directory(), None).map_err(TransactionError::from);
    let mut opened = Vec::new();
    for id in store.in_flight()? {
        match open(store, lock, &id) {
            Ok(Some(mut operation)) => {
                let manifests = bring_back_journalled(store, &mut operation);
                opened.push((operation, manifests));
            }
            Ok(None) => {}
            Err(error) => result = result.and(Err(error)),
        }
    }
    if result.is_err() {
        // What the journal that cannot be read says is out can be seen.
        let directory = store.root().join(MANIFESTS);
        if let Err(error) = manifest::bring_back_all(store, &directory) {
            tracing::error!(%error, "a manifest could not be returned");
        }
    }
    let mut recovered = Vec::new();
    for (operation, manifests) in opened {
        match settle(operation, manifests) {
            Ok(recovery) => recovered.extend(recovery),
            Err(error) => result = result.and(Err(error)),
        }
    }
    result.map(|()| recovered)
}

/// Returns parked manifests only, with nothing but journal and file system: for the moments before kubelet starts and
/// after the daemon dies. Needs no lock; with it the journal learns of what came back, so that a manifest that somebody
/// then removes stays away. What no journal knows of is found beside `manifest_directories` (real paths).
///
/// # Errors
/// [`TransactionError`] for the first manifest that cannot be returned; the others are returned all the same.
pub fn return_parked(
    store: &Store,
    lock: Option<&Lock>,
    manifest_directories: &[PathBuf],
) -> Result<Vec<PathBuf>, TransactionError> {
    let mut manifests = Manifests::default();
    let ids = store.in_flight().unwrap_or_else(|error| {
        tracing::warn!(%error, "manifests are looked for without a journal");
        Vec::new()
    });
    for id in ids {
        if let Some(lock) = lock
            && let Ok(opened) = open(store, lock, &id)
        {
            if let Some(mut operation) = opened {
                manifests.join(bring_back_journalled(store, &mut operation));
            }
            continue;
        }
        match journal::read(&store.journal_file(&id)) {
            Ok(reading) => bring_back_read(store, &id, &reading, &mut manifests),
            Err(error) => tracing::warn!(%error, "manifests are looked for without this journal"),
        }
    }
    for directory in manifest_directories {
        match manifest::bring_back_all(store, directory) {
            Ok(found) => manifests.returned.extend(found),
            Err(error) => manifests.fail(error),
        }
    }
    match manifests.error {
        Some(error) => Err(error),
        None => Ok(manifests.returned),
    }
}

/// What became of the manifests that were out.
#[derive(Debug, Default)]
struct Manifests {
    returned: Vec<PathBuf>,
    superseded: Vec<PathBuf>,
    /// The first.
    error: Option<TransactionError>,
}

impl Manifests {
    fn add(&mut self, out: &OutManifest, store: &Store, outcome: Result<Return, TransactionError>) {
        let place = store.root().join(&out.parked.manifest);
        match outcome {
            Ok(Return::PutBack) => self.returned.push(place),
            Ok(Return::KeptNewer(_)) => self.superseded.push(place),
            Ok(Return::WasThere | Return::Missing) => {}
            Err(error) => self.fail(error),
        }
    }

    fn join(&mut self, others: Self) {
        self.returned.extend(others.returned);
        self.superseded.extend(others.superseded);
        if let Some(error) = others.error {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: TransactionError) {
        if self.error.is_some() {
            tracing::error!(%error, "another manifest could not be returned");
        }
        self.error.get_or_insert(error);
    }
}

fn bring_back_journalled(store: &Store, operation: &mut Operation<'_>) -> Manifests {
    let mut manifests = Manifests::default();
    for route in operation.routes() {
        if let Err(error) = manifest::remove_leftovers(&route) {
            tracing::warn!(%error, "what a crash left of a manifest's move could not be removed");
        }
    }
    for out in operation.state.out.clone() {
        let outcome = operation.bring_back(&out);
        manifests.add(&out, store, outcome);
    }
    for route in operation.routes() {
        parking::tidy(&route);
    }
    manifests
}

/// Without the lock, or with a damaged journal: only what can be seen.
fn bring_back_read(store: &Store, id: &str, reading: &Reading, manifests: &mut Manifests) {
    for out in manifests_out(&reading.steps) {
        let outcome = parking::bring_back(store, id, &out, reading.damage.is_none());
        manifests.add(&out, store, outcome);
        parking::tidy(&out.route(store));
    }
}

/// Finishes or undoes the files of an operation whose manifests are back.
fn settle<'lock>(
    mut operation: Operation<'lock>,
    manifests: Manifests,
) -> Result<Option<Recovery<'lock>>, TransactionError> {
    let settled = operation.settle();
    if let Some(error) = manifests.error {
        if let Err(second) = settled {
            tracing::error!(error = %second, "files are not as the journal wants them either");
        }
        return Err(error);
    }
    let left_alone = settled?;
    let is_without_effect = operation.state.is_without_effect();
    if is_without_effect && operation.state.hooks.is_empty() {
        tracing::info!(
            operation = operation.id(),
            "an operation was cut off before it changed anything"
        );
        operation.forget()?;
        return Ok(None);
    }
    let state = &operation.state;
    Ok(Some(Recovery {
        id: operation.id().to_owned(),
        rolled_forward: !is_without_effect && state.way() != Way::Back,
        reason: state.reason.clone(),
        changes: state.changes.clone(),
        certificates: state.certificates(),
        proofs_left: if is_without_effect {
            Vec::new()
        } else {
            state.proofs_left()
        },
        restarts_left: if is_without_effect {
            Vec::new()
        } else {
            operation.restarts_left()
        },
        only_hooks: is_without_effect.then(|| state.hooks.clone()),
        node_down: state.node_down,
        kubelet_alone: state.kubelet.is_some(),
        returned: manifests.returned,
        superseded: superseded(&operation, manifests.superseded),
        left_alone,
        operation,
    }))
}

/// The manifests that were superseded, now or when another process brought them back.
fn superseded(operation: &Operation<'_>, mut now: Vec<PathBuf>) -> Vec<PathBuf> {
    for manifest in &operation.state.superseded {
        let place = operation.store.root().join(manifest);
        if !now.contains(&place) {
            now.push(place);
        }
    }
    now
}

/// Opens the journal of an operation; `None` if there is nothing left to do for it.
fn open<'lock>(
    store: &Store,
    lock: &'lock Lock,
    id: &str,
) -> Result<Option<Operation<'lock>>, TransactionError> {
    let path = store.journal_file(id);
    let (journal, reading) = Journal::open(&path)?;
    let state = match understand(&reading).and_then(|state| of_this_file(state, id)) {
        Ok(state) => state,
        Err(reason) => {
            let mut manifests = Manifests::default();
            bring_back_read(store, id, &reading, &mut manifests);
            return Err(manifests
                .error
                .unwrap_or_else(|| damaged(store, id, path, &reason)));
        }
    };
    if state.finished.is_none() && lacks_records(store, id, &reading) {
        let reason = "records of it are gone, although it had backed up files";
        return Err(damaged(store, id, path, reason));
    }
    match state.begun.clone() {
        Some(beginning) if state.finished.is_none() => Ok(Some(Operation::resume(
            store,
            lock,
            beginning,
            journal,
            state,
            reading.torn,
        ))),
        // Killed before its first record, or between its last one and the removal of the journal.
        _ => {
            journal.remove()?;
            retention::remove_if_empty(store, id)?;
            Ok(None)
        }
    }
}

/// Nothing is backed up before the first record, and no certificate before the one that says which files are staged. A backup
/// that cannot be read shows neither; whoever needs it says so.
fn lacks_records(store: &Store, id: &str, reading: &Reading) -> bool {
    let has = |wanted: fn(&Step) -> bool| reading.steps.iter().any(wanted);
    if !has(|step| matches!(step, Step::Begun(_))) {
        return matches!(retention::is_empty(store, id), Ok(false));
    }
    !has(|step| matches!(step, Step::Staging { .. }))
        && matches!(retention::has_certificates(store, id), Ok(true))
}

fn damaged(store: &Store, id: &str, path: PathBuf, reason: &str) -> TransactionError {
    TransactionError::Journal {
        reason: format!(
            "{reason}. Compare the files of the cluster with their copies in {}, put right what is needed, then move this journal away",
            store.backups().join(id).display()
        ),
        path,
    }
}

/// A journal that was copied to another name, or written by somebody else, must not lead to another's files.
fn of_this_file(state: State, id: &str) -> Result<State, String> {
    match &state.begun {
        Some(begun) if begun.id != id => {
            Err(format!("it is the journal of operation {:?}", begun.id))
        }
        _ => Ok(state),
    }
}

fn understand(reading: &Reading) -> Result<State, String> {
    match &reading.damage {
        Some(damage) => Err(damage.clone()),
        None => replay(&reading.steps),
    }
}
