//! One receipt per finished operation, each holding the digest of the one before.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use crate::restart::Rung;
use crate::transaction::{Outcome, Store, TransactionError, Trigger};

/// What an operation did.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The operation's id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// What set it off.
    pub trigger: Trigger,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Renewed certificates.
    pub certificates: Vec<RenewedCertificate>,
    /// Restarted pods, with seconds from manifest out to healthy.
    pub restarts: Vec<(String, f64)>,
    /// What was tried for pods that did not come back in the usual way; of each the last helped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<(String, Vec<Rung>)>,
    /// What was proved, one sentence each.
    pub proofs: Vec<String>,
    /// What went wrong without ending the operation.
    pub warnings: Vec<String>,
}

/// One renewed certificate in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RenewedCertificate {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Serial before.
    pub old_serial: String,
    /// Serial after.
    pub new_serial: String,
    /// End before.
    pub old_not_after: Timestamp,
    /// End after.
    pub new_not_after: Timestamp,
}

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state directory could not be made.
    #[error(transparent)]
    Directory(#[from] TransactionError),
    /// A line that does not follow from the one before, or is no receipt.
    #[error("{}:{line}: {reason}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// The append-only file. Each line is a receipt with the digest of the line before (`previous`) and of itself
/// (`digest`). Lines cut off at the end leave no trace; anything else does.
#[derive(Debug)]
pub struct History {
    store: Store,
}

impl History {
    /// The history of a store. Nothing is made yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
        }
    }

    /// Appends a receipt, fsynced. A torn last line, from a power cut, is removed before.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn append(&self, receipt: &Receipt) -> Result<(), HistoryError> {
        self.store.prepare()?;
        let path = self.store.history();
        let failed = |source| HistoryError::File {
            path: path.clone(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = without_torn_end(&text);
        if whole.len() < text.len() {
            tracing::warn!(
                path = %path.display(),
                bytes = text.len() - whole.len(),
                "the last line of the history was never finished; it is removed"
            );
            file.set_len(whole.len() as u64).map_err(failed)?;
        }
        let previous = lines(whole).last().map(sha256).unwrap_or_default();
        let line = line(receipt, &previous).map_err(|error| failed(error.into()))?;
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        if text.is_empty() {
            // The file may be new: its name is to be as durable as its contents.
            File::open(self.store.directory())
                .and_then(|directory| directory.sync_all())
                .map_err(failed)?;
        }
        Ok(())
    }

    /// All receipts, oldest first. A torn last line is left out.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn receipts(&self) -> Result<Vec<Receipt>, HistoryError> {
        let text = self.read()?;
        lines(without_torn_end(&text))
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_slice(line).map_err(|error| self.broken(index, error.to_string()))
            })
            .collect()
    }

    /// Checks every line's digest; returns the number of receipts. A torn last line is left out.
    ///
    /// # Errors
    /// [`HistoryError::Broken`] for the first line that was changed, is missing or was moved.
    pub fn verify(&self) -> Result<usize, HistoryError> {
        let text = self.read()?;
        let mut previous = String::new();
        let mut count = 0;
        for (index, line) in lines(without_torn_end(&text)).enumerate() {
            check(line, &previous).map_err(|reason| self.broken(index, reason))?;
            previous = sha256(line);
            count = index + 1;
        }
        Ok(count)
    }

    fn read(&self) -> Result<Vec<u8>, HistoryError> {
        let path = self.store.history();
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|source| HistoryError::File { path, source }),
        }
    }

    fn broken(&self, index: usize, reason: String) -> HistoryError {
        HistoryError::Broken {
            path: self.store.history(),
            line: index + 1,
            reason,
        }
    }
}

/// What a line holds besides the receipt, and what is before its own digest.
#[derive(serde::Serialize)]
struct Chained<'receipt> {
    #[serde(flatten)]
    receipt: &'receipt Receipt,
    previous: &'receipt str,
}

#[derive(serde::Deserialize)]
struct Link {
    previous: String,
}

const BEFORE_DIGEST: &str = ",\"digest\":\"";
const BEHIND_DIGEST: &str = "\"}";

fn line(receipt: &Receipt, previous: &str) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(&Chained { receipt, previous })?;
    line.pop();
    let digest = sha256(line.as_bytes());
    Ok(format!("{line}{BEFORE_DIGEST}{digest}{BEHIND_DIGEST}\n"))
}

