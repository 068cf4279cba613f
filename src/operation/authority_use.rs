//! Which processes still have a CA's certificate from before it was extended.

use jiff::Timestamp;

use super::Context;
use crate::journal::Outcome;
use crate::node::{CertificateId, Inventory, PodRef};
use crate::pki::AuthorityId;
use crate::plan::Extension;
use crate::probe::running_since;
use crate::report::History;

/// When the certificate of an authority was last changed by kubecertd; `None` where the history knows of no such change.
#[must_use]
pub fn authority_changed(context: &Context, name: AuthorityId) -> Option<Timestamp> {
    let id = CertificateId::of_authority(name);
    let entries = History::new(&context.store()).entries();
    let receipts = entries.unwrap_or_default().into_iter().flatten();
    receipts
        .filter(|receipt| {
            !matches!(receipt.outcome, Outcome::RolledBack(_))
                && receipt.certificates.iter().any(|one| one.id == id)
        })
        .map(|receipt| receipt.finished)
        .next_back()
}

/// The pods that read its certificate when they started, and were started before it was changed, or may have been.
pub(super) async fn started_before_change(
    context: &Context,
    node: &Inventory,
    extension: &Extension,
) -> Vec<PodRef> {
    let Some(changed) =
        authority_changed(context, extension.authority).filter(|_| context.is_live())
    else {
        return Vec::new();
    };
    let pods = extension.readers_at_start();
    let running = running_since(node, &context.config.restart, &pods).await;
    let is_new = |pod: &PodRef| {
        running
            .iter()
            .any(|(known, since)| known == pod && *since > changed)
    };
    pods.into_iter().filter(|pod| !is_new(pod)).collect()
}
