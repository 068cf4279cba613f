//! `kubecertd ca`

use std::process::ExitCode;

use super::ca_arguments::{CaAction, Extend};
use super::output::{Narrator, error, line, print};
use super::renew::{Words, exit_code, summarize};
use super::runtime::{ask, runtime};
use super::values::Format;
use crate::checks::{Asked, Finding};
use crate::daemon::{StopSignals, stop_on_signal};
use crate::node::{Inventory, PodRef, components};
use crate::operation::{
    Context, ExtensionReport, ExtensionWish, authorities_called, authority_changed,
    extend_authorities, log_summary, look_at_extension,
};
use crate::pki::date;
use crate::plan::{AUTHORITY_VALIDITY, Extension, Request, extension};
use crate::probe::running_since;
use crate::report::{AuthoritiesView, AuthorityKnown};

pub(super) fn run(context: &Context, action: &CaAction) -> anyhow::Result<ExitCode> {
    match action {
        CaAction::Extend(options) => extend(context, options),
        CaAction::Status { output } => status(context, *output),
    }
}

const NOTHING: &str = "Nothing to extend: a new certificate would end hardly later, and every place has the present one.\n";

fn extend(context: &Context, options: &Extend) -> anyhow::Result<ExitCode> {
    let node = context.observe();
    let wish = ExtensionWish {
        authorities: authorities_called(&node, &options.name).map_err(anyhow::Error::msg)?,
        validity: options.validity.unwrap_or(AUTHORITY_VALIDITY),
        restart: options.restart,
        force: options.force,
        typed: format!(
            "ca extend {}{}",
            options.name,
            if options.restart { " --restart" } else { "" }
        ),
    };
    anyhow::ensure!(
        !wish.authorities.is_empty(),
        "this node has no certificate of a CA"
    );
    if options.dry_run {
        return show(context, &node, &wish);
    }
    let mut narrator = Narrator::new();
    let report = runtime()?.block_on(async {
        let stop = stop_on_signal(StopSignals::Command)?;
        let mut events = |event| narrator.show(&event);
        anyhow::Ok(extend_authorities(context, &wish, &stop, &mut events).await?)
    })?;
    tell(context, &report, options)
}

fn tell(context: &Context, report: &ExtensionReport, options: &Extend) -> anyhow::Result<ExitCode> {
    let renewal = &report.renewal;
    let is_done = if renewal.operation.is_none() {
        print(NOTHING)?;
        true
    } else {
        for id in renewal.operations() {
            log_summary(context, id);
        }
        let request = Request::DueByHand {
            force: options.force,
        };
        summarize(renewal, &request, Words::Renewed)? == ExitCode::SUCCESS
    };
    let mut going_on = report.at_start.clone();
    going_on.extend(report.kubelet.then(|| "kubelet".to_owned()));
    if !going_on.is_empty() {
        let until = renewal.renewed.iter().map(|one| one.old_not_after).min();
        print(&line(format_args!(
            "These read the old certificate when they started and go on with it, which does no harm until it ends{}: {}",
            until
                .map(|end| format!(" on {}", date(end)))
                .unwrap_or_default(),
            going_on.join(", ")
        )))?;
    }
    for fault in &report.left {
        error(&format!("not extended: {fault}"));
    }
    Ok(exit_code(is_done && report.left.is_empty()))
}

fn show(context: &Context, node: &Inventory, wish: &ExtensionWish) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let mut found: Vec<Extension> = Vec::new();
    let mut is_good = true;
    for name in &wish.authorities {
        match extension(node, *name, wish.validity, now) {
            Ok(extension) => found.push(extension),
            Err(obstacle) => {
                is_good = false;
                print(&line(format_args!(
                    "{name} would not be extended: {obstacle}"
                )))?;
            }
        }
    }
    found.retain(|one| !one.is_done());
    if found.is_empty() && is_good {
        print(NOTHING)?;
        return Ok(ExitCode::SUCCESS);
    }
    for one in &found {
        let end = now
            .checked_add(wish.validity)
            .unwrap_or(jiff::Timestamp::MAX);
        let what = if one.is_needed {
            format!(
                "would get a new certificate until {} in the place of {} (until {})",
                date(end),
                one.present.serial,
                date(one.present.not_after)
            )
        } else {
            format!(
                "has its certificate {} (until {}), which would be put into",
                one.present.serial,
                date(one.present.not_after)
            )
        };
        print(&line(format_args!("{} {what}:", one.authority)))?;
        for place in one.outdated() {
            print(&line(format_args!("  {}", place.path.display())))?;
        }
    }
    let pods: Vec<PodRef> = found
        .iter()
        .filter(|_| wish.restart && context.is_live())
        .flat_map(Extension::readers_at_start)
        .collect();
    let mut named = components(&pods);
    named.sort();
    named.dedup();
    let restarts = if named.is_empty() {
        "No pod would be restarted.".to_owned()
    } else {
        format!("These would be restarted: {}", named.join(", "))
    };
    print(&line(format_args!("{restarts}")))?;
    let asked = Asked::ByHand { force: wish.force };
    let looking = look_at_extension(context, node, (&found, &pods), asked);
    for finding in ask("components and control planes", looking)? {
        is_good &= !Finding::blocks(&finding);
        let said = if finding.blocks() {
            "It would be refused"
        } else {
            "Note"
        };
        print(&line(format_args!("{said}: {finding}")))?;
    }
    print("Nothing was changed, because of --dry-run.\n")?;
    Ok(exit_code(is_good))
}

fn status(context: &Context, output: Format) -> anyhow::Result<ExitCode> {
    let node = context.observe_to_report();
    let now = crate::host::now();
    let mut known = Vec::new();
    for authority in &node.authorities {
        let name = authority.name;
        let extension = extension(&node, name, AUTHORITY_VALIDITY, now);
        let pods = match &extension {
            Ok(extension) if context.is_live() => extension.readers_at_start(),
            _ => Vec::new(),
        };
        let looking = running_since(&node, &context.config.restart, &pods);
        known.push(AuthorityKnown {
            name,
            running: ask("the container runtime", looking)?,
            changed: authority_changed(context, name),
            extension,
        });
    }
    let view = AuthoritiesView::new(&node, &known);
    print(&match output {
        Format::Text => view.to_text(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&view)?),
    })?;
    for problem in &node.problems {
        error(&problem.to_string());
    }
    Ok(exit_code(node.problems.is_empty()))
}