fn check(line: &[u8], previous: &str) -> Result<(), String> {
    let changed = || "this line was changed since it was written".to_owned();
    let rest = line
        .strip_suffix(BEHIND_DIGEST.as_bytes())
        .ok_or_else(changed)?;
    let (rest, digest) = rest
        .split_at_checked(rest.len().saturating_sub(64))
        .ok_or_else(changed)?;
    let body = rest
        .strip_suffix(BEFORE_DIGEST.as_bytes())
        .ok_or_else(changed)?;
    if sha256(body).as_bytes() != digest {
        return Err(changed());
    }
    let link: Link = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if link.previous != previous {
        return Err(
            "it does not follow the line before: one is missing here, or was moved".to_owned(),
        );
    }
    Ok(())
}

fn without_torn_end(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |position| position + 1);
    &text[..end]
}

fn lines(whole: &[u8]) -> impl Iterator<Item = &[u8]> {
    whole
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use crate::root::Root;
    use std::os::unix::fs::PermissionsExt;

    fn history() -> (tempfile::TempDir, History) {
        let directory = tempfile::tempdir().unwrap();
        let history = History::new(&Store::new(&Root::new(directory.path()).unwrap()));
        (directory, history)
    }

    fn receipt(number: i64) -> Receipt {
        Receipt {
            id: format!("operation-{number}"),
            started: Timestamp::from_second(number).unwrap(),
            finished: Timestamp::from_second(number + 1).unwrap(),
            trigger: Trigger::Command("renew all".into()),
            outcome: match number % 3 {
                0 => Outcome::Done,
                1 => Outcome::RolledBack("the scheduler\nis unhealthy \"}".into()),
                _ => Outcome::Failed("x".into()),
            },
            certificates: vec![RenewedCertificate {
                name: "apiserver".into(),
                path: "/etc/kubernetes/pki/apiserver.crt".into(),
                old_serial: "1".into(),
                new_serial: "2".into(),
                old_not_after: Timestamp::from_second(number).unwrap(),
                new_not_after: Timestamp::from_second(number).unwrap(),
            }],
            restarts: vec![("etcd".into(), 0.1 + 0.2)],
            rungs: vec![("etcd".into(), vec![Rung::Annotation, Rung::Containers])],
            proofs: vec!["served".into()],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn receipts_come_back_as_they_were_written() {
        let (_directory, history) = history();
        assert_eq!(history.verify().unwrap(), 0);
        assert!(history.receipts().unwrap().is_empty());
        for number in 0..4 {
            history.append(&receipt(number)).unwrap();
        }
        assert_eq!(history.verify().unwrap(), 4);
        let read = history.receipts().unwrap();
        assert_eq!(read.len(), 4);
        assert_eq!(read[1], receipt(1));
        let mode = std::fs::metadata(history.store.history()).unwrap();
        assert_eq!(mode.permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_changed_missing_or_moved_line_is_found() {
        let (_directory, history) = history();
        for number in 0..4 {
            history.append(&receipt(number)).unwrap();
        }
        let path = history.store.history();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let broken_at = |lines: &[&str]| {
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            match history.verify() {
                Err(HistoryError::Broken { line, .. }) => line,
                other => panic!("{other:?}"),
            }
        };
        for changed in 0..4 {
            let edited = lines[changed].replace("apiserver", "apisevrer");
            let mut all = lines.clone();
            all[changed] = &edited;
            assert_eq!(broken_at(&all), changed + 1);
        }
        assert_eq!(broken_at(&lines[1..]), 1);
        assert_eq!(broken_at(&[lines[0], lines[2], lines[3]]), 2);
        assert_eq!(broken_at(&[lines[0], lines[2], lines[1], lines[3]]), 2);
        assert_eq!(broken_at(&[lines[0], lines[0]]), 2);
        assert_eq!(broken_at(&[lines[0], "", lines[1]]), 2);
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_removed_by_the_next() {
        let (_directory, history) = history();
        history.append(&receipt(0)).unwrap();
        let path = history.store.history();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..whole.len() - 1]].concat()).unwrap();
        assert_eq!(history.receipts().unwrap().len(), 1);
        assert_eq!(history.verify().unwrap(), 1);
        history.append(&receipt(1)).unwrap();
        assert_eq!(history.verify().unwrap(), 2);
        assert_eq!(history.receipts().unwrap()[1], receipt(1));
    }
}
