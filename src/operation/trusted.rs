//! Between issuing and installing: what its own clients or servers would refuse is not put in place.
//!
//! Which of several CA certificates signs is known only now, when the key has signed.

use std::path::Path;

use super::error::Fault;
use super::not_renewed::not_renewed;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use crate::issuer::{Issued, Replacement};
use crate::node::{CertificateId, Entry, Inventory, Signer, TrustHolder};
use crate::pki::Certificate;
use crate::plan::{
    Action, Doubter, Note, Plan, Reason, Refusal, doubters, is_renewed_nevertheless,
};

/// A new certificate with the files that it goes into.
pub(super) type Ready = (Issued, Vec<Replacement>);

/// Takes out what would be refused, and says the rest that is to be known of who trusts the new ones.
pub(super) fn keep_trusted(
    run: &mut Run<'_>,
    plan: &Plan,
    forced: bool,
    mut ready: Vec<Ready>,
    report: &mut RenewalReport,
) -> Vec<Ready> {
    let node = run.node();
    let inventory = node.as_ref();
    // Without one kubeconfig, another certificate may be refused.
    while let Some((index, refusal)) = first_refused(inventory, plan, forced, &ready) {
        let (issued, _) = ready.remove(index);
        let fault = Fault {
            code: "not-trusted",
            text: refusal.to_string(),
        };
        not_renewed(run, report, &issued.id, fault);
    }
    for remark in remarks(inventory, plan, &ready) {
        run.remark(remark.clone());
        report.warnings.push(remark);
    }
    ready
}

fn first_refused(
    inventory: &Inventory,
    plan: &Plan,
    forced: bool,
    ready: &[Ready],
) -> Option<(usize, Refusal)> {
    ready.iter().enumerate().find_map(|(index, (issued, _))| {
        let present = inventory.entry(&issued.id)?.present()?;
        let reason = reason(plan, &issued.id);
        if is_renewed_nevertheless(present, reason, forced, plan.at) {
            return None;
        }
        doubters_of(inventory, issued)
            .into_iter()
            .filter(|doubter| doubter.accepts_present && !learns_of_it(inventory, doubter, ready))
            .map(|doubter| (index, refusal(plan, inventory, &doubter, issued)))
            .next()
            .and_then(|(index, refusal)| Some((index, refusal?)))
    })
}

fn remarks(inventory: &Inventory, plan: &Plan, ready: &[Ready]) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for (issued, _) in ready {
        for doubter in doubters_of(inventory, issued) {
            let Some(remark) = remark(inventory, plan, ready, issued, &doubter) else {
                continue;
            };
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
    }
    let others: Vec<CertificateId> = ready
        .iter()
        .map(|(issued, _)| issued)
        .filter(|issued| has_another_signer(inventory, issued))
        .map(|issued| issued.id.clone())
        .collect();
    if !others.is_empty() {
        remarks.push(Remark::SignedByAnother {
            certificates: others,
        });
    }
    remarks
}

fn remark(
    inventory: &Inventory,
    plan: &Plan,
    ready: &[Ready],
    issued: &Issued,
    doubter: &Doubter<'_>,
) -> Option<Remark> {
    let (certificate, note) = match &doubter.trust.holder {
        TrustHolder::Kubeconfig { id, .. } if learns_of_it(inventory, doubter, ready) => {
            (id, Note::authority_added(&issued.signer, false))
        }
        _ => (
            &issued.id,
            Note::NotTrusted {
                refusal: refusal(plan, inventory, doubter, issued)?,
                if_it_signs: false,
            },
        ),
    };
    Some(Remark::Note {
        certificate: certificate.clone(),
        note: Box::new(note),
    })
}

fn doubters_of<'node>(inventory: &'node Inventory, issued: &'node Issued) -> Vec<Doubter<'node>> {
    doubters(inventory, &issued.id, &[&issued.signer], issued.made)
}

/// Whether the doubter is a kubeconfig that is replaced, and so has the CA afterwards.
fn learns_of_it(inventory: &Inventory, doubter: &Doubter<'_>, ready: &[Ready]) -> bool {
    let TrustHolder::Kubeconfig { embedded: true, .. } = doubter.trust.holder else {
        return false;
    };
    let own: &Path = inventory.real(&doubter.trust.path);
    ready
        .iter()
        .flat_map(|(_, files)| files)
        .any(|file| inventory.real(&file.path) == own)
}

fn refusal(
    plan: &Plan,
    inventory: &Inventory,
    doubter: &Doubter<'_>,
    issued: &Issued,
) -> Option<Refusal> {
    let present = inventory.entry(&issued.id)?.present()?;
    let waits = |id: &CertificateId| {
        let item = plan.items.iter().find(|item| item.id == *id);
        item.is_some_and(|item| item.action == Action::Wait)
    };
    let can_be_renewed = matches!(
        &doubter.trust.holder,
        TrustHolder::Kubeconfig { id, embedded: true } if waits(id)
    );
    Some(Refusal::by(doubter, present, can_be_renewed))
}

/// Why it is renewed; what the plan does not have, is the kubelet's and has expired.
fn reason(plan: &Plan, id: &CertificateId) -> Reason {
    let item = plan.items.iter().find(|item| item.id == *id);
    match item.map(|item| &item.action) {
        Some(Action::Renew(reason)) => *reason,
        _ => Reason::Expired,
    }
}

fn has_another_signer(inventory: &Inventory, issued: &Issued) -> bool {
    let Some(entry) = inventory.entry(&issued.id) else {
        return false;
    };
    entry.present().is_some_and(|present| {
        present.signer == Signer::Expected
            && !is_all_of_authority(inventory, entry, &issued.signer)
            && !present.leaf.is_signed_by(&issued.signer)
    })
}

/// Whether the authority of an entry has no certificate but this: then it signed what was found to be the authority's.
fn is_all_of_authority(inventory: &Inventory, entry: &Entry, certificate: &Certificate) -> bool {
    let certificates = entry
        .authority
        .and_then(|name| inventory.authority(name)?.certificates());
    certificates.is_some_and(|all| all.iter().all(|one| one.der() == certificate.der()))
}
