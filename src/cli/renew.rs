//! `kubecertd renew`

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use super::arguments::Renew;
use super::exit_codes;
use super::hints::are_for_another_root;
use super::output::{Narrator, alone, error, grouped, line, not_renewed, print, warning as note};
use super::runtime::{ask, runtime};
use crate::checks::{Asked, Finding, Intent};
use crate::config::RestartMode;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::journal::Trigger;
use crate::node::{CertificateId, Inventory, all_missing_names, hard_links};
use crate::operation::{
    Context, Learned, MoreNames, Options, RenewalReport, hooks, log_summary, look_ahead,
    look_at_copies, look_at_own_configuration, preflight, renew, why_no_more_names,
};
use crate::plan::{Action, Note, Obstacle, Request};
use crate::report::PlanView;

pub(super) fn run(context: &Context, options: &Renew) -> anyhow::Result<ExitCode> {
    if options.san_from_config && context.is_live() {
        learn_configuration(context)?;
    }
    let Some(request) = request(context, options)? else {
        print("Nothing to renew: no server certificate lacks a name that is called for.\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let more_names = more_names(options);
    if options.dry_run {
        let inventory = context.observe();
        more_names.check(&inventory, &request)?;
        let mut plan = context.plan(&inventory, &request, crate::host::now())?;
        let added = more_names.for_plan(&inventory, &plan)?;
        for item in &mut plan.items {
            // What it lacks it gets.
            let gets = added.contains_key(&item.id);
            item.notes
                .retain(|one| !(gets && matches!(one, Note::NamesMissing { .. })));
        }
        let notes = hard_links(&context.root, &inventory, &plan.renewed());
        let restart = !options.no_restart && context.is_live();
        let disturbs = restart
            && context.config.restart.mode != RestartMode::None
            && !plan.restarts.is_empty();
        let copies = look_at_copies(context, &inventory);
        let mut view = PlanView::from(&plan)
            .with_notes(&notes)
            .with_copies(&copies);
        if !plan.renewed().is_empty() {
            view = view.with_hooks(&hooks(context, disturbs));
        }
        print(&view.to_table())?;
        for (id, names) in &added {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            print(&line(format_args!(
                "Note: {id} gets more names: {}",
                names.join(", ")
            )))?;
        }
        let asked = Asked::ByHand {
            force: options.force,
        };
        let mut findings = preflight(context, &inventory, &plan, restart, asked);
        let intent = Intent::of(&inventory, &plan, &context.config, restart);
        let looking = look_ahead(context, &inventory, &intent, asked);
        findings.extend(ask("components and control planes", looking)?);
        for finding in &findings {
            let said = line(format_args!(
                "{}: {finding}",
                if finding.blocks() {
                    "It would be refused"
                } else if finding.keeps_something_from_being_done() {
                    "Not everything would be done"
                } else {
                    "Note"
                }
            ));
            print(&format!("\n{said}"))?;
        }
        print("\nNothing was changed, because of --dry-run.\n")?;
        for problem in &inventory.problems {
            error(&problem.to_string());
        }
        let left = plan.items.iter().any(|item| match &item.action {
            Action::Leave(obstacle) => is_failure(obstacle, &item.id, &request),
            Action::Renew(_) | Action::Wait => false,
        });
        return Ok(exit_code(
            !left
                && inventory.problems.is_empty()
                && !findings
                    .iter()
                    .any(Finding::keeps_something_from_being_done),
        ));
    }
    let wanted = Options {
        trigger: Trigger::Command(typed(options)),
        more_names,
        restart: !options.no_restart,
        node_down: false,
    };
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        anyhow::Ok(renew(context, &request, &wanted, &stop, &mut events).await?)
    })?;
    for id in report.operations() {
        log_summary(context, id);
    }
    summarize(&report, &request, Words::Renewed)
}

