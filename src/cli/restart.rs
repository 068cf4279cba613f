//! `kubecertd restart`

use std::process::ExitCode;

use super::output::{Narrator, line, print};
use super::runtime::runtime;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, restart, unknown_component};

pub(super) fn run(context: &Context, components: &[String]) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        context.is_live(),
        "the static pods below {} are not this machine's; leave --root out",
        context.root.directory().display()
    );
    let inventory = context.observe();
    for component in components {
        if let Some(reason) = unknown_component(&inventory, component) {
            anyhow::bail!(reason);
        }
    }
    let mut narrator = Narrator::new();
    let reports = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        anyhow::Ok(restart(context, components, &stop, &mut events).await?)
    })?;
    let mut text = String::new();
    for report in &reports {
        text.push_str(&line(format_args!(
            "{} restarted in {:.1} s{}",
            report.component,
            report.healthy_seconds,
            if report.out_meanwhile {
                " (out as well while the API was away)"
            } else {
                ""
            }
        )));
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
