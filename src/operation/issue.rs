//! From the plan to new certificates, and the contents of the files they go into.

use super::Context;
use super::checks::may_be_replaced;
use super::error::{Fault, OperationError};
use super::event::Event;
use super::known_keys;
use super::more_names::{MoreNames, NamesByCertificate};
use super::not_renewed::not_renewed;
use super::orders::look_at_orders;
use super::remark::Remark;
use super::report::RenewalReport;
use super::run::Run;
use super::trusted::keep_trusted;
use super::twins::{twins, without_twins};
use crate::files::Targets;
use crate::issuer::{IssuanceError, Issued, Replacement, Wanted, issue_with_keys, replacements};
use crate::node::{CertificateId, Inventory, Replaceable};
use crate::pki::SubjectAltName;
use crate::plan::{Action, Note, Plan, Reason, Request};
use crate::report::{Described, RenewedCertificate};

/// New certificates, and the contents of the files they go into.
pub(super) struct Made {
    pub(super) issued: Vec<Issued>,
    pub(super) files: Vec<Replacement>,
}

impl Made {
    pub(super) fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.issued.extend(other.issued);
                one.files.extend(other.files);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }
}

/// Issues what the plan renews; `None` when that is nothing.
///
/// # Errors
/// [`OperationError::NothingIssued`] when none of it could be.
pub(super) fn issue_planned(
    run: &mut Run<'_>,
    replaceable: &Replaceable,
    plan: &Plan,
    (request, more_names): (&Request, &MoreNames),
    report: &mut RenewalReport,
) -> Result<Option<Made>, OperationError> {
    let node = run.node();
    let more_names = more_names.for_plan(&node, plan)?;
    let mut wanted = wanted(plan, request, &more_names);
    without_twins(&node, &mut wanted);
    if wanted.is_empty() {
        return Ok(None);
    }
    run.emit(Event::Issuing {
        count: wanted.len(),
    });
    let context = run.context;
    let results = issued(context, &node, plan, &wanted);
    let mut ready = Vec::new();
    let mut targets = Targets::new(&context.store(), replaceable);
    for (want, result) in results {
        let made = result
            .and_then(|one| replacements(&node, &one).map(|files| (one, files)))
            .map_err(Fault::from)
            .and_then(|made| may_be_replaced(&node, &mut targets, made));
        match made {
            Ok(one) => ready.push(one),
            Err(fault) => not_renewed(run, report, &want.id, fault),
        }
    }
    let ready = keep_trusted(run, plan, is_forced(request), ready, report);
    if ready.is_empty() {
        let reasons = report.failed.iter().map(|one| one.fault.text.clone());
        return Err(OperationError::NothingIssued(reasons.collect()));
    }
    let mut made = Made {
        issued: Vec::new(),
        files: Vec::new(),
    };
    for (one, files) in ready {
        remark_notes(run, plan, &one, report);
        made.issued.push(one);
        made.files.extend(files);
    }
    Ok(Some(made))
}

/// A certificate for each that is wanted: from its answer, or signed here.
fn issued<'wanted>(
    context: &Context,
    node: &Inventory,
    plan: &Plan,
    wanted: &'wanted [Wanted],
) -> Vec<(&'wanted Wanted, Result<Issued, IssuanceError>)> {
    let (answered, here): (Vec<&Wanted>, Vec<&Wanted>) =
        wanted.iter().partition(|want| is_answered(plan, &want.id));
    let here_alone: Vec<Wanted> = here.iter().copied().cloned().collect();
    let (results, read) = issue_with_keys(node, &context.config.renewal, &here_alone, plan.at);
    known_keys::keep(context, &read);
    let mut results: Vec<_> = here.into_iter().zip(results).collect();
    if !answered.is_empty() {
        let mut looked = look_at_orders(context, node, plan.at);
        results.extend(answered.into_iter().map(|want| {
            let taken = looked
                .take(&want.id)
                .ok_or_else(|| IssuanceError::NotRenewable {
                    id: want.id.clone(),
                    reason: "its answer was taken away meanwhile".to_owned(),
                });
            (want, taken)
        }));
    }
    results
}

fn is_answered(plan: &Plan, id: &CertificateId) -> bool {
    let mut items = plan.items.iter();
    items.any(|item| item.id == *id && item.action == Action::Renew(Reason::Answered))
}

/// What is to be known of a renewal goes to the log and into the receipt.
fn remark_notes(run: &mut Run<'_>, plan: &Plan, issued: &Issued, report: &mut RenewalReport) {
    let notes = plan
        .items
        .iter()
        .filter(|item| item.id == issued.id)
        .flat_map(|item| &item.notes)
        // That a renewal keeps the names as they are is nothing new.
        .filter(|note| !matches!(note, Note::NamesMissing { .. }));
    let mut remarks: Vec<Remark> = notes
        .map(|note| Remark::Note {
            certificate: issued.id.clone(),
            note: Box::new(note.clone()),
        })
        .collect();
    let names = issued.certificate.subject_alt_names.iter();
    let added: Vec<SubjectAltName> = names
        .filter(|name| !issued.old.subject_alt_names.contains(name))
        .cloned()
        .collect();
    if !added.is_empty() {
        remarks.push(Remark::NamesAdded {
            certificate: issued.id.clone(),
            names: added,
        });
    }
    for remark in remarks {
        run.remark(remark.clone());
        report.warnings.push(remark);
    }
}

fn is_forced(request: &Request) -> bool {
    matches!(
        request,
        Request::All { force: true } | Request::Named { force: true, .. }
    )
}

fn wanted(plan: &Plan, request: &Request, more_names: &NamesByCertificate) -> Vec<Wanted> {
    let forced = is_forced(request);
    plan.items
        .iter()
        .filter_map(|item| match item.action {
            Action::Renew(reason) => Some(Wanted {
                id: item.id.clone(),
                // A certificate without its key is of no use, however long it still lasts.
                may_end_sooner: forced || reason.allows_earlier_end(),
                more_names: more_names.get(&item.id).cloned().unwrap_or_default(),
            }),
            Action::Wait | Action::Leave(_) => None,
        })
        .collect()
}

/// One line for its own name, and one for each certificate that lies in the same files.
pub(super) fn receipt_lines(node: &Inventory, issued: &Issued) -> Vec<RenewedCertificate> {
    let own = node.entry(&issued.id).into_iter();
    own.chain(twins(node, &issued.id))
        .map(|entry| RenewedCertificate {
            id: entry.id.clone(),
            path: entry.path.clone(),
            old_serial: issued.old.serial.clone(),
            new_serial: issued.certificate.serial.clone(),
            old_not_after: issued.old.not_after,
            new_not_after: issued.certificate.not_after,
            old: Some(Described::of(&issued.old)),
            new: Some(Described::of(&issued.certificate)),
        })
        .collect()
}