/// How long the API may take to say what the cluster's own configuration is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the cluster's own configuration anew. Names are added by what was kept of it: where that is another or none, it is said.
fn learn_configuration(context: &Context) -> anyhow::Result<()> {
    let inventory = context.observe_to_report();
    let reading = async { timeout(PATIENCE, look_at_own_configuration(context, &inventory)).await };
    let before = if inventory.cluster.is_some() {
        "what was known of it before counts"
    } else {
        UNKNOWN
    };
    let (what, counts, why) = match ask("the cluster's kubeadm-config", reading)? {
        Ok(Ok(Learned::All)) => return Ok(()),
        Ok(Ok(Learned::Unfit)) => (
            "is of no use",
            UNKNOWN,
            "it is longer than 64 KiB, or has control characters".to_owned(),
        ),
        Ok(Ok(Learned::NotUnderstood(reason))) => ("is not understood", UNKNOWN, reason),
        Ok(Ok(Learned::NotKept(error))) => ("could not be kept", before, error.to_string()),
        Ok(Err(error)) => ("could not be read now", before, error.to_string()),
        Err(_) => {
            let why = format!("no answer within {} s", PATIENCE.as_secs());
            ("could not be read now", before, why)
        }
    };
    note(&format!(
        "the cluster's kubeadm-config {what}, so {counts}: {why}"
    ));
    Ok(())
}

const UNKNOWN: &str = "only manifests, kubeconfigs and the node itself are gone by";

/// What is asked for; `None` where names are to be put right and none is wrong.
fn request(context: &Context, options: &Renew) -> anyhow::Result<Option<Request>> {
    let force = options.force;
    if options.names.iter().any(|name| name == "all") {
        anyhow::ensure!(
            options.names.len() == 1,
            "\"all\" and single names exclude each other"
        );
        anyhow::ensure!(
            options.add_san.is_empty(),
            "--add-san is for certificates that are named, such as apiserver: not all of them have names"
        );
        return Ok(Some(Request::All { force }));
    }
    let node = context.observe_to_report();
    let names = if options.names.is_empty() {
        let lacking = all_missing_names(&node);
        if lacking.is_empty() {
            return Ok(None);
        }
        those_that_can(&node, lacking.into_iter().map(|(id, _)| id))?
    } else {
        options.names.clone()
    };
    let wanted = more_names(options);
    let gains = |name: &&String| {
        node.find(name)
            .is_some_and(|entry| !wanted.gained_by(&node, &entry.id).is_empty())
    };
    let for_names = names.iter().filter(gains).cloned().collect();
    Ok(Some(Request::Named {
        names,
        force,
        for_names,
    }))
}

/// Those that can have more names; why the others cannot is said. None is wanted in vain.
fn those_that_can(
    node: &Inventory,
    lacking: impl Iterator<Item = CertificateId>,
) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for id in lacking {
        match why_no_more_names(node, &id) {
            None => names.push(id.to_string()),
            Some(reason) => note(&format!("{id} gets no further names: {reason}")),
        }
    }
    anyhow::ensure!(
        !names.is_empty(),
        "none of the certificates that lack names can be given them here"
    );
    Ok(names)
}

fn more_names(options: &Renew) -> MoreNames {
    if options.san_from_config {
        MoreNames::CalledFor
    } else if options.add_san.is_empty() {
        MoreNames::None
    } else {
        MoreNames::These(options.add_san.clone())
    }
}

/// The command as the receipt has it.
fn typed(options: &Renew) -> String {
    let mut words = vec!["renew".to_owned()];
    words.extend(options.names.iter().cloned());
    let added = options.add_san.iter().map(ToString::to_string);
    words.extend(added.map(|name| {
        // Without the kind before it.
        let text = name.split_once(':').map_or(name.as_str(), |(_, text)| text);
        format!("--add-san {text}")
    }));
    if options.san_from_config {
        words.push("--san-from-config".to_owned());
    }
    words.join(" ")
}

/// What was done with the certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// New ones were made.
    Renewed,
    /// Earlier ones are in place again.
    PutBack,
}

