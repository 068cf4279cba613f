//! `kubecertd check-expiration`

use std::io::ErrorKind;
use std::process::ExitCode;

use super::arguments::{CheckExpiration, StructuredFormat};
use super::output::{error, print};
use crate::operation::Context;
use crate::report::ExpirationInfo;

pub(super) fn run(context: &Context, options: &CheckExpiration) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    let info = ExpirationInfo::new(&context.observe(), now, options.all);
    let printed = print(&match options.output {
        StructuredFormat::Text => info.to_table(),
        StructuredFormat::Json => info.to_json(),
        StructuredFormat::Yaml => info.to_yaml(),
    });
    let Some(within) = options.within else {
        printed?;
        return Ok(ExitCode::SUCCESS);
    };
    // Whoever asks with --within may want the exit code alone.
    if let Err(error) = printed
        && error.kind() != ErrorKind::BrokenPipe
    {
        return Err(error.into());
    }
    let found = info.due_within(within, now);
    for (name, reason) in &found.unreadable {
        error(&format!("{name}: {reason}"));
    }
    Ok(ExitCode::from(found.exit_code()))
}
