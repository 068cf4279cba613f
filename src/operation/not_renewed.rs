//! A certificate that cannot be renewed does not hold up the others.

use super::error::Fault;
use super::event::Event;
use super::report::{NotRenewed, RenewalReport};
use super::run::Run;
use super::words::named;

/// Says that a certificate is not renewed, and goes on with the others.
pub(super) fn not_renewed(run: &mut Run<'_>, report: &mut RenewalReport, name: &str, fault: Fault) {
    let fault = Fault {
        text: named(name, fault.text),
        ..fault
    };
    run.emit(Event::IssueFailed {
        certificate: name.to_owned(),
        fault: fault.clone(),
    });
    report.failed.push(NotRenewed {
        name: name.to_owned(),
        fault,
    });
}
