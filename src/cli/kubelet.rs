//! `kubecertd kubelet`

use std::process::ExitCode;

use super::arguments::KubeletAction;
use super::output::{Narrator, line, print};
use super::renew::{Words, exit_code, summarize};
use super::runtime::runtime;
use crate::checks::{Asked, Finding};
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, log_summary, look_at_kubelet_repair, repair_kubelet};
use crate::plan::{KubeletNeed, Request, kubelet_repair};

pub(super) fn run(context: &Context, action: KubeletAction) -> anyhow::Result<ExitCode> {
    let KubeletAction::Repair { dry_run, force } = action;
    if dry_run {
        return show(context, force);
    }
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        let asked = Asked::ByHand { force };
        anyhow::Ok(repair_kubelet(context, asked, &stop, &mut events).await?)
    })?;
    let Some(report) = report else {
        print(NOTHING)?;
        return Ok(ExitCode::SUCCESS);
    };
    for id in report.operations() {
        log_summary(context, id);
    }
    summarize(&report, &Request::DueByHand { force }, Words::Renewed)
}

const NOTHING: &str = "Nothing to repair: the kubelet renews its client certificate itself, and kubelet.conf refers to it.\n";

fn show(context: &Context, force: bool) -> anyhow::Result<ExitCode> {
    let node = context.observe();
    let now = crate::host::now();
    let what = match kubelet_repair(&node, now) {
        KubeletNeed::Nothing => {
            print(NOTHING)?;
            return Ok(ExitCode::SUCCESS);
        }
        KubeletNeed::Impossible(reason) => {
            print(&line(format_args!("It cannot be done here: {reason}")))?;
            return Ok(exit_code(false));
        }
        KubeletNeed::Certificate { like } => format!(
            "A new certificate like {like} would be made, and the kubelet restarted; no pod is."
        ),
        KubeletNeed::Reference => {
            "kubelet.conf would refer to the certificate that the kubelet renews, and the kubelet be restarted; no pod is."
                .to_owned()
        }
    };
    print(&line(format_args!("{what}")))?;
    let asked = Asked::ByHand { force };
    let found = runtime()?.block_on(look_at_kubelet_repair(context, &node, asked));
    for finding in &found {
        let said = if finding.blocks() {
            "It would be refused"
        } else {
            "Note"
        };
        print(&line(format_args!("{said}: {finding}")))?;
    }
    print("Nothing was changed, because of --dry-run.\n")?;
    Ok(exit_code(!found.iter().any(Finding::blocks)))
}
