//! Which backups there are, and which are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::backup::Backup;
use super::backup_index::{BackedUpContents, BackedUpFile, INDEX, Index, read_index};
use crate::host::{self, Root, durable};
use crate::journal::{Lock, Store, TransactionError, is_id};
use crate::node::CertificateId;
use crate::pki::AuthorityId;

/// How many generations without a certificate are kept; nothing but a lost manifest ever needs one.
const MANIFESTS_ONLY: usize = 3;

/// What one operation backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The operation's id.
    pub id: String,
    /// Counts up with every generation: the clock may have been set back since.
    pub number: u64,
    /// When its first file was backed up, by the clock of then.
    pub created: Timestamp,
    /// Bytes on disk, all files together.
    pub size: u64,
    /// The files.
    pub files: Vec<BackedUpFile>,
}

/// What a generation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Certificates that the cluster lives by.
    Clusters,
    /// Nothing but certificates that kubeadm does not know, each of which has its operations for itself.
    Others,
    /// Manifests only, as a restart by hand makes them.
    Manifests,
}

impl Kind {
    fn of(index: &Index) -> Self {
        let mut certificates = index
            .files
            .iter()
            .filter_map(|file| file.certificate.as_ref());
        let Some(first) = certificates.next() else {
            return Self::Manifests;
        };
        // kubeadm's CAs are called as they are in its table.
        let is_authority =
            |id: &CertificateId| AuthorityId::ALL.iter().any(|one| one.name() == id.as_str());
        let is_other =
            |id: &CertificateId| matches!(id, CertificateId::Found(_)) && !is_authority(id);
        if is_other(first) && certificates.all(is_other) {
            Self::Others
        } else {
            Self::Clusters
        }
    }
}

/// All generations, in the order in which they were made. One whose index is damaged, or was copied to another name, is
/// left out, and logged.
///
/// # Errors
/// When the backups cannot be listed.
pub fn generations(store: &Store) -> Result<Vec<Generation>, TransactionError> {
    indexes(store)?
        .into_iter()
        .map(|index| {
            Ok(Generation {
                size: size_of(&store.backups().join(&index.id))?,
                id: index.id,
                number: index.number,
                created: index.created,
                files: index.files,
            })
        })
        .collect()
}

/// The same without their sizes, for which every file is looked at.
fn indexes(store: &Store) -> Result<Vec<Index>, TransactionError> {
    let mut indexes = Vec::new();
    for name in durable::names_in(&store.backups())? {
        match read_index(&store.backups().join(&name)) {
            Ok(Some(index)) => indexes.push(index),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a backup is not listed"),
        }
    }
    indexes.sort_by_cached_key(|one| (one.number, one.created, one.id.clone()));
    Ok(indexes)
}

/// Tidies up behind an operation that has ended: first as many generations as are kept, then, where a `max_age` and the
/// moment by which it is reckoned are given, old private keys in the others. What cannot be done is logged.
pub(super) fn tidy(
    store: &Store,
    keep: usize,
    max_bytes: u64,
    just_ended: &str,
    max_age: Option<(Duration, Timestamp)>,
) {
    let pruned =
        remove_if_empty(store, just_ended).and_then(|()| prune(store, keep, max_bytes, just_ended));
    let left = match pruned {
        Ok(left) => Some(left),
        Err(error) => {
            tracing::warn!(%error, "old backups could not be removed");
            None
        }
    };
    let Some((max_age, now)) = max_age else {
        return;
    };
    // Where the removal stopped half-way, what is there is read again.
    let removed = left
        .map_or_else(|| indexes(store), Ok)
        .and_then(|left| remove_old_keys_in(store, left, max_age, now, Some(just_ended)));
    if let Err(error) = removed {
        tracing::warn!(%error, "old private keys could not be removed from the backups");
    }
}

