//! The file for Prometheus' node exporter: what the status says, as metrics.
//!
//! One line that is wrong or there twice throws the whole file away, at the collector all files. So labels are escaped, and each
//! series is there once. Whoever names files or subjects can make no more than [`MOST`] series of them.

mod certificates;
mod exposition;
mod write;

use super::expiration::{ExpirationInfo, Found};
use super::history::Receipt;
use super::in_use::UseState;
use super::status::{State, Status};
use crate::cluster::{Halt, is_name};
use crate::journal::OperationKind;
use crate::node::Inventory;
use certificates::certificates;
use exposition::{Exposition, as_float, seconds};
pub use write::{MetricsError, write_metrics};

/// So many series are written for a node.
const MOST: usize = 200;

/// The whole file.
#[must_use]
pub fn metrics(status: &Status, receipts: &[Receipt], inventory: &Inventory) -> String {
    let mut text = Exposition::new(MOST);
    daemon(&mut text, status);
    operations(&mut text, receipts);
    renewals(&mut text, status, inventory);
    certificates(&mut text, inventory, status.updated);
    text.finish()
}

fn daemon(text: &mut Exposition, status: &Status) {
    text.gauge(
        "kubecertd_last_check_timestamp_seconds",
        "When the node was looked at last; at least once an hour.",
    )
    .add(&[], seconds(status.updated));
    text.gauge("kubecertd_build_info", "The version that runs; always 1.")
        .add(&[("version", &status.version)], 1.0);
    let mut states = text.gauge(
        "kubecertd_state",
        "What the daemon is about: 1 for one of them.",
    );
    for state in State::ALL {
        let is_it = f64::from(u8::from(state == status.state));
        states.add(&[("state", state.word())], is_it);
    }
    let attempts = status
        .failure
        .as_ref()
        .map_or(0, |failure| failure.attempts);
    text.gauge(
        "kubecertd_failed_attempts",
        "How many attempts in a row have failed since the last that did not.",
    )
    .add(&[], f64::from(attempts));
    let mut halted = text.gauge(
        "kubecertd_halted",
        "1 while the failure of a control plane holds all of them up; which, and the code of why.",
    );
    match &status.halted {
        None => halted.add(&[], 0.0),
        Some(halt) => {
            let (node, reason) = (node(halt), code(&halt.code));
            halted.add(&[("node", node), ("reason", reason)], 1.0);
        }
    }
}

fn operations(text: &mut Exposition, receipts: &[Receipt]) {
    let mut totals = text.counter(
        "kubecertd_operations_total",
        "Operations in the history of this node, by how they ended.",
    );
    for (operation, kind) in [
        ("renew", OperationKind::Renew),
        ("restart", OperationKind::Restart),
        ("roll-back", OperationKind::RollBack),
        ("extend", OperationKind::Extend),
    ] {
        for result in ["done", "rolled-back", "failed"] {
            let of_it = |one: &&Receipt| one.kind() == kind && one.outcome.code() == result;
            let count = receipts.iter().filter(of_it).count();
            totals.add(
                &[("operation", operation), ("result", result)],
                as_float(count),
            );
        }
    }
    let Some(last) = receipts.last() else {
        return;
    };
    text.gauge(
        "kubecertd_last_operation_timestamp_seconds",
        "When the last operation ended.",
    )
    .add(&[], seconds(last.finished));
    text.gauge(
        "kubecertd_operation_duration_seconds",
        "How long the last operation took.",
    )
    .add(
        &[],
        last.finished.duration_since(last.started).as_secs_f64(),
    );
}

fn renewals(text: &mut Exposition, status: &Status, inventory: &Inventory) {
    let info = ExpirationInfo::new(inventory, status.updated, true);
    let mut ends = text.gauge(
        "kubecertd_effective_not_after_timestamp_seconds",
        "The first end of a certificate, its chain and the CA that signed it.",
    );
    for row in info
        .certificates
        .iter()
        .chain(&info.authorities)
        .chain(&info.others)
    {
        if let Found::Expires { effective, .. } = row.found {
            ends.add(&[("name", &row.name)], seconds(effective));
        }
    }
    let mut due = text.gauge(
        "kubecertd_next_renewal_timestamp_seconds",
        "When kubecertd renews it; in the past where that is due and not done.",
    );
    for certificate in &status.certificates {
        if let Some(at) = certificate.due_at {
            due.add(&[("name", &certificate.name)], seconds(at));
        }
    }
    let mut used = text.gauge(
        "kubecertd_served_matches_disk",
        "Whether the certificate in the file is the one in use; absent where that is not known.",
    );
    for certificate in &status.certificates {
        let state = certificate.in_use.as_ref().map(|known| known.state);
        match state {
            Some(UseState::Proved) => used.add(&[("name", &certificate.name)], 1.0),
            Some(UseState::NotYet) => used.add(&[("name", &certificate.name)], 0.0),
            Some(UseState::Unknown) | None => {}
        }
    }
}

/// What another node wrote is no label: whoever may write the Lease could make series without end.
fn node(halt: &Halt) -> &str {
    if is_name(&halt.node) { &halt.node } else { "" }
}

fn code(text: &str) -> &str {
    let fits = text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if fits { text } else { "other" }
}

#[cfg(test)]
mod tests;
