//! Looking at a journal without recovering anything.

use std::path::PathBuf;

use super::file as journal;
use super::state::{manifests_out, replay};

/// What a journal's text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalReading {
    /// The steps as JSON; with damage, those that could still be recognised, in their order.
    pub steps: Vec<String>,
    /// Bytes up to the end of the last whole record.
    pub whole_bytes: u64,
    /// Whether more bytes follow: a record that was being written and counts as not written.
    pub torn: bool,
    /// Why recovery would not act on it, with the line.
    pub damage: Option<String>,
    /// Why the steps, each of them whole, cannot follow each other.
    pub contradiction: Option<String>,
    /// Manifests that may be out of their directory, as the node's own paths.
    pub manifests_out: Vec<PathBuf>,
}

/// Reads a journal's text as recovery does; any bytes have an answer.
#[must_use]
pub fn read_journal(text: &[u8]) -> JournalReading {
    let reading = journal::parse(text);
    JournalReading {
        // A step came from JSON, so it goes back into it.
        steps: reading
            .steps
            .iter()
            .filter_map(|step| serde_json::to_string(step).ok())
            .collect(),
        whole_bytes: reading.length,
        torn: reading.torn,
        damage: reading.damage,
        contradiction: replay(&reading.steps).err(),
        manifests_out: manifests_out(&reading.steps)
            .into_iter()
            .map(|out| out.parked.manifest)
            .collect(),
    }
}
