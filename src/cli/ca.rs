//! `kubecertd ca`

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;

use super::ca_arguments::{CaAction, Extend};
use super::output::{Narrator, error, line, print};
use super::renew::{Words, exit_code, summarize};
use super::runtime::{ask, runtime};
use super::values::Format;
use crate::daemon::{StopSignals, stop_on_signal};
use crate::node::{CertificateId, Inventory};
use crate::operation::{
    Context, ExtensionReport, ExtensionWish, Readers, authorities_called, authority_changed,
    extend_authorities, log_summary, preview_extension,
};
use crate::pki::{AuthorityId, date};
use crate::plan::{AUTHORITY_VALIDITY, Request, extension};
use crate::probe::running_since;
use crate::report::{AuthoritiesView, AuthorityKnown};

pub(super) fn run(context: &Context, action: &CaAction) -> anyhow::Result<ExitCode> {
    match action {
        CaAction::Extend(options) => extend(context, options),
        CaAction::Status { output } => status(context, *output),
    }
}

const DAY: u64 = 24 * 60 * 60;

/// The least that a new certificate lasts.
const LEAST_VALIDITY: Duration = Duration::from_secs(60 * 60);

const NOTHING: &str = "Nothing to extend: a new certificate would end hardly later, and every place has the present one.\n";

fn extend(context: &Context, options: &Extend) -> anyhow::Result<ExitCode> {
    let node = context.observe();
    let validity = options.validity.unwrap_or(AUTHORITY_VALIDITY);
    anyhow::ensure!(
        validity >= LEAST_VALIDITY,
        "a CA that ends within an hour is of no use; give --validity more"
    );
    let wish = ExtensionWish {
        authorities: authorities_called(&node, &options.name).map_err(anyhow::Error::msg)?,
        validity,
        readers: if options.restart {
            Readers::Restarted
        } else {
            Readers::RestartedIfEnded
        },
        force: options.force,
        typed: typed(options),
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

/// The command as it was given, for the receipt.
fn typed(options: &Extend) -> String {
    let mut typed = format!("ca extend {}", options.name);
    if let Some(validity) = options.validity {
        let seconds = validity.as_secs();
        typed.push_str(&match seconds % DAY {
            0 => format!(" --validity {}d", seconds / DAY),
            _ => format!(" --validity {seconds}s"),
        });
    }
    for (is_given, option) in [(options.restart, " --restart"), (options.force, " --force")] {
        typed.push_str(if is_given { option } else { "" });
    }
    typed
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
    if let Some(until) = renewal.renewed.iter().map(|one| one.old_not_after).min() {
        print(&after(report, until))?;
    }
    for fault in &report.left {
        error(&format!("not extended: {fault}"));
    }
    Ok(exit_code(is_done && report.left.is_empty()))
}

/// What is left to be done, and until when.
fn after(report: &ExtensionReport, until: Timestamp) -> String {
    let mut text = String::new();
    let mut going_on = report.at_start.clone();
    going_on.extend(report.kubelet.then(|| "kubelet".to_owned()));
    let has_ended = until <= crate::host::now();
    if !going_on.is_empty() {
        let names = going_on.join(", ");
        text.push_str(&line(format_args!("{}", if has_ended {
            format!("These read the old certificate, which has ended, when they started, and have to be restarted: {names}")
        } else {
            format!(
                "These read the old certificate when they started and go on with it, which does no harm until it ends on {}: {names}",
                date(until)
            )
        })));
        if report.kubelet {
            text.push_str(
                "`systemctl restart kubelet` restarts the kubelet, which no pod notices.\n",
            );
        }
    }
    let names: Vec<AuthorityId> = AuthorityId::ALL
        .into_iter()
        .filter(|name| {
            let mut renewed = report.renewal.renewed.iter();
            renewed.any(|one| one.id == CertificateId::of_authority(*name))
        })
        .collect();
    if !names.is_empty() {
        let when = if has_ended {
            "now".to_owned()
        } else {
            format!("before {}", date(until))
        };
        let others = if names.contains(&AuthorityId::Kubernetes) {
            "every other node (workers too), the ConfigMaps cluster-info and kube-root-ca.crt, and kubeconfigs that were copied"
        } else {
            "every other control plane"
        };
        text.push_str(&line(format_args!(
            "Not touched, and to be given the new one {when}: {others}"
        )));
    }
    text
}

fn show(context: &Context, node: &Inventory, wish: &ExtensionWish) -> anyhow::Result<ExitCode> {
    let looking = preview_extension(context, node, wish);
    let preview = ask("components and control planes", looking)??;
    for fault in &preview.left {
        error(&format!("would not be extended: {fault}"));
    }
    let mut is_good = preview.left.is_empty();
    if preview.changes.is_empty() && preview.restarted.is_empty() {
        if is_good {
            print(NOTHING)?;
        }
        return Ok(exit_code(is_good));
    }
    for (authority, files) in &preview.changes {
        let (old, new) = (&authority.old, &authority.new);
        print(&line(format_args!(
            "{}: a certificate until {} in the place of {} (until {}) in",
            authority.name,
            date(new.not_after),
            old.serial,
            date(old.not_after)
        )))?;
        for file in files {
            print(&line(format_args!("  {}", file.display())))?;
        }
    }
    let mut named = preview.restarted;
    named.sort();
    named.dedup();
    let restarts = if named.is_empty() {
        "No pod would be restarted.".to_owned()
    } else {
        format!("These would be restarted: {}", named.join(", "))
    };
    print(&line(format_args!("{restarts}")))?;
    for finding in &preview.findings {
        is_good &= !finding.blocks();
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
