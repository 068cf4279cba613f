//! What is known of an operation in flight whose files and manifests recovery put where they belong.

use jiff::{SignedDuration, Timestamp};

use super::event::Event;
use super::kubelet::concern_kubelet;
use super::remark::Remark;
use super::report::RenewalReport;
use super::restored::{Restored, restored};
use super::run::Run;
use crate::files::{Recovery, contents};
use crate::host::shifted;
use crate::journal::OperationKind;
use crate::node::CertificateId;
use crate::plan::{RestartMethod, Unfinished};
use crate::report::RenewedCertificate;

/// So long before a certificate that may still be in use ends, its pods are restarted beside a kubeadm at work, too.
const LAST_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Says what recovery found and did with files and manifests.
pub(super) fn announce(run: &mut Run<'_>, recovery: &Recovery<'_>) {
    run.emit(Event::Recovered {
        operation: recovery.id.clone(),
        forward: recovery.rolled_forward,
        returned: recovery.returned.len(),
    });
    for remark in remarks(recovery) {
        run.remark(remark);
    }
}

/// What it left to be done.
pub(super) fn unfinished(run: &mut Run<'_>, recovery: &Recovery<'_>) -> Unfinished {
    // What an administrator put back stays for a while, however soon it ends.
    let is_new = recovery.rolled_forward && recovery.operation.kind() != OperationKind::RollBack;
    let renewed = if is_new {
        changes(run, recovery)
    } else {
        Vec::new()
    };
    Unfinished {
        operation: recovery.id.clone(),
        restarts: recovery.restarts_left.clone(),
        proofs: recovery.proofs_left.clone(),
        users: recovery.operation.users_left(),
        renewed: renewed.into_iter().map(|one| one.id).collect(),
        method: method(recovery),
    }
}

/// How its pods are restarted: expired certificates may have stopped the node.
pub(super) fn method(recovery: &Recovery<'_>) -> RestartMethod {
    if recovery.kubelet_alone {
        RestartMethod::Kubelet { restart: true }
    } else if recovery.node_down {
        RestartMethod::Containers {
            kubelet_changed: concern_kubelet(&recovery.certificates),
        }
    } else {
        RestartMethod::Manifests
    }
}

/// What its receipt says already.
pub(super) fn so_far(run: &mut Run<'_>, recovery: &Recovery<'_>) -> RenewalReport {
    RenewalReport {
        operation: Some(recovery.id.clone()),
        renewed: if recovery.rolled_forward {
            changes(run, recovery)
        } else {
            Vec::new()
        },
        warnings: remarks(recovery),
        ..RenewalReport::default()
    }
}

/// The certificates that it changed, as its journal says; of a journal that has names only, as its backup shows.
fn changes(run: &mut Run<'_>, recovery: &Recovery<'_>) -> Vec<RenewedCertificate> {
    if !recovery.changes.is_empty() {
        return recovery.changes.clone();
    }
    let turned = |back: RenewedCertificate| RenewedCertificate {
        old_serial: back.new_serial,
        new_serial: back.old_serial,
        old_not_after: back.new_not_after,
        new_not_after: back.old_not_after,
        old: back.new,
        new: back.old,
        id: back.id,
        path: back.path,
    };
    let old = replaced(run, &recovery.id).unwrap_or_default();
    old.iter().filter_map(Restored::line).map(turned).collect()
}

/// Whether the certificates that it replaced are worth putting back: none has expired, and none is not valid yet.
pub(super) fn old_are_valid(run: &mut Run<'_>, recovery: &Recovery<'_>) -> bool {
    let now = crate::host::now();
    // The kubelet's are not among what a backup is put back of by hand.
    let has_ended = |one: &RenewedCertificate| one.old_not_after < now;
    !recovery.changes.iter().any(has_ended)
        && replaced(run, &recovery.id).is_some_and(|old| old.iter().all(|one| one.is_valid_at(now)))
}

/// The first of the replaced certificates to end, where its last day has come, or the last third of a shorter life.
pub(super) fn about_to_end(
    run: &mut Run<'_>,
    id: &str,
    now: Timestamp,
) -> Option<(CertificateId, Timestamp)> {
    replaced(run, id)?
        .iter()
        .filter_map(|one| {
            let (begins, ends) = one.validity()?;
            let last = (ends.duration_since(begins) / 3).min(LAST_DAY);
            (now >= shifted(ends, -last)).then(|| (one.id.clone(), ends))
        })
        .min_by_key(|(_, ends)| *ends)
}

/// What it replaced, from its backup; `None` if that cannot be read.
fn replaced(run: &mut Run<'_>, id: &str) -> Option<Vec<Restored>> {
    let node = run.node();
    match contents(&run.context.store(), id) {
        Ok(kept) => Some(restored(&run.context.root, &node, kept).0),
        Err(error) => {
            tracing::warn!(%error, "what a recovered operation replaced is not known");
            None
        }
    }
}

fn remarks(recovery: &Recovery<'_>) -> Vec<Remark> {
    let superseded = recovery.superseded.iter().cloned();
    let left_alone = recovery.left_alone.iter().cloned();
    superseded
        .map(|path| Remark::ManifestReplaced { path })
        .chain(left_alone.map(|path| Remark::LeftAlone { path }))
        .collect()
}
