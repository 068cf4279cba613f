//! `kubecertd check-expiration`

use std::io::ErrorKind;
use std::process::ExitCode;

use super::arguments::{CheckExpiration, StructuredFormat};
use super::exit_codes;
use super::output::{error, grouped, print, warning as note};
use super::renew::exit_code;
use super::runtime::ask;
use crate::cluster::Halt;
use crate::operation::{Context, look_at_copies, look_at_orders};
use crate::pki::date;
use crate::probe::look_in_memory;
use crate::report::{ExpirationInfo, halted, read_status};

/// `is_configured`: whether every file of the configuration was understood, so that it is known where to look.
pub(super) fn run(
    context: &Context,
    options: &CheckExpiration,
    is_configured: bool,
) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let inventory = context.observe_to_report();
    let mut info =
        ExpirationInfo::new(&inventory, now, options.all).leaving(&context.config.renewal);
    if options.all && context.is_live() {
        info = info.with_in_memory(&ask("components", look_in_memory(&inventory))?);
    }
    if options.all {
        info = info.with_copies(&look_at_copies(context, &inventory));
    }
    let printed = print(&match options.output {
        StructuredFormat::Text => info.to_table(),
        StructuredFormat::Json => info.to_json(),
        StructuredFormat::Yaml => info.to_yaml(),
    });
    let Some(within) = options.within else {
        printed?;
        if options.output == StructuredFormat::Text {
            for awaited in look_at_orders(context, &inventory, now).awaited() {
                note(&format!("{}: {awaited}", awaited.id));
            }
        }
        let unread = info.unread();
        for (names, reason) in grouped(unread.iter().cloned()) {
            error(&format!("{}: {reason}", names.join(", ")));
        }
        return Ok(exit_code(unread.is_empty()));
    };
    // Whoever asks with --within may want the exit code alone.
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        return Err(error.into());
    }
    let found = info.due_within(within, now);
    for (name, end) in &found.due {
        if let Some(because) = info.unseen_end(name) {
            error(&format!("{name} ends on {}, {because}", date(*end)));
        }
    }
    for (name, reason) in &found.unreadable {
        error(&format!("{name}: {reason}"));
    }
    if !is_configured {
        return Ok(ExitCode::from(exit_codes::UNANSWERED));
    }
    let code = found.exit_code();
    match halt(context) {
        Some(halt) => {
            error(&halted(&halt));
            Ok(ExitCode::from(code.max(exit_codes::NO)))
        }
        None => Ok(ExitCode::from(code)),
    }
}

/// The control plane whose failure keeps this one from renewing, as a running daemon knows it: what ends then ends. One that does not
/// run is a matter of `kubecertd status`.
fn halt(context: &Context) -> Option<Halt> {
    let status = context
        .is_live()
        .then(|| read_status(&context.root).ok())??;
    let is_running = status.is_running();
    status.halted.filter(|_| is_running)
}
