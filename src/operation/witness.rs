//! What the journal (journald) keeps of the history: its end after every operation.
//!
//! Receipts can be removed and altered by whoever is root here; entries of the journal cannot without a trace, and are often
//! sent to another machine.

use jiff::Timestamp;

use super::Context;
use crate::host::{Entry, Journald, JournaldError};
use crate::journal::{Head, Outcome};
use crate::report::{Receipt, Witness};

/// What these entries are found by (sd_journal_send(3), MESSAGE_ID=).
const MESSAGE_ID: &str = "84a50fe333734696b547bf16035aae95";

const IDENTIFIER: &str = "kubecertd";

/// Part of the control group of every process in a pod: root in there is not root here.
const PODS: &str = "kubepods";

/// Tells the journal where the history ends with this receipt. That it cannot is said, and keeps nothing from going on.
pub(super) fn testify(context: &Context, receipt: &Receipt, head: &Head) {
    let Some(journald) = &context.journald else {
        return;
    };
    if !journald.listens() {
        return;
    }
    let outcome = match &receipt.outcome {
        Outcome::Done => "done",
        Outcome::RolledBack(_) => "rolled-back",
        Outcome::Failed(_) => "failed",
    };
    let count = head.receipts.to_string();
    let message = format!(
        "operation {} ended ({outcome}); the history has {count} receipt{}, the last with digest {}",
        receipt.id,
        if head.receipts == 1 { "" } else { "s" },
        head.last
    );
    let sent = journald.send(&[
        ("MESSAGE", &message),
        ("MESSAGE_ID", MESSAGE_ID),
        ("PRIORITY", "5"),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("OPERATION_ID", &receipt.id),
        ("OUTCOME", outcome),
        ("HISTORY_COUNT", &count),
        ("HISTORY_HEAD", &head.last),
    ]);
    if let Err(error) = sent {
        tracing::warn!(
            operation_id = receipt.id.as_str(),
            "the journal does not take the end of the history: {error}"
        );
    }
}

/// What the journal says of the history, oldest first. Anybody can write entries with these fields; only those count of
/// which journald itself says that a process of root's wrote them, in no pod.
///
/// # Errors
/// [`JournaldError`].
pub fn witnesses(journald: &Journald) -> Result<Vec<Witness>, JournaldError> {
    let entries = journald.entries(&[
        ("MESSAGE_ID", MESSAGE_ID),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("_UID", "0"),
    ])?;
    let witness = |entry: &Entry| {
        let field = |name: &str| entry.get(name).map(String::as_str);
        let is_roots = field("_UID") == Some("0")
            && !field("_SYSTEMD_CGROUP").is_some_and(|group| group.contains(PODS));
        if !is_roots || field("MESSAGE_ID") != Some(MESSAGE_ID) {
            return None;
        }
        let microseconds = field("__REALTIME_TIMESTAMP")?.parse().ok()?;
        Some(Witness {
            head: Head {
                receipts: field("HISTORY_COUNT")?.parse().ok()?,
                last: field("HISTORY_HEAD")?.to_owned(),
            },
            operation: field("OPERATION_ID")?.to_owned(),
            at: Timestamp::from_microsecond(microseconds).ok()?,
        })
    };
    Ok(entries.iter().filter_map(witness).collect())
}