pub(super) fn summarize(
    report: &RenewalReport,
    request: &Request,
    words: Words,
) -> anyhow::Result<ExitCode> {
    let (which, done) = match words {
        Words::Renewed => ("new", "renewed"),
        Words::PutBack => ("earlier", "put back"),
    };
    let mut text = String::new();
    let (kubelets, left): (Vec<_>, Vec<_>) = report
        .left
        .iter()
        .partition(|(_, obstacle)| matches!(obstacle, Obstacle::NeedsRecovery(_)));
    for (names, reason) in grouped(
        left.into_iter()
            .map(|(name, why)| (name.clone(), why.said_of(name))),
    ) {
        text.push_str(&line(format_args!("{}", not_renewed(&names, &reason))));
    }
    if report.operation.is_none() && report.left.is_empty() {
        text.push_str("Nothing to renew.\n");
    }
    if !report.not_restarted.is_empty() && are_for_another_root() {
        text.push('\n');
        text.push_str(&line(format_args!(
            "The {which} certificates are used once these are started anew, on the node itself: {}",
            report.not_restarted.join(", ")
        )));
    } else if !report.not_restarted.is_empty() {
        text.push('\n');
        text.push_str(&line(format_args!(
            "Restart {} so that the {which} certificates are used: kubecertd restart {}",
            if report.not_restarted.len() == 1 {
                "it"
            } else {
                "them"
            },
            report.not_restarted.join(" ")
        )));
    }
    if !report.not_told.is_empty() {
        text.push('\n');
        text.push_str(&line(format_args!(
            "The {which} certificates are used once these are reloaded or restarted: {}",
            report.not_told.join(", ")
        )));
    }
    if report.operation.is_some() {
        text.push_str(&format!(
            "Done in {:.1} s.\n",
            report.duration.as_secs_f64()
        ));
    }
    if let Some((_, obstacle)) = kubelets.first() {
        let names: Vec<&str> = kubelets.iter().map(|(id, _)| id.as_str()).collect();
        text.push('\n');
        text.push_str(&line(format_args!(
            "{} not renewed: {obstacle}.",
            names.join(", ")
        )));
    }
    print(&text)?;
    let failed = report.failed.iter();
    for (names, reason) in
        grouped(failed.map(|one| (one.id.clone(), alone(&one.id, &one.fault.text))))
    {
        match names.as_slice() {
            [one] => error(&format!("{one}: {reason}")),
            _ => error(&not_renewed(&names, &reason)),
        }
    }
    for reason in &report.unproved {
        error(&format!("{done}, but not proved to be in use: {reason}"));
    }
    for problem in &report.unread {
        error(&problem.to_string());
    }
    for failed in &report.errors {
        error(&failed.to_string());
    }
    let complete = report.failed.is_empty()
        && report.errors.is_empty()
        && report.unproved.is_empty()
        && report.unread.is_empty();
    let left = report
        .left
        .iter()
        .any(|(id, obstacle)| is_failure(obstacle, id, request));
    Ok(exit_code(complete && !left))
}

pub(super) fn exit_code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit_codes::NO)
    }
}

/// Whether somebody who asked for this wants to know that it was not renewed: whatever he named; of all of them, what should
/// be there and could not be renewed. kubeadm exits with 0 for what is missing or external, named or not.
pub(super) fn is_failure(obstacle: &Obstacle, id: &CertificateId, request: &Request) -> bool {
    match request {
        Request::Named { names, .. } => names.iter().any(|named| named == id.as_str()),
        Request::All { .. } | Request::Due | Request::DueByHand { .. } => !matches!(
            obstacle,
            Obstacle::Missing
                | Obstacle::ExternalAuthority { .. }
                | Obstacle::AwaitingAnswer(_)
                | Obstacle::Skipped { .. }
                | Obstacle::NotManaged
                // Of the kubelet's, which kubeadm does not renew either; what does is said.
                | Obstacle::NeedsRecovery(_)
        ),
    }
}
