//! `kubecertd kubelet`

use std::process::ExitCode;

use super::kubelet_accept::accept;
use super::kubelet_arguments::KubeletAction;
use super::kubelet_issue::issue;
use super::output::{Narrator, error, line, print};
use super::renew::{Words, exit_code, summarize};
use super::runtime::runtime;
use super::serving_bootstrap;
use crate::checks::{Asked, Finding};
use crate::config::KubeletRepair;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::operation::{Context, log_summary, look_at_kubelet_repair, repair_kubelet};
use crate::plan::{KubeletNeed, Request, ServingNeed, kubelet_repairs, unread_of_kubelet};

pub(super) fn run(context: &Context, action: KubeletAction) -> anyhow::Result<ExitCode> {
    match action {
        KubeletAction::Repair {
            dry_run: true,
            force,
        } => show(context, force),
        KubeletAction::Repair { force, .. } => repair(context, force),
        KubeletAction::Issue(options) => issue(context, &options),
        KubeletAction::Accept(options) => accept(context, &options),
        KubeletAction::ServingBootstrap { action } => {
            let (wanted, options) = action.wanted();
            serving_bootstrap::run(context, wanted, (options.dry_run, options.force))
        }
    }
}

fn repair(context: &Context, force: bool) -> anyhow::Result<ExitCode> {
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

const NOTHING: &str =
    "Nothing to repair: none of the kubelet's certificates that can be renewed here is overdue.\n";

fn show(context: &Context, force: bool) -> anyhow::Result<ExitCode> {
    let node = context.observe();
    let (now, renewal) = (crate::host::now(), &context.config.renewal);
    let repairs = kubelet_repairs(&node, renewal, KubeletRepair::Overdue, now);
    let unread = match repairs.client {
        KubeletNeed::Impossible(_) => Vec::new(),
        _ => unread_of_kubelet(&node),
    };
    for reason in &unread {
        error(reason);
    }
    if repairs.are_none() {
        if unread.is_empty() {
            print(NOTHING)?;
        }
        return Ok(exit_code(unread.is_empty()));
    }
    let mut sentences = Vec::new();
    match &repairs.client {
        KubeletNeed::Nothing => {}
        KubeletNeed::Impossible(reason) => {
            sentences.push(format!("It cannot be done here: {reason}"));
        }
        KubeletNeed::Certificate { like } => sentences.push(format!(
            "A new certificate like {like} would be made, and the kubelet restarted; no pod is."
        )),
        KubeletNeed::Reference => sentences.push(
            "kubelet.conf would refer to the certificate that the kubelet renews, and the kubelet be restarted; no pod is."
                .to_owned(),
        ),
    }
    match &repairs.serving {
        ServingNeed::Nothing => {}
        ServingNeed::Signed { id, node } => sentences.push(format!(
            "A new {id} would be made, of this cluster's CA for system:node:{node}; the kubelet is restarted if it does not read it by itself."
        )),
        ServingNeed::SignedForOnce { id } => sentences.push(format!(
            "A new {id} would be made as the kubelet makes it, since this cluster's CA cannot sign here; the kubelet is restarted if it \
             does not read it by itself."
        )),
    }
    for sentence in &sentences {
        print(&line(format_args!("{sentence}")))?;
    }
    if !repairs.can_be_helped() {
        return Ok(exit_code(false));
    }
    let asked = Asked::ByHand { force };
    let found = runtime()?.block_on(async {
        let mut found = Vec::new();
        for one in repairs.clone().apart() {
            found.extend(look_at_kubelet_repair(context, &node, &one, asked).await);
        }
        found
    });
    for finding in &found {
        let said = if finding.blocks() {
            "It would be refused"
        } else {
            "Note"
        };
        print(&line(format_args!("{said}: {finding}")))?;
    }
    print("Nothing was changed, because of --dry-run.\n")?;
    let is_possible = !matches!(repairs.client, KubeletNeed::Impossible(_));
    let is_blocked = found.iter().any(Finding::blocks);
    Ok(exit_code(is_possible && !is_blocked && unread.is_empty()))
}
