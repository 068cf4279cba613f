//! `kubecertd hold` and `kubecertd unhold`

use std::process::ExitCode;

use jiff::Timestamp;

use super::output::{line, print};
use crate::journal::OnHold;
use crate::operation::{Context, log_line};
use crate::pki::date;

/// Takes the place of a hold that is there.
pub(super) fn hold(
    context: &Context,
    reason: String,
    until: Option<Timestamp>,
) -> anyhow::Result<ExitCode> {
    let now = crate::host::now();
    if let Some(until) = until {
        anyhow::ensure!(
            until > now,
            "{} is past, so it would hold nothing",
            date(until)
        );
    }
    let end = until.map_or_else(
        || "until `kubecertd unhold`".to_owned(),
        |until| format!("until {}", date(until)),
    );
    let hold = OnHold {
        reason,
        since: now,
        until,
    };
    context.store().hold(&hold)?;
    log_line(false, &format!("on hold {end}: {}", hold.reason));
    let before = context.config.renewal.window_override.as_secs() / 3600;
    print(&line(format_args!(
        "The daemon begins nothing by itself {end}, unless a certificate ends within {before} hours (renewal.window-override)."
    )))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn unhold(context: &Context) -> anyhow::Result<ExitCode> {
    let said = if context.store().lift_hold()? {
        log_line(false, "no longer on hold");
        "The daemon acts by itself again."
    } else {
        "There was no hold."
    };
    print(&line(format_args!("{said}")))?;
    Ok(ExitCode::SUCCESS)
}