/// Removes the oldest generations until no more than `keep` and no more than `max_bytes` are left; never the newest one,
/// that of `just_ended` nor one of an operation in flight. Each [`Kind`] is counted by itself, so that none drives out another. What an interrupted removal left goes as well; what is
/// not named like an operation is somebody else's. Gives the indexes of those that are left.
fn prune(
    store: &Store,
    keep: usize,
    max_bytes: u64,
    just_ended: &str,
) -> Result<Vec<Index>, TransactionError> {
    let in_flight = store.in_flight()?;
    let mut left = indexes(store)?;
    let of = |kind| -> Vec<&Index> { left.iter().filter(|one| Kind::of(one) == kind).collect() };
    let is_needed = |id: &str| id == just_ended || in_flight.iter().any(|flying| flying == id);
    let mut removed = BTreeSet::new();
    for (generations, keep) in [
        (of(Kind::Clusters), keep),
        (of(Kind::Others), keep),
        (of(Kind::Manifests), keep.min(MANIFESTS_ONLY)),
    ] {
        removed.extend(prune_some(
            store,
            &generations,
            keep,
            max_bytes,
            &is_needed,
        )?);
    }
    left.retain(|index| !removed.contains(&index.id));
    let is_whole = |id: &str| left.iter().any(|index| index.id == id);
    for name in durable::names_in(&store.backups())? {
        let directory = store.backups().join(&name);
        let Some(id) = name.to_str().filter(|name| is_id(name) && !is_whole(name)) else {
            continue;
        };
        let is_remnant = matches!(durable::exists(&directory.join(INDEX)), Ok(false));
        if is_remnant
            && host::is_directory(&directory)
            && !in_flight.iter().any(|flying| flying == id)
        {
            remove(store, id)?;
        }
    }
    Ok(left)
}

/// Removes private keys, and files that may hold one, from every generation that is older than `max_age`, and those of
/// certificates that have ended: nothing can be done with them that should be. The certificates stay, for
/// reference, as long as their generation does. What an operation in flight needs is left alone. Gives the ids of the
/// generations from which something was removed.
///
/// # Errors
/// [`TransactionError`], the first; the other generations are seen to all the same.
pub fn remove_old_keys(
    store: &Store,
    _lock: &Lock,
    max_age: Duration,
    now: Timestamp,
) -> Result<Vec<String>, TransactionError> {
    remove_old_keys_in(store, indexes(store)?, max_age, now, None)
}

/// The same in these generations, sparing that of an operation that has just ended: it may be wanted at once.
fn remove_old_keys_in(
    store: &Store,
    indexes: Vec<Index>,
    max_age: Duration,
    now: Timestamp,
    just_ended: Option<&str>,
) -> Result<Vec<String>, TransactionError> {
    let in_flight = store.in_flight()?;
    let mut removed = Vec::new();
    let mut result = Ok(());
    for index in indexes {
        let id = index.id.clone();
        if in_flight.contains(&id) || just_ended == Some(id.as_str()) {
            continue;
        }
        let mut backup = Backup::of(store, index);
        let old = old_secrets(&store.root().holding(), &backup, max_age, now);
        match backup.remove_copies(&old, now) {
            Ok(true) => {
                tracing::info!(
                    operation_id = id.as_str(),
                    "the private keys in the backup of operation {id} were removed: they were older than backup.max-age, or \
                     their certificates have ended"
                );
                removed.push(id);
            }
            Ok(false) => {}
            Err(error) => result = result.and(Err(error)),
        }
    }
    result.map(|()| removed)
}

/// The files of a generation that hold a private key for longer than they should.
fn old_secrets(root: &Root, backup: &Backup, max_age: Duration, now: Timestamp) -> Vec<PathBuf> {
    let index = backup.index();
    let is_old = now.duration_since(index.created) >= signed(max_age);
    let ends = if is_old {
        BTreeMap::new()
    } else {
        ends(root, backup, index)
    };
    index
        .files
        .iter()
        .filter_map(|file| {
            let (id, held) = (file.certificate.as_ref()?, file.contents.as_ref()?);
            let has_ended = ends.get(id).is_some_and(|end| *end < now);
            let is_due = held.removed.is_none()
                && (is_old || has_ended)
                && backup.may_be_secret(root, &file.path, held);
            is_due.then(|| file.path.clone())
        })
        .collect()
}

