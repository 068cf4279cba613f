//! A certificate that cannot be renewed does not hold up the others.

use super::error::Fault;
use super::event::Event;
use super::report::{NotRenewed, RenewalReport};
use super::run::Run;
use super::words::named;
use crate::node::CertificateId;

/// Says that a certificate is not renewed, and goes on with the others.
pub(super) fn not_renewed(
    run: &mut Run<'_>,
    report: &mut RenewalReport,
    id: &CertificateId,
    fault: Fault,
) {
    let fault = Fault {
        text: named(id, fault.text),
        ..fault
    };
    run.emit(Event::IssueFailed {
        certificate: id.clone(),
        fault: fault.clone(),
    });
    report.failed.push(NotRenewed {
        id: id.clone(),
        fault,
    });
}
