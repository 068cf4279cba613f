//! `kubecertd kubelet serving-bootstrap`

use std::process::ExitCode;

use super::output::{Narrator, error, line, print, warning};
use super::renew::exit_code;
use super::runtime::runtime;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::node::BootstrapEdit;
use crate::operation::{
    BootstrapReport, Context, ServingSeen, bootstrap_changes, log_line, set_serving_bootstrap,
};

pub(super) fn run(
    context: &Context,
    wanted: bool,
    (dry_run, force): (bool, bool),
) -> anyhow::Result<ExitCode> {
    if dry_run {
        return show(context, wanted);
    }
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        anyhow::Ok(set_serving_bootstrap(context, (wanted, force), &stop, &mut events).await?)
    })?;
    said(&report)
}

/// The difference, as a reader of diffs knows it.
fn show(context: &Context, wanted: bool) -> anyhow::Result<ExitCode> {
    let node = context.observe();
    let changes = runtime()?.block_on(bootstrap_changes(context, &node, wanted))?;
    if changes.node.is_none() && changes.cluster.is_none() {
        print("Nothing to change: it is so on this node and in the cluster's kubelet-config.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some((file, edit)) = &changes.node {
        let path = context.root.node_path(file);
        difference(&path.display().to_string(), edit)?;
        print("The kubelet would be restarted; no pod is.\n")?;
    }
    if let Some(edit) = &changes.cluster {
        difference("ConfigMap kube-system/kubelet-config, key kubelet", edit)?;
    }
    print("Nothing was changed, because of --dry-run.\n")?;
    Ok(ExitCode::SUCCESS)
}

fn difference(place: &str, edit: &BootstrapEdit) -> anyhow::Result<()> {
    print(&line(format_args!("{place}:")))?;
    for (sign, text) in [('-', &edit.removed), ('+', &edit.added)] {
        if let Some(text) = text {
            print(&line(format_args!("{sign}{text}")))?;
        }
    }
    Ok(())
}

/// Exits with 1 where the kubelet serves nothing yet, or the cluster's configuration is as before.
fn said(report: &BootstrapReport) -> anyhow::Result<ExitCode> {
    let mut is_done = report.cluster_failed.is_none();
    match (&report.changes.cluster, &report.cluster_failed) {
        (_, Some(failed)) => error(&format!(
            "the cluster's kubelet-config is as before ({failed}), so kubeadm takes this back when it upgrades this node; run this again"
        )),
        (Some(_), None) => print(
            "The cluster's kubelet-config is changed; other nodes follow when kubeadm upgrades them, or by this command.\n",
        )?,
        (None, None) => {}
    }
    match &report.serving {
        ServingSeen::Proved(evidence) => {
            let text = format!("The kubelet serves a certificate of the cluster's CA: {evidence}");
            log_line(false, &text);
            print(&line(format_args!("{text}")))?;
        }
        ServingSeen::Off => print("The kubelet serves the certificate that it made itself.\n")?,
        ServingSeen::NotSeen(reason) => {
            is_done = false;
            error(&format!(
                "the kubelet was not seen to serve a certificate of the cluster's CA: {reason}; `kubecertd requests` shows its request, \
                 and `kubecertd kubelet serving-bootstrap disable` takes this back"
            ));
        }
        ServingSeen::Waits { request, reasons } => {
            is_done = false;
            for reason in reasons {
                warning(reason);
            }
            error(&format!(
                "the kubelet serves nothing until its request {request} is approved, which does not pass every check: see to them (the section \
                 [approver] says what nodes may be called and where they are), or run `kubecertd requests approve {request} --force`, or \
                 `kubecertd kubelet serving-bootstrap disable`"
            ));
        }
    }
    Ok(exit_code(is_done))
}
