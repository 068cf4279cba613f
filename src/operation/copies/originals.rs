//! The two files that have copies, and what was replaced in them.

use std::collections::BTreeSet;

use super::super::Context;
use crate::files::Original;
use crate::node::{CertificateId, Inventory};
use crate::pki::Certificate;
use crate::report::{History, Receipt, RenewedCertificate};

/// What has copies.
const ORIGINALS: [CertificateId; 2] = [CertificateId::ADMIN, CertificateId::SUPER_ADMIN];

pub(super) fn has_copies(id: &CertificateId) -> bool {
    ORIGINALS.contains(id)
}

/// Those that are there, as they were seen. `renewed` has no receipt yet.
pub(super) fn originals(
    context: &Context,
    inventory: &Inventory,
    renewed: &[RenewedCertificate],
) -> Vec<Original> {
    let present: Vec<_> = ORIGINALS
        .into_iter()
        .filter_map(|id| {
            let entry = inventory.entry(&id)?;
            let certificate = entry.present()?.leaf.clone();
            Some((id, inventory.real(&entry.path).to_path_buf(), certificate))
        })
        .collect();
    if present.is_empty() {
        return Vec::new();
    }
    let receipts = receipts(context);
    present
        .into_iter()
        .map(|(id, path, certificate)| Original {
            replaced: replaced(&receipts, renewed, &id, &certificate),
            id,
            path,
            certificate,
        })
        .collect()
}

fn receipts(context: &Context) -> Vec<Receipt> {
    let entries = History::new(&context.store()).entries();
    let entries = entries.unwrap_or_else(|error| {
        tracing::debug!(%error, "which certificates were replaced is not known");
        Vec::new()
    });
    entries.into_iter().flatten().collect()
}

/// What was replaced in a file by the receipts, and by an operation that has none yet.
fn replaced(
    receipts: &[Receipt],
    renewed: &[RenewedCertificate],
    id: &CertificateId,
    present: &Certificate,
) -> BTreeSet<String> {
    let earlier = receipts.iter().flat_map(|receipt| &receipt.certificates);
    let mut replaced: BTreeSet<String> = earlier
        .chain(renewed)
        .filter(|line| line.id == *id)
        .flat_map(|line| line.old.iter().chain(&line.new))
        .map(|described| described.fingerprint.clone())
        .collect();
    replaced.remove(&present.fingerprint());
    replaced
}