/// When each certificate of a generation ends, where that can be told.
fn ends<'index>(
    root: &Root,
    backup: &Backup,
    index: &'index Index,
) -> BTreeMap<&'index CertificateId, Timestamp> {
    let mut ends = known_ends(index, |file, _| file.ends);
    // Those of earlier versions have to be looked into. A key beside a certificate that is known is left closed.
    let read = known_ends(index, |file, held| {
        let is_known = file
            .certificate
            .as_ref()
            .is_some_and(|id| ends.contains_key(id));
        (!is_known).then(|| backup.end_in(root, &file.path, held))?
    });
    ends.extend(read);
    ends
}

/// The last end that `end` gives for the files of each certificate.
fn known_ends(
    index: &Index,
    end: impl Fn(&BackedUpFile, &BackedUpContents) -> Option<Timestamp>,
) -> BTreeMap<&CertificateId, Timestamp> {
    let mut ends = BTreeMap::new();
    for file in &index.files {
        if let (Some(id), Some(held)) = (&file.certificate, &file.contents)
            && let Some(end) = end(file, held)
        {
            let latest = ends.entry(id).or_insert(end);
            *latest = end.max(*latest);
        }
    }
    ends
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

/// Gives the ids of those that were removed.
fn prune_some(
    store: &Store,
    generations: &[&Index],
    keep: usize,
    max_bytes: u64,
    is_needed: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, TransactionError> {
    let sizes = generations
        .iter()
        .map(|generation| size_of(&store.backups().join(&generation.id)))
        .collect::<Result<Vec<u64>, _>>()?;
    let mut count = generations.len();
    let mut bytes: u64 = sizes.iter().sum();
    let mut removed = Vec::new();
    for (generation, size) in generations.iter().zip(sizes) {
        if count <= 1 || (count <= keep && bytes <= max_bytes) {
            break;
        }
        if is_needed(&generation.id) {
            continue;
        }
        remove(store, &generation.id)?;
        removed.push(generation.id.clone());
        count -= 1;
        bytes -= size;
    }
    Ok(removed)
}

/// Removes a generation, its index first, so that half of one is never taken for a whole.
pub(super) fn remove(store: &Store, id: &str) -> Result<(), TransactionError> {
    let directory = store.backups().join(id);
    if durable::remove_if_there(&directory.join(INDEX))? {
        durable::sync_directory(&directory)?;
    }
    match std::fs::remove_dir_all(&directory) {
        Ok(()) => Ok(durable::sync_directory(&store.backups())?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(TransactionError::file(&directory, "could not be removed")(
            error,
        )),
    }
}

/// Removes the generation of an operation if it backed up nothing.
pub(super) fn remove_if_empty(store: &Store, id: &str) -> Result<(), TransactionError> {
    if is_empty(store, id)? {
        remove(store, id)
    } else {
        Ok(())
    }
}

/// Whether an operation backed up a certificate, key or kubeconfig.
pub(super) fn has_certificates(store: &Store, id: &str) -> Result<bool, TransactionError> {
    let index = read_index(&store.backups().join(id))?;
    let files = index.map_or_else(Vec::new, |index| index.files);
    Ok(files.iter().any(|file| file.certificate.is_some()))
}

/// Whether an operation backed up nothing.
pub(super) fn is_empty(store: &Store, id: &str) -> Result<bool, TransactionError> {
    let directory = store.backups().join(id);
    Ok(match read_index(&directory)? {
        Some(index) => index.files.is_empty(),
        None => durable::names_in(&directory)?.is_empty(),
    })
}

fn size_of(directory: &Path) -> Result<u64, TransactionError> {
    let entries = match host::entries(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(TransactionError::file(directory, "could not be looked at"))?,
    };
    let mut size = 0;
    for (name, found) in entries {
        size += if found.is_directory() {
            size_of(&directory.join(name))?
        } else {
            found.size
        };
    }
    Ok(size)
}
