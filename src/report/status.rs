//! The status file: what the daemon knows, for `kubecertd status` and for scripts.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::{ApproverStatus, Coded, InMemoryStatus, InUse, PendingUse, Receipt};
use crate::cluster::Halt;
use crate::host::{FileError, Root, make_directories, write_atomically};
use crate::journal::{OperationKind, Outcome, Trigger};
use crate::pki::serde_end;

/// What the daemon last knew. `/run/kubecertd/status.json`, rewritten at every change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// kubecertd's version.
    pub version: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When the daemon started.
    pub started: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
    /// In one word.
    pub state: State,
    /// The same sentence as in `systemctl status`.
    pub message: String,
    /// What is done next, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// Every certificate that the daemon knows.
    pub certificates: Vec<CertificateStatus>,
    /// How the last operation on this node ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_operation: Option<LastOperation>,
    /// What went wrong last and when it is tried again; absent when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The control plane whose failure holds all of them up; absent where there is none, and in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<Halt>,
    /// Components that have not yet shown that they use new certificates; absent where there is none, and in files of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingUse>,
    /// What components have only in memory; absent where nothing was seen, and in files of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_memory: Vec<InMemoryStatus>,
    /// What the approver of kubelets' requests does; absent where there is none, and in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<ApproverStatus>,
    /// Files that cannot be read and the like, one sentence each.
    pub problems: Vec<String>,
    /// What the checks found, with codes; absent where that is nothing, and in files of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Coded>,
}

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing is due.
    Waiting,
    /// Something is due, and no maintenance window is open.
    WaitingForWindow,
    /// Something is due, and an administrator holds the daemon back.
    OnHold,
    /// An operation is running.
    Renewing,
    /// The last attempt failed; it is tried again.
    Failing,
    /// The daemon has ended.
    Stopped,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::WaitingForWindow,
        Self::OnHold,
        Self::Renewing,
        Self::Failing,
        Self::Stopped,
    ];

    /// As in the status file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::WaitingForWindow => "waiting-for-window",
            Self::OnHold => "on-hold",
            Self::Renewing => "renewing",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
        }
    }
}

/// The next renewal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Next {
    /// When it is due.
    pub at: Timestamp,
    /// The certificate due first.
    pub certificate: String,
}

/// One certificate's line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Its name.
    pub name: String,
    /// When it ends.
    #[serde(
        default,
        with = "serde_end::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<Timestamp>,
    /// When its renewal is due; absent where nobody here renews it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// `wait`, `renew` or `leave`.
    pub action: String,
    /// Why, in words; empty when there is nothing to say.
    pub reason: String,
    /// Why, for scripts; absent when there is nothing to say, and in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What belongs to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
    /// Whether it is the one in use; absent where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use: Option<InUse>,
}

/// The last operation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LastOperation {
    /// Its id.
    pub id: String,
    /// When it ended.
    pub finished: Timestamp,
    /// How, in one sentence.
    pub summary: String,
    /// How, for scripts; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The code of what it failed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl LastOperation {
    /// What its receipt says.
    #[must_use]
    pub fn of(receipt: &Receipt) -> Self {
        let certificates = count(receipt.certificates.len(), "certificate");
        let pods = count(receipt.restarts.len(), "pod");
        let by_hand = match &receipt.trigger {
            Trigger::Schedule => String::new(),
            Trigger::Command(command) => format!(" by `kubecertd {command}`"),
        };
        let replaced = match receipt.kind() {
            OperationKind::RollBack => "put back",
            OperationKind::Extend => "extended",
            OperationKind::Renew | OperationKind::Restart => "renewed",
        };
        let done = if receipt.certificates.is_empty() {
            format!("restarted {pods}")
        } else {
            format!("{replaced} {certificates} and restarted {pods}")
        };
        let seconds = receipt.finished.duration_since(receipt.started).as_secs();
        let summary = match &receipt.outcome {
            Outcome::Done => format!("{done} in {seconds} s{by_hand}"),
            Outcome::RolledBack(reason) => format!("undone{by_hand}: {reason}"),
            Outcome::Failed(reason) => format!("failed{by_hand}: {reason}"),
        };
        Self {
            id: receipt.id.clone(),
            finished: receipt.finished,
            summary,
            outcome: Some(receipt.outcome.code().to_owned()),
            code: receipt.code.clone(),
        }
    }
}

/// `1 pod`, `2 pods`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A failure that is tried again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What went wrong.
    pub reason: String,
    /// The same for scripts; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How often in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

/// `/run/kubecertd/status.json` under the root.
#[must_use]
pub fn status_file(root: &Root) -> PathBuf {
    root.join("/run/kubecertd/status.json")
}

/// Where it really lies; a link that cannot be followed is reported when the file is opened.
fn real_status_file(root: &Root) -> PathBuf {
    let path = status_file(root);
    root.resolve(&path).unwrap_or(path)
}

/// Writes the status file (0644: it holds no secret), making its directory where systemd has not.
///
/// # Errors
/// [`FileError`].
pub fn write_status(root: &Root, status: &Status) -> Result<(), FileError> {
    let path = real_status_file(root);
    if let Some(directory) = path.parent() {
        make_directories(directory, 0o755).map_err(|source| FileError {
            path: directory.to_path_buf(),
            action: "could not be made",
            source,
        })?;
    }
    let text = serde_json::to_vec_pretty(status).map_err(|error| FileError {
        path: path.clone(),
        action: "could not be written as JSON",
        source: error.into(),
    })?;
    write_atomically(&path, &text, 0o644)
}

/// Why there is no status to show.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum StatusError {
    /// The daemon has not written one since the machine started.
    #[error("kubecertd is not running on this node; see `systemctl status kubecertd`")]
    #[strum(serialize = "status-never-written")]
    NeverWritten,
    /// The file is there but cannot be read.
    #[error("{}: {reason}", path.display())]
    #[strum(serialize = "status-unreadable")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StatusError {
    /// Its code, which never changes; `docs/codes.md` lists the codes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Reads the status file.
///
/// # Errors
/// [`StatusError`].
pub fn read_status(root: &Root) -> Result<Status, StatusError> {
    let path = status_file(root);
    let text = match root.read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StatusError::NeverWritten);
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    serde_json::from_slice(&text).map_err(|error| unreadable(&path, &error))
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> StatusError {
    StatusError::Unreadable {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

impl Status {
    /// Whether the process that wrote this still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let Ok(pid) = i32::try_from(self.pid) else {
            return false;
        };
        self.state != State::Stopped
            && !matches!(
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None),
                Err(nix::errno::Errno::ESRCH)
            )
    }
}
