//! What this node knows of the cluster from when it could ask: it acts by that when nobody answers.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::permission::SlotSeen;
use super::turn::Fleet;
use crate::host::{FileError, Place, lock_in_time, read_at_most, write_atomically};
use crate::journal::Store;

/// A file of this program's own; bytes.
const LIMIT: u64 = 256 << 10;
/// So many control planes are kept; etcd itself advises against more than seven members.
const MOST: usize = 32;
/// What is unchanged is kept anew after so long, for its moment.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);

/// What was known last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Known {
    /// The uid of the Lease by which this node had its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// The other control planes: name, and host of its API server.
    pub others: Vec<(String, String)>,
    /// What all control planes said of themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<KnownFleet>,
    /// The cluster's own configuration (ClusterConfiguration of kube-system/kubeadm-config), as it is written there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// What this node saw of the others in the last slot of time in which it would have acted without a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotSeen>,
}

/// What all control planes said of themselves when that was read last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownFleet {
    /// When.
    pub seen: Timestamp,
    /// What.
    pub fleet: Fleet,
}

impl Known {
    /// What is kept. Nothing where it cannot be read: then it is found out again.
    #[must_use]
    pub fn read(store: &Store) -> Self {
        let read = || -> Result<Self, String> {
            let path = file(store);
            let path = store.resolve(&path).map_err(|error| error.to_string())?;
            let text = match read_at_most(&path, LIMIT) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(Self::default());
                }
                read => read.map_err(|error| error.to_string())?,
            };
            serde_json::from_slice(&text).map_err(|error| error.to_string())
        };
        read().unwrap_or_else(|error| {
            tracing::debug!(%error, "what was known of the cluster cannot be read");
            Self::default()
        })
    }

    /// Changes what is kept and writes it, where that makes a difference. Others that do the same meanwhile, in this process or in
    /// another, wait: none of them writes what was read before the other's change.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn update(store: &Store, change: impl FnOnce(&mut Self)) -> Result<(), FileError> {
        let path = file(store);
        let _lock = lock(store)?;
        let kept = Self::read(store);
        let mut changed = kept.clone();
        change(&mut changed);
        if changed == kept {
            return Ok(());
        }
        let resolved = store
            .resolve(&path)
            .map_err(FileError::of(&path, "cannot be resolved"))?;
        let text = serde_json::to_vec_pretty(&changed)
            .map_err(|error| FileError::of(&path, "could not be written")(error.into()))?;
        write_atomically(&resolved, &text, 0o600)
    }

    /// Takes up what all control planes said of themselves at `now`. A moment alone is no reason to write the file all the time.
    pub fn see_fleet(&mut self, fleet: &Fleet, now: Timestamp) {
        let is_same = self.fleet.as_ref().is_some_and(|known| {
            let age = now.duration_since(known.seen);
            known.fleet == *fleet && age >= SignedDuration::ZERO && age < REFRESH
        });
        if !is_same {
            self.fleet = Some(KnownFleet {
                seen: now,
                fleet: fleet.clone(),
            });
        }
    }

    /// The same with these other control planes, in order, where any are known now.
    #[must_use]
    pub fn with_others(mut self, mut others: Vec<(String, String)>) -> Self {
        if !others.is_empty() {
            others.sort();
            others.dedup();
            others.truncate(MOST);
            self.others = others;
        }
        self
    }
}

/// Held until it is dropped. A file of its own: the other one is replaced at each write.
fn lock(store: &Store) -> Result<File, FileError> {
    let path = store.directory().join("cluster.lock");
    let locked = || {
        store.prepare().map_err(io::Error::other)?;
        let file = Place::at(&store.resolve(&path)?)?.open_or_create(OFlags::RDWR, 0o600)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        lock_in_time(&file)?;
        Ok(file)
    };
    locked().map_err(FileError::of(&path, "could not be locked"))
}

fn file(store: &Store) -> PathBuf {
    store.directory().join("cluster.json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::host::Root;

    #[test]
    fn nobody_writes_over_what_another_has_changed_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(&Root::new(directory.path()).unwrap());
        std::thread::scope(|threads| {
            for thread in 0..4 {
                let store = &store;
                threads.spawn(move || {
                    for turn in 0..8 {
                        let other = (format!("cp-{thread}-{turn}"), String::new());
                        Known::update(store, |known| known.others.push(other)).unwrap();
                    }
                });
            }
        });
        assert_eq!(Known::read(&store).others.len(), 32);
    }
}
