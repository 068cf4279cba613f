//! What is kept of an operation.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::host::Actor;
use crate::journal::{Head, OperationKind, Outcome, RenewedCertificate, Trigger, TurnTaken};
use crate::report::Coded;
use crate::restart::Remedy;

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
    /// What it was for; missing in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<OperationKind>,
    /// What started the process that began it; missing in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// The history as it was when the operation began; missing in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_before: Option<Head>,
    /// By what right it disturbed the cluster; missing where no other node could be disturbed as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnTaken>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The code of what it failed for; missing where it did not, and in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Renewed certificates.
    pub certificates: Vec<RenewedCertificate>,
    /// Restarted pods, with seconds from manifest out to healthy.
    pub restarts: Vec<(String, f64)>,
    /// What was tried for pods that did not come back in the usual way; of each the last helped.
    #[serde(default, alias = "rungs", skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<(String, Vec<Remedy>)>,
    /// What was proved, one sentence each.
    pub proofs: Vec<String>,
    /// Copies of admin.conf that were brought up to date, as the node names them; missing where there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<PathBuf>,
    /// What went wrong without ending the operation.
    pub warnings: Vec<String>,
    /// The same with codes; missing in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Coded>,
}

impl Receipt {
    /// What the operation was for.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        self.kind
            .unwrap_or_else(|| OperationKind::of_trigger(&self.trigger))
    }
}
