//! `kubecertd fleet`

use std::process::ExitCode;

use super::output::{print, warning};
use super::runtime::{CONTROL_PLANES, ask};
use super::values::Format;
use crate::operation::{Context, look_at_fleet, own_report};
use crate::pki::date;
use crate::report::{FleetView, halted};

pub(super) fn run(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        context.is_live(),
        "the other control planes are asked only by one that runs; leave --root out"
    );
    let now = crate::host::now();
    let inventory = context.observe();
    let plan = context.plan_due(&inventory, now);
    let own = own_report(context, &inventory, &plan, now);
    let seen = ask(CONTROL_PLANES, look_at_fleet(context, &inventory))??;
    let view = match seen {
        None => FleetView::new(now, &Default::default(), &[], &own),
        Some(seen) => {
            let mut view = FleetView::new(seen.seen, &seen.fleet, &seen.others, &own);
            view.code = seen.failure.as_ref().map(|error| error.code());
            view.failure = seen.failure.map(|error| error.to_string());
            view.halted = seen.halt;
            view
        }
    };
    if let Some(reason) = &view.failure {
        warning(&format!(
            "{reason}; what the others said is from {}",
            date(view.seen)
        ));
    }
    if let Some(halt) = &view.halted {
        warning(&halted(halt));
    }
    if view.unread > 0 {
        warning(&format!(
            "{} annotations of the Lease were not understood, or were too many",
            view.unread
        ));
    }
    print(&match output {
        Format::Text => view.to_table(now),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    Ok(ExitCode::SUCCESS)
}
