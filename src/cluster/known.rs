//! What this node knows of the cluster from when it could ask: it acts by that when nobody answers.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::permission::SlotSeen;
use super::turn::Fleet;
use crate::host::{FileError, read_at_most, write_atomically};
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

    /// Keeps it, where it is not what is kept already.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn keep(&self, store: &Store) -> Result<(), FileError> {
        if Self::read(store) == *self {
            return Ok(());
        }
        let path = file(store);
        let resolved = store
            .resolve(&path)
            .map_err(FileError::of(&path, "cannot be resolved"))?;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| FileError::of(&path, "could not be written")(error.into()))?;
        write_atomically(&resolved, &text, 0o600)
    }

    /// The same with what all control planes said of themselves at `now`. A moment alone is no reason to write the file all the time.
    #[must_use]
    pub fn with_fleet(mut self, fleet: &Fleet, now: Timestamp) -> Self {
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
        self
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

fn file(store: &Store) -> PathBuf {
    store.directory().join("cluster.json")
}
